//! Typed settings, read from the environment.

mod exporters;
mod http;
mod limits;
mod sampling;
mod store;

use crate::pairs::pair;
use crate::reader::{Reader, SettingError, Warning, items};

pub use exporters::{
    BatchSettings, Compression, Endpoint, Exporter, MetricSettings, OtlpSettings, Protocol,
    SignalSettings, Temporality,
};
pub use http::{CapturedHeaders, HttpSemconv};
pub use limits::Limits;
pub use sampling::{ExemplarFilter, Propagator, RootSampler, Sampler};
pub use store::{StoreDurability, StoreSettings};

/// Everything that the environment says to `carafe run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Run the app without any telemetry.
    pub sdk_disabled: bool,
    /// The service's name, if it was given, by itself or among the resource
    /// attributes.
    pub service_name: Option<String>,
    /// Attributes of the resource in the order given, each key once, without
    /// `service.name`.
    pub resource_attributes: Vec<(String, String)>,
    /// Names of resource detectors.
    pub resource_detectors: Vec<String>,
    /// Where traces go.
    pub traces: SignalSettings,
    /// Where metrics go.
    pub metrics: SignalSettings,
    /// Where logs go.
    pub logs: SignalSettings,
    /// How spans are batched.
    pub span_batches: BatchSettings,
    /// How log records are batched.
    pub log_batches: BatchSettings,
    /// How metrics are read.
    pub metric_reader: MetricSettings,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Which measurements can become exemplars.
    pub exemplar_filter: ExemplarFilter,
    /// Where a request's context is looked for, in this order.
    pub propagators: Vec<Propagator>,
    /// Everything named in `OTEL_SEMCONV_STABILITY_OPT_IN`, sorted.
    pub semconv_opt_in: Vec<String>,
    /// What that means for HTTP.
    pub http_semconv: HttpSemconv,
    /// Headers that become span attributes.
    pub captured_headers: CapturedHeaders,
    /// Limits of what is recorded.
    pub limits: Limits,
    /// Names of Python instrumentations that are left out.
    pub disabled_instrumentations: Vec<String>,
    /// Patterns of names of metrics of processes and of the machine that are left out.
    pub excluded_system_metrics: Vec<String>,
    /// From which severity on Carafe reports about itself.
    pub log_level: LogLevel,
    /// Carafe's own settings.
    pub own: OwnSettings,
}

/// Carafe's own settings. Addresses are as given, `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSettings {
    /// Make log records of what the app prints.
    pub capture_output: bool,
    /// Say what is done and why.
    pub explain: bool,
    /// Put the Python engine into Python programs.
    pub python: bool,
    /// Report what the kernel knows of processes and of the machine; `None`: where it disturbs
    /// nobody.
    pub system_metrics: Option<bool>,
    /// Address of the hosted backend's UI and query APIs.
    pub query: Option<String>,
    /// Address of the hosted backend's OTLP/gRPC receiver.
    pub otlp_grpc: Option<String>,
    /// Address of the hosted backend's OTLP/HTTP receiver.
    pub otlp_http: Option<String>,
    /// Address of the hosted backend's own metrics.
    pub telemetry: Option<String>,
    /// How the hosted backend keeps what it receives.
    pub store: StoreSettings,
}

/// A severity of messages about Carafe itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is likely not as meant.
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Every step.
    Trace,
}

const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
    // Names that the Python SDK also takes.
    ("warning", LogLevel::Warn),
    ("fatal", LogLevel::Error),
    ("critical", LogLevel::Error),
];

const SWITCH: &[(&str, bool)] = &[("on", true), ("off", false), ("true", true), ("false", false)];

const SERVICE_NAME: &str = "service.name";

impl Settings {
    /// Reads all settings. `lookup` gives the value of an environment variable.
    ///
    /// # Errors
    /// All values without which telemetry would go nowhere or to the wrong place:
    /// exporters, protocols, compressions and addresses that do not exist.
    /// Everything else that cannot be read is a [`Warning`], and its default holds.
    pub fn resolve(
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Warning>), Vec<SettingError>> {
        let mut reader = Reader::new(lookup);
        let settings = Self::read(&mut reader);
        if reader.errors.is_empty() { Ok((settings, reader.warnings)) } else { Err(reader.errors) }
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        let (service_name, resource_attributes) = resource(reader);
        let (semconv_opt_in, http_semconv) = http::semconv(reader);
        if reader.text("OTEL_CONFIG_FILE").is_some() {
            reader.warn(Warning::NotRead { variable: "OTEL_CONFIG_FILE" });
        }
        Self {
            sdk_disabled: reader.boolean(&["OTEL_SDK_DISABLED"]),
            service_name,
            resource_attributes,
            resource_detectors: reader.list("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"),
            traces: SignalSettings::read(reader, &exporters::TRACES),
            metrics: SignalSettings::read(reader, &exporters::METRICS),
            logs: SignalSettings::read(reader, &exporters::LOGS),
            span_batches: BatchSettings::read(reader, &exporters::SPAN_BATCHES),
            log_batches: BatchSettings::read(reader, &exporters::LOG_BATCHES),
            metric_reader: MetricSettings::read(reader),
            sampler: Sampler::read(reader),
            exemplar_filter: ExemplarFilter::read(reader),
            propagators: Propagator::read(reader),
            semconv_opt_in,
            http_semconv,
            captured_headers: CapturedHeaders::read(reader),
            limits: Limits::read(reader),
            disabled_instrumentations: reader.list("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
            excluded_system_metrics: reader.list("OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS"),
            log_level: reader.choice("OTEL_LOG_LEVEL", LOG_LEVELS, ("info", LogLevel::Info)),
            own: OwnSettings::read(reader),
        }
    }
}

impl OwnSettings {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            capture_output: reader.boolean(&["CARAFE_CAPTURE_OUTPUT"]),
            explain: reader.boolean(&["CARAFE_EXPLAIN"]),
            python: reader.choice("CARAFE_PYTHON", SWITCH, ("on", true)),
            system_metrics: reader.optional_choice("CARAFE_SYSTEM_METRICS", SWITCH),
            query: address(reader, "CARAFE_QUERY"),
            otlp_grpc: address(reader, "CARAFE_OTLP_GRPC"),
            otlp_http: address(reader, "CARAFE_OTLP_HTTP"),
            telemetry: address(reader, "CARAFE_TELEMETRY"),
            store: StoreSettings::read(reader),
        }
    }
}

/// A host and a port. The host is not looked up here.
fn address(reader: &mut Reader<'_>, variable: &'static str) -> Option<String> {
    let value = reader.text(variable)?;
    let port = value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        reader.refuse(variable, value, "HOST:PORT, such as 127.0.0.1:16686");
        return None;
    }
    Some(value)
}

/// Service name and other attributes (specification: resource SDK, "Specifying
/// resource information via an environment variable"). Of equal keys the last counts.
fn resource(reader: &mut Reader<'_>) -> (Option<String>, Vec<(String, String)>) {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut service_name = None;
    let mut attributes: Vec<(String, String)> = Vec::new();
    let text = reader.text(VARIABLE).unwrap_or_default();
    for (at, item) in items(&text).enumerate() {
        let Some((key, value)) = pair(item) else {
            let (position, expected) = (at + 1, "key=value with the value percent-encoded");
            reader.warn(Warning::Item { variable: VARIABLE, position, expected });
            continue;
        };
        if key == SERVICE_NAME {
            service_name = Some(value).filter(|name| !name.is_empty());
        } else if let Some(same) = attributes.iter_mut().find(|(known, _)| *known == key) {
            same.1 = value;
        } else {
            attributes.push((key, value));
        }
    }
    (reader.text("OTEL_SERVICE_NAME").or(service_name), attributes)
}
