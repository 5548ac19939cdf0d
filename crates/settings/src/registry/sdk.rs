//! Variables of the specification about what is recorded.

use super::Part::{Agent, App, Python};
use super::{FALSE, Variable, unflagged, variable};

pub(super) const GENERAL: &[Variable] = &[
    variable(
        "OTEL_SDK_DISABLED",
        "sdk_disabled",
        Agent,
        FALSE,
        "With `true` the app runs as it is, without any telemetry.",
    ),
    variable(
        "OTEL_SERVICE_NAME",
        "service_name",
        Agent,
        "from `OTEL_RESOURCE_ATTRIBUTES`, else the program's name",
        "The service's name: `service.name` of the resource.",
    ),
    variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "resource_attributes",
        Agent,
        "",
        "Attributes of the resource: `key=value` pairs between commas, values percent-encoded.",
    ),
    variable(
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
        "experimental_resource_detectors",
        Agent,
        "",
        "Names of detectors that add attributes to the resource, between commas.",
    ),
    variable(
        "OTEL_TRACES_SAMPLER",
        "traces_sampler",
        Agent,
        "parentbased_always_on",
        "Which traces are kept: `always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`.",
    ),
    variable(
        "OTEL_TRACES_SAMPLER_ARG",
        "traces_sampler_arg",
        Agent,
        "1.0",
        "For `traceidratio`: the share of traces to keep, 0 to 1.",
    ),
    variable(
        "OTEL_PROPAGATORS",
        "propagators",
        Agent,
        "tracecontext,baggage",
        "Headers that connect a request to its caller's trace: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`.",
    ),
    variable(
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "semconv_stability_opt_in",
        Agent,
        "the old names",
        "Names of attributes and metrics: `http` and `database` for the stable ones, `http/dup` and `database/dup` for both.",
    ),
    variable(
        "OTEL_LOG_LEVEL",
        "log_level",
        Agent,
        "info",
        "From which severity on Carafe reports about itself: `error`, `warn`, `info`, `debug` or `trace`.",
    ),
    variable(
        "OTEL_CONFIG_FILE",
        "config_file",
        App,
        "",
        "A declarative configuration file for an SDK in the app; Carafe says that it does not read it.",
    ),
];

pub(super) const LIMITS: &[Variable] = &[
    variable(
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "attribute_count_limit",
        Python,
        "128",
        "How many attributes anything may have; more are dropped and counted.",
    ),
    variable(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "attribute_value_length_limit",
        Agent,
        "no limit",
        "How many characters the text of an attribute may have; the rest is cut off. The universal engine applies it to spans, captured headers left out.",
    ),
    variable(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "span_attribute_count_limit",
        Python,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`",
        "How many attributes a span may have.",
    ),
    variable(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "span_attribute_value_length_limit",
        Agent,
        "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`",
        "The same for spans only.",
    ),
    variable(
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "span_event_count_limit",
        Python,
        "128",
        "How many events a span may have.",
    ),
    variable(
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "span_link_count_limit",
        Python,
        "128",
        "How many links a span may have.",
    ),
    variable(
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "event_attribute_count_limit",
        Python,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`",
        "How many attributes an event of a span may have.",
    ),
    variable(
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "link_attribute_count_limit",
        Python,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`",
        "How many attributes a link of a span may have.",
    ),
    variable(
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        "logrecord_attribute_count_limit",
        Python,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`",
        "How many attributes a log record may have.",
    ),
    variable(
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "logrecord_attribute_value_length_limit",
        Python,
        "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`",
        "How many characters the value of a log record's attribute may have.",
    ),
];

pub(super) const HTTP: &[Variable] = &[
    unflagged(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        Agent,
        "",
        "Headers of received requests that become span attributes: regular expressions between commas, each for a whole name in any case.",
    ),
    unflagged(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
        Agent,
        "",
        "Headers of sent responses that become span attributes.",
    ),
    unflagged(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST",
        Agent,
        "",
        "Headers of sent requests that become span attributes.",
    ),
    unflagged(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE",
        Agent,
        "",
        "Headers of received responses that become span attributes.",
    ),
    unflagged(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS",
        Agent,
        "",
        "Captured headers whose values are replaced by `[REDACTED]`: regular expressions between commas, each for any part of a name in any case.",
    ),
];
