//! Variables about where and how telemetry is sent.

use super::Part::{Agent, App, Exporter};
use super::{Variable, variable};

/// One OTLP variable for all signals, and one for each.
macro_rules! otlp {
    ($group:ident, $field:literal, $flag:literal, $default:literal, $summary:literal) => {
        pub(super) const $group: &[Variable] = &[
            variable(
                concat!("OTEL_EXPORTER_OTLP_", $field),
                concat!("exporter_otlp_", $flag),
                Exporter,
                $default,
                $summary,
            ),
    otlp!(@signal $field, $flag, "TRACES", "traces"),
    otlp!(@signal $field, $flag, "METRICS", "metrics"),
    otlp!(@signal $field, $flag, "LOGS", "logs"),
        ];
    };
    (@signal $field:literal, $flag:literal, $signal:literal, $lower:literal) => {
        variable(
            concat!("OTEL_EXPORTER_OTLP_", $signal, "_", $field),
            concat!("exporter_otlp_", $lower, "_", $flag),
            Exporter,
            concat!("`OTEL_EXPORTER_OTLP_", $field, "`"),
            concat!("The same for ", $lower, " only."),
        )
    };
}

pub(super) const CHOICE: &[Variable] = &[
    variable(
        "OTEL_TRACES_EXPORTER",
        "traces_exporter",
        Exporter,
        "an OTLP receiver on port 4317, else the backend in `carafe run`",
        "Where traces go, between commas: `otlp`, `otlp_proto_grpc`, `otlp_proto_http`, `console`, or the name of an exporter that the Python app has installed; or `none`.",
    ),
    variable(
        "OTEL_METRICS_EXPORTER",
        "metrics_exporter",
        Exporter,
        "as for traces",
        "Where metrics go, likewise.",
    ),
    variable(
        "OTEL_LOGS_EXPORTER",
        "logs_exporter",
        Exporter,
        "as for traces",
        "Where logs go, likewise.",
    ),
];

otlp!(
    ENDPOINT,
    "ENDPOINT",
    "endpoint",
    "`http://localhost:4317`, over HTTP `http://localhost:4318`",
    "Where OTLP is sent; over HTTP, `/v1/traces` and so on are appended, except to the endpoint of one signal."
);
otlp!(
    PROTOCOL,
    "PROTOCOL",
    "protocol",
    "grpc",
    "How OTLP is sent: `grpc`, `http/protobuf` or `http/json`."
);
otlp!(
    HEADERS,
    "HEADERS",
    "headers",
    "",
    "Headers of every OTLP request: `name=value` pairs between commas, values percent-encoded."
);
otlp!(
    TIMEOUT,
    "TIMEOUT",
    "timeout",
    "10000",
    "How long one export may take, in milliseconds as in the specification (the Python SDK reads seconds)."
);
otlp!(
    COMPRESSION,
    "COMPRESSION",
    "compression",
    "none",
    "How OTLP is compressed: `gzip`, `deflate` (over HTTP only), `zstd` or `none`."
);
otlp!(
    INSECURE,
    "INSECURE",
    "insecure",
    "false",
    "Whether gRPC to an endpoint without a scheme goes without TLS."
);
otlp!(
    CERTIFICATE,
    "CERTIFICATE",
    "certificate",
    "the system's",
    "PEM file with the authorities that may sign the receiver's certificate."
);
otlp!(
    CLIENT_CERTIFICATE,
    "CLIENT_CERTIFICATE",
    "client_certificate",
    "",
    "PEM file with the certificate chain that is shown to the receiver."
);
otlp!(CLIENT_KEY, "CLIENT_KEY", "client_key", "", "PEM file with the key of that certificate.");

pub(super) const METRICS: &[Variable] = &[
    variable(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "exporter_otlp_metrics_temporality_preference",
        Exporter,
        "cumulative",
        "What counters count from: the start (`cumulative`), the last export (`delta`), or whichever needs less memory (`lowmemory`).",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "exporter_otlp_metrics_default_histogram_aggregation",
        Exporter,
        "explicit_bucket_histogram",
        "Buckets of the histograms that a Python app defines: `explicit_bucket_histogram` or `base2_exponential_bucket_histogram`; holds for every exporter.",
    ),
    variable(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "metric_export_interval",
        Exporter,
        "60000",
        "Time between two exports of metrics, in milliseconds.",
    ),
    variable(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "metric_export_timeout",
        Exporter,
        "30000",
        "How long a report of metrics may take to be printed, stored or queued, in milliseconds; from its queue an OTLP exporter tries for up to five minutes.",
    ),
    variable(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "metrics_exemplar_filter",
        Agent,
        "trace_based",
        "Which measurements can become exemplars: `always_on`, `always_off` or `trace_based`.",
    ),
];

/// The four variables of a batch processor.
macro_rules! batch {
    ($name:literal, $flag:literal, $what:literal, $delay:literal) => {
        [
            variable(
                concat!("OTEL_", $name, "_SCHEDULE_DELAY"),
                concat!($flag, "_schedule_delay"),
                Exporter,
                $delay,
                concat!(
                    "How long ",
                    $what,
                    " wait for more before they are sent, in milliseconds."
                ),
            ),
            variable(
                concat!("OTEL_", $name, "_EXPORT_TIMEOUT"),
                concat!($flag, "_export_timeout"),
                Exporter,
                "30000",
                concat!(
                    "How long a batch of ",
                    $what,
                    " may take to be printed, stored or queued, in milliseconds; from its queue \
                     an OTLP exporter tries for up to five minutes."
                ),
            ),
            variable(
                concat!("OTEL_", $name, "_MAX_QUEUE_SIZE"),
                concat!($flag, "_max_queue_size"),
                Exporter,
                "32768",
                concat!("How many ", $what, " may wait; more are dropped and counted."),
            ),
            variable(
                concat!("OTEL_", $name, "_MAX_EXPORT_BATCH_SIZE"),
                concat!($flag, "_max_export_batch_size"),
                Exporter,
                "1024",
                concat!("How many ", $what, " are sent at once; never more than may wait."),
            ),
        ]
    };
}

pub(super) const SPANS: &[Variable] = &batch!("BSP", "bsp", "spans", "200");
pub(super) const LOGS: &[Variable] = &batch!("BLRP", "blrp", "log records", "200");

pub(super) const OTHERS: &[Variable] = &[
    variable(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "exporter_prometheus_host",
        App,
        "localhost",
        "Host of the Prometheus exporter of an SDK in the app.",
    ),
    variable(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "exporter_prometheus_port",
        App,
        "9464",
        "Port of the Prometheus exporter of an SDK in the app.",
    ),
    variable(
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
        "exporter_zipkin_endpoint",
        App,
        "`http://localhost:9411/api/v2/spans`",
        "Where the Zipkin exporter of an SDK in the app sends spans.",
    ),
    variable(
        "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
        "exporter_zipkin_timeout",
        App,
        "10000",
        "How long one export of the Zipkin exporter of an SDK in the app may take.",
    ),
];
