use crate::program::{Up, http, output};
use std::net::TcpListener;

const SPAN: &[u8] = br#"{"resourceSpans":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
    {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /",
     "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000001000000"}]}]}]}"#;

#[test]
fn a_span_goes_in_and_comes_out() {
    let up = Up::start();
    let (status, body) = http("POST", &up.http, "/v1/traces", "application/json", SPAN);
    assert_eq!((status, body.as_str()), (200, "{}"));
    // Acknowledged is visible: no waiting.
    let path = "/api/traces/5b8efff798038103d269b633813fc60c";
    let (status, body) = http("GET", &up.query, path, "", b"");
    assert_eq!(status, 200);
    assert!(body.contains("shop"), "{body}");
    let (status, metrics) = http("GET", &up.telemetry, "/metrics", "", b"");
    assert_eq!(status, 200);
    for sample in [
        "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"http\"} 1\n",
        "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"grpc\"} 0\n",
        "otelcol_exporter_sent_spans{exporter=\"store\"} 1\n",
        "carafe_store_spans{store=\"local\"} 1\n",
    ] {
        assert!(metrics.contains(sample), "{sample} in\n{metrics}");
    }
}

/// A length-delimited protobuf field.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(value);
    bytes
}

#[test]
fn a_bad_payload_is_refused_and_nothing_else_is_affected() {
    let up = Up::start();
    let spans = |span: Vec<u8>| field(1, &field(2, &field(2, &span)));
    let not_utf8 = spans(field(5, b"\xff\xfe"));
    let mut value = Vec::new();
    for _ in 0..10_000 {
        value = field(5, &field(1, &value));
    }
    let too_deep = spans(field(9, &field(2, &value)));
    for bad in [not_utf8, too_deep] {
        let (status, _) = http("POST", &up.http, "/v1/traces", "application/x-protobuf", &bad);
        assert_eq!(status, 400);
    }
    let (status, _) = http("POST", &up.http, "/v1/traces", "application/json", SPAN);
    assert_eq!(status, 200);
}

#[test]
fn metrics_are_a_valid_page() {
    let up = Up::start();
    let (_, page) = http("GET", &up.telemetry, "/metrics", "", b"");
    let mut families = Vec::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(families.last(), Some(&name), "a sample follows its family");
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        }
    }
    for name in ["otelcol_process_uptime", "otelcol_process_memory_rss", "carafe_store_bytes"] {
        assert!(families.contains(&name), "{name}");
    }
}

#[test]
fn both_signals_end_it_in_good_order() {
    for signal in ["TERM", "INT"] {
        let up = Up::start();
        let port = up.grpc.clone();
        assert!(up.stop(signal).success(), "{signal}");
        TcpListener::bind(port).expect("the port is free");
    }
}

#[test]
fn every_port_that_is_taken_is_named_at_once() {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [grpc, query] = taken.each_ref().map(|l| l.local_addr().unwrap().to_string());
    let output = output(&[
        "up",
        "--otlp-grpc",
        &grpc,
        "--query",
        &query,
        "--otlp-http",
        "127.0.0.1:0",
        "--telemetry",
        "127.0.0.1:0",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    let holder = format!("process {}", std::process::id());
    for (line, parts) in said.lines().zip([
        ["OTLP gRPC", &grpc, "--otlp-grpc", &holder],
        ["UI and query APIs", &query, "--query", &holder],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [&["up", "--nope"][..], &["up", "--memory-limit", "much"], &["nope"], &[]] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn tells_its_version() {
    let output = output(&["--version"]);
    let expected = format!("carafe {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
