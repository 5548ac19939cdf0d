//! Variables that only Python programs know.

use super::Part::App;
use super::{FALSE, Variable, unflagged, variable};

pub(super) const INSTRUMENTATION: &[Variable] = &[
    variable(
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "disabled_instrumentations",
        App,
        "",
        "Python instrumentations to leave out, by name, between commas; `*` for all.",
    ),
    unflagged(
        "OTEL_PYTHON_EXCLUDED_URLS",
        App,
        "",
        "Requests that Python instrumentations leave out: patterns between commas, searched in the URL.",
    ),
    unflagged(
        "OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS",
        App,
        "`OTEL_PYTHON_EXCLUDED_URLS`",
        "The same for one library, such as `FLASK`, `DJANGO` or `REQUESTS`.",
    ),
    unflagged(
        "OTEL_PYTHON_<LIBRARY>_TRACED_REQUEST_ATTRS",
        App,
        "",
        "Attributes of the framework's request object that become span attributes.",
    ),
    unflagged(
        "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS",
        App,
        FALSE,
        "Whether methods that HTTP does not define keep their own name.",
    ),
    unflagged(
        "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION",
        App,
        "true",
        "Whether the logging instrumentation in the app sends records to the SDK.",
    ),
    unflagged(
        "OTEL_PYTHON_LOG_CORRELATION",
        App,
        FALSE,
        "Whether the logging instrumentation in the app writes trace ids into log lines.",
    ),
    unflagged("OTEL_PYTHON_LOG_FORMAT", App, "", "Format of those lines."),
    unflagged(
        "OTEL_PYTHON_LOG_LEVEL",
        App,
        "info",
        "Level that the logging instrumentation in the app sets.",
    ),
    unflagged(
        "OTEL_PYTHON_LOG_HANDLER_LEVEL",
        App,
        "notset",
        "From which level on its handler takes records.",
    ),
    unflagged(
        "OTEL_PYTHON_LOG_CODE_ATTRIBUTES",
        App,
        FALSE,
        "Whether its records name file, line and function.",
    ),
    variable(
        "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH",
        "auto_instrumentation_experimental_gevent_patch",
        App,
        "",
        "With `patch_all`, the official agent lets gevent patch the standard library first.",
    ),
];

pub(super) const SDK: &[Variable] = &[
    variable(
        "OTEL_PYTHON_DISTRO",
        "distro",
        App,
        "the first that is installed",
        "Name of the distribution that sets an SDK in the app up.",
    ),
    variable(
        "OTEL_PYTHON_CONFIGURATOR",
        "configurator",
        App,
        "the first that is installed",
        "Name of the configurator that sets an SDK in the app up.",
    ),
    variable(
        "OTEL_PYTHON_CONTEXT",
        "context",
        App,
        "contextvars_context",
        "Name of the implementation that carries the current span.",
    ),
    variable(
        "OTEL_PYTHON_ID_GENERATOR",
        "id_generator",
        App,
        "random",
        "Name of the generator of trace and span ids.",
    ),
    variable(
        "OTEL_PYTHON_TRACER_PROVIDER",
        "tracer_provider",
        App,
        "",
        "Name of the tracer provider of the app.",
    ),
    variable(
        "OTEL_PYTHON_METER_PROVIDER",
        "meter_provider",
        App,
        "",
        "Name of the meter provider of the app.",
    ),
    unflagged("OTEL_PYTHON_LOGGER_PROVIDER", App, "", "Name of the logger provider of the app."),
    variable(
        "OTEL_PYTHON_TRACER_CONFIGURATOR",
        "tracer_configurator",
        App,
        "",
        "Name of the function that configures tracers by scope.",
    ),
    variable(
        "OTEL_PYTHON_METER_CONFIGURATOR",
        "meter_configurator",
        App,
        "",
        "Name of the function that configures meters by scope.",
    ),
    variable(
        "OTEL_PYTHON_LOGGER_CONFIGURATOR",
        "logger_configurator",
        App,
        "",
        "Name of the function that configures loggers by scope.",
    ),
    variable(
        "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
        "sdk_internal_metrics_enabled",
        App,
        FALSE,
        "Whether an SDK in the app measures itself.",
    ),
    unflagged(
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
        App,
        FALSE,
        "Older switch for sending records of `logging` to the SDK.",
    ),
    unflagged(
        "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES",
        App,
        "",
        "Status codes after which the SDK's gRPC exporter tries again.",
    ),
    unflagged(
        "OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER",
        App,
        "",
        "Name of the source of credentials for the SDK's gRPC exporters.",
    ),
    unflagged(
        "OTEL_PYTHON_EXPORTER_OTLP_GRPC_<LIBRARY>_CREDENTIAL_PROVIDER",
        App,
        "",
        "The same for `TRACES`, `METRICS` or `LOGS`.",
    ),
    unflagged(
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
        App,
        "",
        "Name of the source of credentials for the SDK's HTTP exporters.",
    ),
    unflagged(
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_<LIBRARY>_CREDENTIAL_PROVIDER",
        App,
        "",
        "The same for `TRACES`, `METRICS` or `LOGS`.",
    ),
];
