//! Where each signal goes: as named, else to a receiver that answers, else to a backend in this
//! process.

use async_trait::async_trait;
use carafe_launch::launcher::Exports;
use carafe_nodes::exporter::console::ConsoleExporter;
use carafe_nodes::exporter::otlp::{
    self, Compression, Endpoint, EndpointError, OtlpConfig, OtlpConfigError, OtlpExporter,
};
use carafe_pipeline::counters::NodeCounters;
use carafe_pipeline::fanout::Fanout;
use carafe_pipeline::queue::{Leftover, Queue, QueueConfig, QueueSender};
use carafe_pipeline::retry::{Retry, RetryPolicy};
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_settings::{
    self as settings, Exporter, OtlpSettings, Protocol, Settings, SignalSettings,
};
use carafe_telemetry::{Batch, Signal};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where OTLP goes when no endpoint is named.
const DEFAULT_GRPC: &str = "http://localhost:4317";
const DEFAULT_HTTP: &str = "http://localhost:4318";

/// How long a receiver on the default endpoint may take to answer before it counts as absent.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Wait before the second try of an export: shorter than a Collector's, as the receiver is
/// likely on this machine and being started.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How long exports that fail are tried again after the app's end, before a last try.
const LAST_RETRIES: Duration = Duration::from_secs(3);

/// Where telemetry goes on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// A backend in this process.
    Hosted,
    /// What the settings name, or a receiver that answered.
    Named,
}

/// Exporters of each signal.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) destination: Destination,
    /// What was not named and goes nowhere because nobody answers.
    pub(super) unexported: Vec<Signal>,
    pub(super) exporters: Vec<(Signal, Vec<Exporter>)>,
}

impl Plan {
    pub(super) fn of(&self, signal: Signal) -> &[Exporter] {
        self.exporters
            .iter()
            .find(|(of, _)| *of == signal)
            .map_or(&[], |(_, exporters)| exporters.as_slice())
    }
}

pub(super) fn of(settings: &Settings, signal: Signal) -> &SignalSettings {
    match signal {
        Signal::Traces => &settings.traces,
        Signal::Metrics => &settings.metrics,
        Signal::Logs => &settings.logs,
    }
}

/// Decides where each signal goes.
pub(super) async fn plan(settings: &Settings, is_backend_required: bool) -> Plan {
    let own = &settings.own;
    let has_own_address = [&own.query, &own.otlp_grpc, &own.otlp_http, &own.telemetry]
        .into_iter()
        .any(Option::is_some);
    let is_nothing_named = Signal::ALL.into_iter().all(|signal| {
        let signal = of(settings, signal);
        signal.exporters.is_none() && signal.otlp.endpoint.is_none()
    });
    let wants_backend = is_backend_required || has_own_address;
    if is_nothing_named && (wants_backend || !answers(&settings.traces.otlp).await) {
        let exporters = Vec::new();
        return Plan { destination: Destination::Hosted, unexported: Vec::new(), exporters };
    }
    let mut plan = Plan {
        destination: if wants_backend { Destination::Hosted } else { Destination::Named },
        unexported: Vec::new(),
        exporters: Vec::new(),
    };
    for signal in Signal::ALL {
        let named = of(settings, signal);
        let exporters = match &named.exporters {
            Some(exporters) => exporters.clone(),
            None if named.otlp.endpoint.is_some()
                || is_nothing_named
                || answers(&named.otlp).await =>
            {
                vec![Exporter::Otlp]
            }
            // The hosted backend takes what nothing else is named for.
            None if wants_backend => Vec::new(),
            None => {
                plan.unexported.push(signal);
                Vec::new()
            }
        };
        plan.exporters.push((signal, exporters));
    }
    plan
}

/// Whether an OTLP receiver takes an empty request at the default endpoint.
async fn answers(settings: &OtlpSettings) -> bool {
    let Ok(mut config) = config(settings, settings.protocol) else { return false };
    config.timeout = PROBE_TIMEOUT;
    let Ok(exporter) = OtlpExporter::new(&config) else { return false };
    let empty = Batch { signal: Signal::Traces, bytes: Default::default() };
    exporter.consume(empty).await.is_ok()
}

/// Why an exporter cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("the {0} exporter: {1}")]
    Endpoint(Signal, EndpointError),
    #[error("the {0} exporter: {1}")]
    Config(Signal, OtlpConfigError),
}

/// The exporters, running.
#[derive(Default)]
pub(super) struct RunningExports {
    consumers: Exports,
    queues: Vec<Queue>,
    stop_retries: CancellationToken,
}

impl RunningExports {
    pub(super) fn consumers(&self) -> Exports {
        self.consumers.clone()
    }

    /// Delivers what is queued, trying again for a short while, then once more each; what was
    /// left.
    pub(super) async fn shutdown(self, deadline: Duration) -> Leftover {
        let Self { queues, stop_retries, .. } = self;
        let mut draining = std::pin::pin!(drain(queues, deadline));
        tokio::select! {
            leftover = &mut draining => leftover,
            () = tokio::time::sleep(LAST_RETRIES) => {
                stop_retries.cancel();
                draining.await
            }
        }
    }
}

/// The queues' workers all send meanwhile, so the deadline is one for all of them.
async fn drain(queues: Vec<Queue>, deadline: Duration) -> Leftover {
    let mut leftover = Leftover::default();
    let deadline = tokio::time::Instant::now() + deadline;
    for queue in queues {
        let left =
            queue.shutdown(deadline.saturating_duration_since(tokio::time::Instant::now())).await;
        leftover.batches += left.batches;
        leftover.items += left.items;
    }
    leftover
}

/// Makes the exporters of a plan. Must be called within a Tokio runtime.
pub(super) fn build(
    plan: &Plan,
    settings: &Settings,
    hosted: Option<Arc<dyn Consumer>>,
) -> Result<RunningExports, ExportError> {
    let mut running = RunningExports::default();
    let console: Arc<dyn Consumer> = Arc::new(ConsoleExporter::stdout());
    for signal in Signal::ALL {
        let mut consumers: Vec<Arc<dyn Consumer>> = hosted.iter().cloned().collect();
        for exporter in plan.of(signal) {
            match exporter {
                Exporter::Console => consumers.push(Arc::clone(&console)),
                Exporter::Otlp | Exporter::OtlpGrpc | Exporter::OtlpHttp => {
                    consumers.push(queued_otlp(&mut running, signal, *exporter, settings)?);
                }
            }
        }
        let consumer: Option<Arc<dyn Consumer>> = match consumers.len() {
            0 => None,
            1 => consumers.pop(),
            _ => Some(Arc::new(Fanout::new(consumers))),
        };
        match signal {
            Signal::Traces => running.consumers.traces = consumer,
            Signal::Metrics => running.consumers.metrics = consumer,
            Signal::Logs => running.consumers.logs = consumer,
        }
    }
    Ok(running)
}

fn queued_otlp(
    running: &mut RunningExports,
    signal: Signal,
    exporter: Exporter,
    settings: &Settings,
) -> Result<Arc<dyn Consumer>, ExportError> {
    let otlp = &of(settings, signal).otlp;
    let config = config(otlp, otlp.protocol_for(exporter))
        .map_err(|error| ExportError::Endpoint(signal, error))?;
    let name = format!("otlp exporter of {signal} to {}", config.endpoint);
    let exporter =
        OtlpExporter::new(&config).map_err(|error| ExportError::Config(signal, error))?;
    let policy = RetryPolicy { initial_interval: FIRST_RETRY, ..RetryPolicy::default() };
    let retry = Retry::new(name.clone(), exporter, policy, running.stop_retries.clone());
    let counters = Arc::new(NodeCounters::default());
    let queue = Queue::start(name, Arc::new(retry), QueueConfig::default(), counters);
    let sender = queue.sender();
    running.queues.push(queue);
    Ok(Arc::new(Queued(sender)))
}

fn config(settings: &OtlpSettings, protocol: Protocol) -> Result<OtlpConfig, EndpointError> {
    let named = settings.endpoint.as_ref();
    let endpoint = match protocol {
        Protocol::Grpc => {
            Endpoint::grpc(named.map_or(DEFAULT_GRPC, |named| &named.text), settings.insecure)?
        }
        Protocol::HttpProtobuf | Protocol::HttpJson => match named {
            Some(named) if named.is_signal_specific => Endpoint::http_exact(&named.text)?,
            Some(named) => Endpoint::http_base(&named.text)?,
            None => Endpoint::http_base(DEFAULT_HTTP)?,
        },
    };
    let protocol = match protocol {
        Protocol::Grpc => otlp::Protocol::Grpc,
        Protocol::HttpProtobuf => otlp::Protocol::HttpProtobuf,
        Protocol::HttpJson => otlp::Protocol::HttpJson,
    };
    let mut config = OtlpConfig::new(endpoint, protocol);
    config.headers.clone_from(&settings.headers);
    config.timeout = settings.timeout;
    config.compression = match settings.compression {
        settings::Compression::None => Compression::None,
        settings::Compression::Gzip => Compression::Gzip,
        settings::Compression::Deflate => Compression::Deflate,
        settings::Compression::Zstd => Compression::Zstd,
    };
    config.tls.ca_file.clone_from(&settings.certificate);
    config.tls.cert_file.clone_from(&settings.client_certificate);
    config.tls.key_file.clone_from(&settings.client_key);
    Ok(config)
}

/// Puts batches into an exporter's queue: accepted when there is room.
struct Queued(QueueSender);

#[async_trait]
impl Consumer for Queued {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        self.0.try_send(batch).map(|()| Accepted::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hosted_backend_takes_what_nothing_else_is_named_for() {
        let variable = |name: &str| (name == "OTEL_METRICS_EXPORTER").then(|| "none".to_owned());
        let (settings, _) = Settings::resolve(&variable).unwrap();
        let plan = plan(&settings, true).await;
        assert_eq!(plan.destination, Destination::Hosted);
        assert!(plan.unexported.is_empty(), "{:?}", plan.unexported);
        assert!(plan.of(Signal::Traces).is_empty(), "nothing else is named");
    }
}
