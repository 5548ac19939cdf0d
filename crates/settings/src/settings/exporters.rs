//! Where telemetry goes and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::pairs::pair;
use crate::reader::{Reader, Warning, items, one_of, word};

/// Something that takes telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// `otlp`: OTLP by the configured protocol.
    Otlp,
    /// `otlp_proto_grpc`: OTLP over gRPC, whatever the protocol says.
    OtlpGrpc,
    /// `otlp_proto_http`: OTLP over HTTP, whatever the protocol says.
    OtlpHttp,
    /// `console`: JSON on stdout.
    Console,
}

const EXPORTERS: &[(&str, Exporter)] = &[
    ("otlp", Exporter::Otlp),
    ("otlp_proto_grpc", Exporter::OtlpGrpc),
    ("otlp_proto_http", Exporter::OtlpHttp),
    ("console", Exporter::Console),
];

/// How OTLP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`, the default, as in the official Python agent.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
    /// `http/json`.
    HttpJson,
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
    ("http/json", Protocol::HttpJson),
];

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zlib; HTTP only.
    Deflate,
    /// zstd.
    Zstd,
}

const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("deflate", Compression::Deflate),
    ("zstd", Compression::Zstd),
];

/// Where OTLP is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As given. A scheme can be missing.
    pub text: String,
    /// Whether it was given for this signal alone: over HTTP such a URL is used as
    /// it is, to another one the signal's path is appended (specification: OTLP
    /// exporter, "Endpoint URLs for OTLP/HTTP").
    pub is_signal_specific: bool,
}

/// How one signal is sent by OTLP. A value for the signal hides the common one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// Where, if it was said.
    pub endpoint: Option<Endpoint>,
    /// How, for [`Exporter::Otlp`]; see [`protocol_for`](Self::protocol_for).
    pub protocol: Protocol,
    /// Headers of every request, each name once, in lower case.
    pub headers: Vec<(String, String)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// Of requests.
    pub compression: Compression,
    /// Authorities in a PEM file; none: the system's.
    pub certificate: Option<PathBuf>,
    /// Own certificate chain in a PEM file.
    pub client_certificate: Option<PathBuf>,
    /// Its key in a PEM file.
    pub client_key: Option<PathBuf>,
    /// gRPC to an endpoint without a scheme goes without TLS.
    pub insecure: bool,
}

impl OtlpSettings {
    /// How this exporter sends.
    pub fn protocol_for(&self, exporter: Exporter) -> Protocol {
        match (exporter, self.protocol) {
            (Exporter::OtlpGrpc, _) => Protocol::Grpc,
            (Exporter::OtlpHttp, Protocol::Grpc) => Protocol::HttpProtobuf,
            (_, protocol) => protocol,
        }
    }
}

/// Where one signal goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalSettings {
    /// The exporters named, each once; empty for `none`; `None` when none was named.
    pub exporters: Option<Vec<Exporter>>,
    /// For those that send OTLP.
    pub otlp: OtlpSettings,
}

/// The variables of one signal. In pairs, the first is for this signal alone.
pub(super) struct SignalVariables {
    exporter: &'static str,
    endpoint: [&'static str; 2],
    protocol: [&'static str; 2],
    headers: [&'static str; 2],
    timeout: [&'static str; 2],
    compression: [&'static str; 2],
    certificate: [&'static str; 2],
    client_certificate: [&'static str; 2],
    client_key: [&'static str; 2],
    insecure: [&'static str; 2],
}

macro_rules! signal {
    (@pair $signal:literal, $field:literal) => {
        [
            concat!("OTEL_EXPORTER_OTLP_", $signal, "_", $field),
            concat!("OTEL_EXPORTER_OTLP_", $field),
        ]
    };
    ($signal:literal) => {
        SignalVariables {
            exporter: concat!("OTEL_", $signal, "_EXPORTER"),
            endpoint: signal!(@pair $signal, "ENDPOINT"),
            protocol: signal!(@pair $signal, "PROTOCOL"),
            headers: signal!(@pair $signal, "HEADERS"),
            timeout: signal!(@pair $signal, "TIMEOUT"),
            compression: signal!(@pair $signal, "COMPRESSION"),
            certificate: signal!(@pair $signal, "CERTIFICATE"),
            client_certificate: signal!(@pair $signal, "CLIENT_CERTIFICATE"),
            client_key: signal!(@pair $signal, "CLIENT_KEY"),
            insecure: signal!(@pair $signal, "INSECURE"),
        }
    };
}

pub(super) const TRACES: SignalVariables = signal!("TRACES");
pub(super) const METRICS: SignalVariables = signal!("METRICS");
pub(super) const LOGS: SignalVariables = signal!("LOGS");

/// Below this a timeout was likely meant in seconds.
const SHORT_TIMEOUT_MS: u64 = 100;

const DEFAULT_TIMEOUT_MS: u64 = 10_000;

impl SignalSettings {
    pub(super) fn read(reader: &mut Reader<'_>, variables: &SignalVariables) -> Self {
        let path = |reader: &Reader<'_>, variables: &[&'static str]| {
            reader.first(variables).map(|(_, path)| PathBuf::from(path))
        };
        Self {
            exporters: exporters(reader, variables.exporter),
            otlp: OtlpSettings {
                endpoint: endpoint(reader, &variables.endpoint),
                protocol: reader
                    .strict_choice(&variables.protocol, PROTOCOLS)
                    .unwrap_or(Protocol::Grpc),
                headers: headers(reader, &variables.headers),
                timeout: timeout(reader, &variables.timeout),
                compression: reader
                    .strict_choice(&variables.compression, COMPRESSIONS)
                    .unwrap_or(Compression::None),
                certificate: path(reader, &variables.certificate),
                client_certificate: path(reader, &variables.client_certificate),
                client_key: path(reader, &variables.client_key),
                insecure: reader.boolean(&variables.insecure),
            },
        }
    }
}

fn exporters(reader: &mut Reader<'_>, variable: &'static str) -> Option<Vec<Exporter>> {
    let value = reader.text(variable)?;
    let mut exporters = Vec::new();
    if value.eq_ignore_ascii_case("none") {
        return Some(exporters);
    }
    let mut is_named = false;
    for item in items(&value) {
        match word(EXPORTERS, item) {
            Some(exporter) if exporters.contains(&exporter) => {}
            Some(exporter) => exporters.push(exporter),
            None if is_of_a_package(item) => {
                is_named = true;
                reader.warn(Warning::OfPackage { variable, name: item.to_owned() });
            }
            None => {
                let expected = format!("{}, or none alone", one_of(EXPORTERS));
                reader.refuse(variable, item.to_owned(), expected);
            }
        }
    }
    (is_named || !exporters.is_empty()).then_some(exporters)
}

/// Whether this may be the name of an exporter that the app has installed, which the Python engine
/// looks for: a name, and none that looks like a slip in one of ours.
fn is_of_a_package(name: &str) -> bool {
    /// As far as two letters that changed places in a short name.
    const SLIP: f64 = 0.7;
    !name.eq_ignore_ascii_case("none")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && EXPORTERS.iter().all(|(known, _)| strsim::jaro(known, name) < SLIP)
}

fn endpoint(reader: &mut Reader<'_>, variables: &[&'static str; 2]) -> Option<Endpoint> {
    let (variable, text) = reader.first(variables)?;
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", &text));
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !known || host.is_empty() || text.contains(char::is_whitespace) {
        reader.refuse(variable, text, "a URL with http or https, or HOST:PORT");
        return None;
    }
    Some(Endpoint { text, is_signal_specific: variable == variables[0] })
}

fn headers(reader: &mut Reader<'_>, variables: &[&'static str; 2]) -> Vec<(String, String)> {
    let Some((variable, text)) = reader.first(variables) else { return Vec::new() };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (at, item) in items(&text).enumerate() {
        let Some((name, value)) = pair(item) else {
            let (position, expected) = (at + 1, "name=value with the value percent-encoded");
            reader.warn(Warning::Item { variable, position, expected });
            continue;
        };
        let name = name.to_ascii_lowercase();
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some(same) => same.1 = value,
            None => headers.push((name, value)),
        }
    }
    headers
}

fn timeout(reader: &mut Reader<'_>, variables: &[&'static str; 2]) -> Duration {
    let value_ms = reader.number(variables, 1, DEFAULT_TIMEOUT_MS);
    if let (Some(value_ms @ ..SHORT_TIMEOUT_MS), Some((variable, _))) =
        (value_ms, reader.first(variables))
    {
        reader.warn(Warning::ShortTimeout { variable, value_ms });
    }
    Duration::from_millis(value_ms.unwrap_or(DEFAULT_TIMEOUT_MS))
}

/// How spans or log records are batched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// How long a batch waits to be full.
    pub schedule_delay: Duration,
    /// How long handing over a batch may take; an exporter's queue has its own time.
    pub export_timeout: Duration,
    /// How many items may wait.
    pub max_queue_size: usize,
    /// How many items are sent at once; no more than may wait.
    pub max_export_batch_size: usize,
}

pub(super) struct BatchVariables {
    schedule_delay: &'static str,
    default_delay_ms: u64,
    export_timeout: &'static str,
    max_queue_size: &'static str,
    max_export_batch_size: &'static str,
}

macro_rules! batches {
    ($name:literal, $delay_ms:literal) => {
        BatchVariables {
            schedule_delay: concat!("OTEL_", $name, "_SCHEDULE_DELAY"),
            default_delay_ms: $delay_ms,
            export_timeout: concat!("OTEL_", $name, "_EXPORT_TIMEOUT"),
            max_queue_size: concat!("OTEL_", $name, "_MAX_QUEUE_SIZE"),
            max_export_batch_size: concat!("OTEL_", $name, "_MAX_EXPORT_BATCH_SIZE"),
        }
    };
}

/// A fifth of a second, where the specification has five: a span is to be seen at once, and an
/// export costs the app nothing.
pub(super) const SPAN_BATCHES: BatchVariables = batches!("BSP", 200);
pub(super) const LOG_BATCHES: BatchVariables = batches!("BLRP", 200);

const DEFAULT_EXPORT_TIMEOUT_MS: u64 = 30_000;
/// The specification's 2048 is a tenth of a second of a fast server's requests; the queue is not
/// in the app's memory here.
const DEFAULT_QUEUE_SIZE: usize = 32_768;
const DEFAULT_BATCH_SIZE: usize = 1_024;

impl BatchSettings {
    pub(super) fn read(reader: &mut Reader<'_>, variables: &BatchVariables) -> Self {
        let max_queue_size = reader
            .number(&[variables.max_queue_size], 1, DEFAULT_QUEUE_SIZE)
            .unwrap_or(DEFAULT_QUEUE_SIZE);
        let variable = variables.max_export_batch_size;
        let named = reader.number(&[variable], 1, DEFAULT_BATCH_SIZE);
        if let Some(value) = named.filter(|size| *size > max_queue_size) {
            reader.warn(Warning::LargeBatch { variable, value, used: max_queue_size });
        }
        Self {
            schedule_delay: reader.millis(variables.schedule_delay, variables.default_delay_ms),
            export_timeout: reader.millis(variables.export_timeout, DEFAULT_EXPORT_TIMEOUT_MS),
            max_queue_size,
            max_export_batch_size: named.unwrap_or(DEFAULT_BATCH_SIZE).min(max_queue_size),
        }
    }
}

/// What counters and histograms count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// The start of the process.
    Cumulative,
    /// The last export; up-down counters still the start.
    Delta,
    /// As `Delta`, except that asynchronous counters count from the start.
    LowMemory,
}

const TEMPORALITIES: &[(&str, Temporality)] = &[
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

/// How metrics are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSettings {
    /// Time between two exports.
    pub export_interval: Duration,
    /// How long handing over a batch may take; an exporter's queue has its own time.
    pub export_timeout: Duration,
    /// What counters count from.
    pub temporality: Temporality,
    /// Whether the app's histograms have exponential buckets.
    pub is_exponential: bool,
}

const HISTOGRAMS: &[(&str, bool)] =
    &[("explicit_bucket_histogram", false), ("base2_exponential_bucket_histogram", true)];

const DEFAULT_EXPORT_INTERVAL_MS: u64 = 60_000;

impl MetricSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            export_interval: reader
                .millis("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_EXPORT_INTERVAL_MS),
            export_timeout: reader.millis("OTEL_METRIC_EXPORT_TIMEOUT", DEFAULT_EXPORT_TIMEOUT_MS),
            temporality: reader.choice(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                TEMPORALITIES,
                ("cumulative", Temporality::Cumulative),
            ),
            is_exponential: reader.choice(
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                HISTOGRAMS,
                ("explicit_bucket_histogram", false),
            ),
        }
    }
}
