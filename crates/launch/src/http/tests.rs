use super::*;
use crate::exchange::ExchangeHalf;
use carafe_telemetry::otlp::{KeyValue, any_value::Value};
use std::sync::Arc;

fn exchange(is_server: bool, request: &str, response: Option<&str>) -> Exchange {
    let connection = Connection {
        id: 1,
        is_server,
        is_tls: !is_server,
        local: Some("127.0.0.1:5000".parse().unwrap()),
        peer: Some("10.1.2.3:4321".parse().unwrap()),
    };
    let half = |head: &str, started_ns| ExchangeHalf {
        head: head.as_bytes().to_vec(),
        started_ns,
        body_bytes: Some(0),
    };
    Exchange {
        connection: Arc::new(connection),
        request: half(request, 1_000),
        response: response.map(|head| half(head, 1_500)),
        ended_ns: 4_000,
        failure: response.is_none().then_some(Failure::ConnectionClosed),
    }
}

fn traced(exchange: &Exchange, options: &HttpOptions) -> Traced {
    trace(exchange, options, &mut Routes::default(), &Clock::now()).unwrap()
}

fn shown(attributes: &[KeyValue]) -> Vec<String> {
    attributes
        .iter()
        .map(|kv| match kv.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => format!("{}={text}", kv.key),
            Some(Value::IntValue(number)) => format!("{}={number}", kv.key),
            other => format!("{}={other:?}", kv.key),
        })
        .collect()
}

const PAGE: &str =
    "GET /delete/7?x=1 HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: curl/8\r\nX-Key: s\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn server_span_under_the_old_names() {
    let traced = traced(&exchange(true, PAGE, Some(OK)), &HttpOptions::default());
    let span = traced.span.unwrap();
    assert_eq!(span.name, "GET /delete/{id}");
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 3_000);
    assert_eq!(
        shown(&span.attributes),
        [
            "http.method=GET",
            "http.server_name=127.0.0.1",
            "http.scheme=http",
            "net.host.name=localhost:5000",
            "http.host=localhost:5000",
            "net.host.port=5000",
            "http.target=/delete/7?x=1",
            "net.peer.ip=10.1.2.3",
            "net.peer.port=4321",
            "http.user_agent=curl/8",
            "http.flavor=1.1",
            "http.route=/delete/{id}",
            "http.status_code=200",
        ]
    );
    assert_eq!(
        shown(&traced.old_labels.unwrap().to_key_values()),
        [
            "http.method=GET",
            "http.server_name=127.0.0.1",
            "http.scheme=http",
            "net.host.name=localhost:5000",
            "http.host=localhost:5000",
            "net.host.port=5000",
            "http.flavor=1.1",
            "http.status_code=200",
            "http.target=/delete/{id}",
        ]
    );
    assert!(traced.stable_labels.is_none());
}

#[test]
fn server_span_under_the_stable_names() {
    let options = HttpOptions { semconv: Semconv::Stable, ..Default::default() };
    let traced = traced(&exchange(true, PAGE, Some("HTTP/1.1 503 No\r\n\r\n")), &options);
    let span = traced.span.unwrap();
    assert_eq!(
        shown(&span.attributes),
        [
            "http.request.method=GET",
            "url.scheme=http",
            "server.address=localhost:5000",
            "server.port=5000",
            "url.path=/delete/7",
            "url.query=x=1",
            "client.address=10.1.2.3",
            "client.port=4321",
            "user_agent.original=curl/8",
            "network.protocol.version=1.1",
            "http.route=/delete/{id}",
            "http.response.status_code=503",
            "error.type=503",
        ]
    );
    assert_eq!(span.status.unwrap().code, StatusCode::Error as i32);
    assert_eq!(
        shown(&traced.stable_labels.unwrap().to_key_values()),
        [
            "http.request.method=GET",
            "url.scheme=http",
            "network.protocol.version=1.1",
            "http.response.status_code=503",
            "error.type=503",
            "http.route=/delete/{id}",
        ]
    );
}

#[test]
fn both_names_are_the_union() {
    let options = HttpOptions { semconv: Semconv::Both, ..Default::default() };
    let both = traced(&exchange(true, PAGE, Some(OK)), &options);
    let keys = |semconv| {
        let options = HttpOptions { semconv, ..Default::default() };
        let span = traced(&exchange(true, PAGE, Some(OK)), &options).span.unwrap();
        shown(&span.attributes)
    };
    let mut expected = [keys(Semconv::Old), keys(Semconv::Stable)].concat();
    let mut found = shown(&both.span.unwrap().attributes);
    // `http.route` has the same name in both and must stand there once.
    expected.sort();
    expected.dedup();
    found.sort();
    assert_eq!(found, expected);
    assert!(both.old_labels.is_some() && both.stable_labels.is_some());
}

#[test]
fn client_spans_name_the_url() {
    let request = "POST /pay?n=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let failed = exchange(false, request, Some("HTTP/1.1 404 Not Found\r\n\r\n"));
    let span = traced(&failed, &HttpOptions::default()).span.unwrap();
    assert_eq!((span.name.as_str(), span.kind), ("POST", SpanKind::Client as i32));
    assert_eq!(
        shown(&span.attributes),
        ["http.method=POST", "http.url=https://shop.example/pay?n=1", "http.status_code=404"]
    );
    assert_eq!(span.status.unwrap().code, StatusCode::Error as i32);
}

#[test]
fn what_was_not_answered_is_an_error_that_says_why() {
    let options = HttpOptions { semconv: Semconv::Stable, ..Default::default() };
    let span = traced(&exchange(true, PAGE, None), &options).span.unwrap();
    let status = span.status.unwrap();
    assert_eq!(status.code, StatusCode::Error as i32);
    assert!(status.message.contains("connection closed"));
    assert!(shown(&span.attributes).contains(&"error.type=connection_closed".to_owned()));
}

#[test]
fn not_found_and_odd_methods_do_not_make_names() {
    let not_found = exchange(true, PAGE, Some("HTTP/1.1 404 Not Found\r\n\r\n"));
    assert_eq!(traced(&not_found, &HttpOptions::default()).span.unwrap().name, "GET");
    let odd = exchange(true, "FROB / HTTP/1.1\r\n\r\n", Some(OK));
    let span = traced(&odd, &HttpOptions { semconv: Semconv::Stable, ..Default::default() }).span;
    let span = span.unwrap();
    assert_eq!(span.name, "HTTP /");
    assert!(shown(&span.attributes).contains(&"http.request.method_original=FROB".to_owned()));
}

#[test]
fn the_callers_context_is_continued_by_servers_only() {
    let request = "GET / HTTP/1.1\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=b\r\n\r\n";
    let options = HttpOptions { propagators: vec![Propagator::TraceContext], ..Default::default() };
    let span = traced(&exchange(true, request, Some(OK)), &options).span.unwrap();
    assert_eq!(span.trace_id, TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap().0);
    assert_eq!(span.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").unwrap().0);
    assert_eq!((span.trace_state.as_str(), span.flags), ("a=b", 0x301));
    let span = traced(&exchange(false, request, Some(OK)), &options).span.unwrap();
    assert!(span.parent_span_id.is_empty());
}

#[test]
fn captured_headers_are_lists_and_secrets_stay_secret() {
    let captured_headers = CapturedHeaders {
        server_request: HeaderPatterns::whole(&["X-.*".into(), "user-agent".into()]).0,
        server_response: HeaderPatterns::whole(&["content-length".into()]).0,
        sanitized: HeaderPatterns::within(&["key".into()]).0,
        ..Default::default()
    };
    let options = HttpOptions { captured_headers, ..Default::default() };
    let span = traced(&exchange(true, PAGE, Some(OK)), &options).span.unwrap();
    let text = shown(&span.attributes).join("\n");
    assert!(text.contains("http.request.header.x_key=") && text.contains("[REDACTED]"));
    assert!(text.contains("http.request.header.user_agent=") && text.contains("curl/8"));
    assert!(text.contains("http.response.header.content_length="));
}

#[test]
fn values_are_cut_at_the_limit() {
    let options = HttpOptions { value_length_limit: Some(3), ..Default::default() };
    let span = traced(&exchange(true, PAGE, Some(OK)), &options).span.unwrap();
    assert!(shown(&span.attributes).contains(&"http.target=/de".to_owned()));
}

#[test]
fn unsampled_exchanges_are_still_measured() {
    let sampler = Sampler { root: crate::sampling::RootSampler::AlwaysOff, is_parent_based: false };
    let traced =
        traced(&exchange(true, PAGE, Some(OK)), &HttpOptions { sampler, ..Default::default() });
    assert!(traced.span.is_none());
    assert!(traced.old_labels.is_some());
    assert_eq!(traced.duration_ns, 3_000);
}
