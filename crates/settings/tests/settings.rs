//! What values of environment variables mean.

use std::collections::HashMap;
use std::time::Duration;

use carafe_settings::{
    Compression, ExemplarFilter, Exporter, HttpSemconv, LogLevel, Propagator, Protocol,
    RootSampler, Sampler, SettingError, Settings, Temporality, Warning,
};

fn resolve(variables: &[(&str, &str)]) -> Result<(Settings, Vec<Warning>), Vec<SettingError>> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Settings::resolve(&|name| variables.get(name).map(ToString::to_string))
}

#[track_caller]
fn resolved(variables: &[(&str, &str)]) -> (Settings, Vec<Warning>) {
    resolve(variables).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Settings that nothing is wrong with.
#[track_caller]
fn settings(variables: &[(&str, &str)]) -> Settings {
    let (settings, warnings) = resolved(variables);
    assert_eq!(warnings, []);
    settings
}

#[track_caller]
fn warned(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let (settings, warnings) = resolved(variables);
    (settings, warnings.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(variables: &[(&str, &str)]) -> Vec<String> {
    match resolve(variables) {
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
        Ok(resolved) => panic!("nothing was refused: {resolved:?}"),
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn defaults_are_the_official_agents_but_for_batches() {
    let settings = settings(&[]);
    assert!(!settings.sdk_disabled);
    assert_eq!(settings.service_name, None);
    assert_eq!(settings.traces.exporters, None);
    assert_eq!(settings.traces.otlp.endpoint, None);
    assert_eq!(settings.traces.otlp.protocol, Protocol::Grpc);
    assert_eq!(settings.traces.otlp.timeout, Duration::from_secs(10));
    assert_eq!(settings.traces.otlp.compression, Compression::None);
    assert_eq!(settings.span_batches.schedule_delay, Duration::from_millis(200));
    assert_eq!(settings.log_batches.schedule_delay, Duration::from_millis(200));
    assert_eq!(settings.span_batches.export_timeout, Duration::from_secs(30));
    assert_eq!(settings.span_batches.max_queue_size, 32_768);
    assert_eq!(settings.span_batches.max_export_batch_size, 1_024);
    assert_eq!(settings.metric_reader.export_interval, Duration::from_secs(60));
    assert_eq!(settings.metric_reader.export_timeout, Duration::from_secs(30));
    assert_eq!(settings.metric_reader.temporality, Temporality::Cumulative);
    assert_eq!(settings.sampler, Sampler { root: RootSampler::AlwaysOn, is_parent_based: true });
    assert_eq!(settings.exemplar_filter, ExemplarFilter::TraceBased);
    assert_eq!(settings.propagators, [Propagator::TraceContext, Propagator::Baggage]);
    assert_eq!(settings.http_semconv, HttpSemconv::Old);
    assert_eq!(settings.limits.span_attribute_value_length, None);
    assert_eq!(settings.log_level, LogLevel::Info);
}

#[test]
fn empty_values_are_no_values() {
    let names = carafe_settings::registry::VARIABLES.iter().map(|variable| variable.name);
    let empty: Vec<_> = names.map(|name| (name, " ")).collect();
    assert_eq!(settings(&empty), settings(&[]));
}

#[test]
fn the_talks_variables_are_understood() {
    let settings = settings(&[
        ("OTEL_SERVICE_NAME", "todo"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "0.0.0.0:4317"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ]);
    assert_eq!(settings.service_name.as_deref(), Some("todo"));
    for signal in [&settings.traces, &settings.metrics, &settings.logs] {
        assert_eq!(signal.exporters.as_deref(), Some(&[Exporter::Console][..]));
        assert!(signal.otlp.insecure);
    }
    let endpoint = settings.traces.otlp.endpoint.unwrap();
    assert_eq!((&endpoint.text[..], endpoint.is_signal_specific), ("0.0.0.0:4317", true));
    assert_eq!(settings.logs.otlp.endpoint, None);
}

#[test]
fn only_true_is_true() {
    for (value, expected) in [("true", true), ("TRUE", true), ("false", false), ("False", false)] {
        assert_eq!(settings(&[("OTEL_SDK_DISABLED", value)]).sdk_disabled, expected, "{value}");
    }
    for value in ["1", "yes", "t"] {
        let (settings, warnings) = warned(&[("OTEL_SDK_DISABLED", value)]);
        assert!(!settings.sdk_disabled);
        assert_eq!(
            warnings,
            [format!("OTEL_SDK_DISABLED={value} is ignored: expected true or false; false holds")]
        );
    }
}

#[test]
fn resource_attributes_are_decoded_and_hold_the_service_name() {
    let text = "service.name=a,deployment.environment=pro%2Cd, team = core ,team=edge";
    let resolved = settings(&[("OTEL_RESOURCE_ATTRIBUTES", text)]);
    assert_eq!(resolved.service_name.as_deref(), Some("a"));
    assert_eq!(
        resolved.resource_attributes,
        owned(&[("deployment.environment", "pro,d"), ("team", "edge")])
    );
    let resolved = settings(&[("OTEL_RESOURCE_ATTRIBUTES", text), ("OTEL_SERVICE_NAME", "b")]);
    assert_eq!(resolved.service_name.as_deref(), Some("b"));
}

#[test]
fn items_that_are_no_pairs_are_counted_and_not_shown() {
    let (settings, warnings) = warned(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,secret,c=d"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret,X-Key=a%20b,x-key=c"),
    ]);
    assert_eq!(settings.resource_attributes, owned(&[("a", "b"), ("c", "d")]));
    assert_eq!(settings.metrics.otlp.headers, owned(&[("x-key", "c")]));
    assert_eq!(
        warnings,
        [
            "item 2 of OTEL_RESOURCE_ATTRIBUTES is ignored: \
             expected key=value with the value percent-encoded",
            "item 1 of OTEL_EXPORTER_OTLP_HEADERS is ignored: \
             expected name=value with the value percent-encoded",
        ]
    );
}

#[test]
fn exporters_are_lists() {
    let exporters = |value| settings(&[("OTEL_TRACES_EXPORTER", value)]).traces.exporters;
    assert_eq!(exporters("none"), Some(vec![]));
    assert_eq!(exporters("console, otlp,console"), Some(vec![Exporter::Console, Exporter::Otlp]));
    assert_eq!(
        exporters("otlp_proto_grpc,otlp_proto_http"),
        Some(vec![Exporter::OtlpGrpc, Exporter::OtlpHttp])
    );
    assert_eq!(exporters(","), None);
}

#[test]
fn values_for_one_signal_hide_the_common_ones() {
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a:4318/otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://b/v1/logs"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "c=3"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "3000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/logs.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/client.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/client.key"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
        ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "false"),
    ]);
    let (traces, logs) = (settings.traces.otlp, settings.logs.otlp);
    assert!(!traces.endpoint.as_ref().unwrap().is_signal_specific);
    assert_eq!(logs.endpoint.unwrap().text, "http://b/v1/logs");
    assert_eq!((traces.protocol, logs.protocol), (Protocol::HttpProtobuf, Protocol::HttpJson));
    assert_eq!(traces.headers, owned(&[("a", "1"), ("b", "2")]));
    assert_eq!(logs.headers, owned(&[("c", "3")]));
    assert_eq!((traces.timeout.as_millis(), logs.timeout.as_millis()), (2000, 3000));
    assert_eq!((traces.compression, logs.compression), (Compression::Gzip, Compression::None));
    assert_eq!(traces.certificate.unwrap().to_str(), Some("/ca.pem"));
    assert_eq!(logs.certificate.unwrap().to_str(), Some("/logs.pem"));
    assert_eq!(logs.client_certificate, traces.client_certificate);
    assert_eq!(logs.client_key.unwrap().to_str(), Some("/client.key"));
    assert!(traces.insecure && !logs.insecure);
}

#[test]
fn an_exporter_can_decide_the_protocol() {
    let otlp = settings(&[]).traces.otlp;
    assert_eq!(otlp.protocol_for(Exporter::Otlp), Protocol::Grpc);
    assert_eq!(otlp.protocol_for(Exporter::OtlpHttp), Protocol::HttpProtobuf);
    let otlp = settings(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).traces.otlp;
    assert_eq!(otlp.protocol_for(Exporter::OtlpGrpc), Protocol::Grpc);
    assert_eq!(otlp.protocol_for(Exporter::OtlpHttp), Protocol::HttpJson);
    assert_eq!(otlp.protocol_for(Exporter::Otlp), Protocol::HttpJson);
}

#[test]
fn a_timeout_in_seconds_is_noticed_once() {
    let (settings, warnings) = warned(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "10")]);
    assert_eq!(settings.traces.otlp.timeout, Duration::from_millis(10));
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.contains("write 10000"), "{warning}");
}

#[test]
fn numbers_that_are_none_are_ignored() {
    for value in ["-1", "0", "x", "1.5", "99999999999999999999999"] {
        let (settings, warnings) = warned(&[("OTEL_BSP_MAX_QUEUE_SIZE", value)]);
        assert_eq!(settings.span_batches.max_queue_size, 32_768);
        let expected = "expected a whole number from 1 on; 32768 holds";
        assert_eq!(warnings, [format!("OTEL_BSP_MAX_QUEUE_SIZE={value} is ignored: {expected}")]);
    }
}

#[test]
fn the_common_timeout_that_is_no_number_is_named_once() {
    let (_, warnings) = warned(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (_, warnings) = warned(&[("OTEL_EXPORTER_OTLP_INSECURE", "1")]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn a_batch_is_never_larger_than_its_queue() {
    let (resolved, warnings) =
        warned(&[("OTEL_BLRP_MAX_QUEUE_SIZE", "10"), ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "20")]);
    assert_eq!(resolved.log_batches.max_export_batch_size, 10);
    assert_eq!(warnings.len(), 1);
    let resolved = settings(&[("OTEL_BLRP_MAX_QUEUE_SIZE", "10")]);
    assert_eq!(resolved.log_batches.max_export_batch_size, 10);
}

#[test]
fn samplers() {
    let sampler = |name, arg| {
        settings(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]).sampler
    };
    let made = |root, is_parent_based| Sampler { root, is_parent_based };
    assert_eq!(sampler("always_on", ""), made(RootSampler::AlwaysOn, false));
    assert_eq!(sampler("ALWAYS_OFF", "x"), made(RootSampler::AlwaysOff, false));
    assert_eq!(sampler("traceidratio", "0.25"), made(RootSampler::TraceIdRatio(0.25), false));
    assert_eq!(sampler("parentbased_always_on", ""), made(RootSampler::AlwaysOn, true));
    assert_eq!(sampler("parentbased_always_off", ""), made(RootSampler::AlwaysOff, true));
    assert_eq!(sampler("parentbased_traceidratio", ""), made(RootSampler::TraceIdRatio(1.0), true));

    let (resolved, warnings) = warned(&[("OTEL_TRACES_SAMPLER", "jaeger_remote")]);
    assert_eq!(resolved.sampler, made(RootSampler::AlwaysOn, true));
    assert!(warnings[0].ends_with("; parentbased_always_on holds"), "{warnings:?}");
    for arg in ["1.1", "-0.1", "NaN", "half"] {
        let (resolved, warnings) =
            warned(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
        assert_eq!(resolved.sampler, made(RootSampler::TraceIdRatio(1.0), false));
        assert_eq!(warnings.len(), 1);
    }
}

#[test]
fn propagators() {
    let (resolved, warnings) = warned(&[("OTEL_PROPAGATORS", "b3,xray,tracecontext,b3")]);
    assert_eq!(resolved.propagators, [Propagator::B3, Propagator::TraceContext]);
    assert!(warnings[0].starts_with("OTEL_PROPAGATORS=xray is ignored"), "{warnings:?}");
    assert_eq!(settings(&[("OTEL_PROPAGATORS", "none")]).propagators, []);
}

#[test]
fn semantic_conventions() {
    for (value, expected) in [
        ("http", HttpSemconv::Stable),
        ("database, http/dup", HttpSemconv::Both),
        ("http/dup,http", HttpSemconv::Both),
        ("database", HttpSemconv::Old),
    ] {
        let resolved = settings(&[("OTEL_SEMCONV_STABILITY_OPT_IN", value)]);
        assert_eq!(resolved.http_semconv, expected, "{value}");
    }
    let resolved = settings(&[("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database,http")]);
    assert_eq!(resolved.semconv_opt_in, ["database", "http"]);
}

#[test]
fn the_length_limit_of_spans_has_a_common_value() {
    let length = |values: &[(&str, &str)]| settings(values).limits.span_attribute_value_length;
    let (common, own) =
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    assert_eq!(length(&[(common, "20")]), Some(20));
    assert_eq!(length(&[(common, "20"), (own, "0")]), Some(0));
    assert_eq!(length(&[(own, "30")]), Some(30));
}

#[test]
fn http_headers() {
    let resolved = settings(&[
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "Accept, X-Key"),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE", "Server"),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "x-key"),
    ]);
    assert_eq!(resolved.captured_headers.server_request, ["Accept", "X-Key"]);
    assert_eq!(resolved.captured_headers.client_response, ["Server"]);
    assert_eq!(resolved.captured_headers.sanitize, ["x-key"]);
}

#[test]
fn all_errors_are_named_at_once() {
    let errors = refused(&[
        ("OTEL_TRACES_EXPORTER", "console,oltp"),
        ("OTEL_METRICS_EXPORTER", "none,console"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "rar"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://a"),
        ("CARAFE_QUERY", "16686"),
    ]);
    let exporters =
        "expected one of otlp, otlp_proto_grpc, otlp_proto_http, console, or none alone";
    assert_eq!(
        errors,
        [
            format!("OTEL_TRACES_EXPORTER=oltp: {exporters}"),
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=rar: expected one of none, gzip, deflate, zstd"
                .to_owned(),
            format!("OTEL_METRICS_EXPORTER=none: {exporters}"),
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=ftp://a: \
             expected a URL with http or https, or HOST:PORT"
                .to_owned(),
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=udp: expected one of grpc, http/protobuf, http/json"
                .to_owned(),
            "CARAFE_QUERY=16686: expected HOST:PORT, such as 127.0.0.1:16686".to_owned(),
        ]
    );
}

#[test]
fn an_exporter_of_the_apps_own_is_left_to_the_python_engine() {
    let (settings, warnings) = warned(&[("OTEL_METRICS_EXPORTER", "zipkin")]);
    assert_eq!(settings.metrics.exporters, Some(Vec::new()), "nothing else is exported to");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("only Python apps"), "{}", warnings[0]);
    let (settings, _) = warned(&[("OTEL_METRICS_EXPORTER", "console,zipkin")]);
    assert_eq!(settings.metrics.exporters, Some(vec![Exporter::Console]));
    for slip in ("console1 otlp_grpc ottlp consol").split(' ') {
        assert_eq!(refused(&[("OTEL_METRICS_EXPORTER", slip)]).len(), 1, "{slip}");
    }
}

#[test]
fn a_common_value_is_refused_once() {
    let errors = refused(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
    ]);
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn endpoints() {
    for text in
        ["localhost", "a:4317", "[::1]:4317", "http://a", "HTTPS://u:p@a:1/x?y", "unix-host"]
    {
        let endpoint = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]).logs.otlp.endpoint;
        assert_eq!(endpoint.unwrap().text, text);
    }
    for text in ["unix:///a", "http://", "a b", "://a"] {
        assert_eq!(refused(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text)]).len(), 1, "{text}");
    }
}

#[test]
fn own_settings() {
    let own = settings(&[
        ("CARAFE_CAPTURE_OUTPUT", "true"),
        ("CARAFE_EXPLAIN", "true"),
        ("CARAFE_QUERY", "localhost:0"),
        ("CARAFE_OTLP_GRPC", "[::1]:4317"),
        ("CARAFE_OTLP_HTTP", "127.0.0.1:4318"),
        ("CARAFE_TELEMETRY", "127.0.0.1:8888"),
    ])
    .own;
    assert!(own.capture_output && own.explain);
    assert_eq!(own.query.as_deref(), Some("localhost:0"));
    assert_eq!(own.otlp_grpc.as_deref(), Some("[::1]:4317"));
    assert_eq!(own.otlp_http.as_deref(), Some("127.0.0.1:4318"));
    assert_eq!(own.telemetry.as_deref(), Some("127.0.0.1:8888"));
    for address in ["localhost", ":80", "a:b", "a:70000"] {
        assert_eq!(refused(&[("CARAFE_TELEMETRY", address)]).len(), 1, "{address}");
    }
}

#[test]
fn a_configuration_file_is_not_passed_over_in_silence() {
    let (_, warnings) = warned(&[("OTEL_CONFIG_FILE", "otel.yaml")]);
    assert!(warnings[0].starts_with("OTEL_CONFIG_FILE is handed on"), "{warnings:?}");
}

#[test]
fn switches_of_the_python_engine_and_of_system_metrics() {
    let own = |pairs: &[(&str, &str)]| settings(pairs).own;
    assert!(own(&[]).python);
    assert!(!own(&[("CARAFE_PYTHON", "off")]).python);
    assert_eq!(own(&[]).system_metrics, None);
    assert_eq!(own(&[("CARAFE_SYSTEM_METRICS", "on")]).system_metrics, Some(true));
    assert_eq!(own(&[("CARAFE_SYSTEM_METRICS", "Off")]).system_metrics, Some(false));
    let exponential = [(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
    )];
    assert!(settings(&exponential).metric_reader.is_exponential);
    assert!(!settings(&[]).metric_reader.is_exponential);
}

#[test]
fn log_levels() {
    for (value, expected) in
        [("DEBUG", LogLevel::Debug), ("warning", LogLevel::Warn), ("fatal", LogLevel::Error)]
    {
        assert_eq!(settings(&[("OTEL_LOG_LEVEL", value)]).log_level, expected);
    }
}

#[test]
fn every_variable_that_is_read_is_declared() {
    let read = std::cell::RefCell::new(Vec::new());
    let lookup = |name: &str| {
        read.borrow_mut().push(name.to_owned());
        (name == "OTEL_TRACES_SAMPLER").then(|| "traceidratio".to_owned())
    };
    Settings::resolve(&lookup).unwrap();
    for name in read.into_inner() {
        assert!(carafe_settings::registry::find(&name).is_some(), "{name} is not declared");
    }
}

#[test]
fn every_declared_variable_is_read_unless_it_is_handed_on() {
    use carafe_settings::registry::{ANY_LIBRARY, Part, VARIABLES};
    let read = std::cell::RefCell::new(Vec::new());
    let lookup = |name: &str| {
        read.borrow_mut().push(name.to_owned());
        (name == "OTEL_TRACES_SAMPLER").then(|| "traceidratio".to_owned())
    };
    Settings::resolve(&lookup).unwrap();
    let read = read.into_inner();
    // Set by the launcher for the engines, not for people.
    let internal = ["CARAFE_RING_DIR", "CARAFE_SERVICE_NAME", "CARAFE_SIGNALS"];
    for variable in VARIABLES {
        let name = variable.name.replace(ANY_LIBRARY, "FLASK");
        let is_for_the_app = matches!(variable.part, Part::App | Part::Python);
        let handed_on = is_for_the_app && name != "OTEL_CONFIG_FILE";
        let expected = !handed_on && !internal.contains(&variable.name);
        assert_eq!(read.contains(&name), expected, "{name}");
    }
}
