//! `/api/...` as Jaeger's UI up to 2.20 and Grafana use it.

use crate::{Fixture, MS, T0, failed, range, resource_spans, span, traces, two_traces, with};
use axum::http::StatusCode;
use carafe_telemetry::otlp::{self, any_value::Value, span::SpanKind};
use serde_json::{Value as Json, json};

fn trace_ids(answer: &Json) -> Vec<&str> {
    let traces = answer["data"].as_array().unwrap();
    traces.iter().map(|trace| trace["traceID"].as_str().unwrap()).collect()
}

const ONE: &str = "01010101010101010101010101010101";
const TWO: &str = "02020202020202020202020202020202";

#[tokio::test]
async fn an_empty_store_answers_with_empty_lists() {
    let fixture = Fixture::empty();
    for path in
        ["services", "traces", "dependencies", "operations?service=x", "services/x/operations"]
    {
        let json = fixture.ok(&format!("/api/{path}")).await;
        let empty = json!({"data": [], "total": 0, "limit": 0, "offset": 0, "errors": null});
        assert_eq!(json, empty, "{path}");
    }
}

#[tokio::test]
async fn services_and_operations() {
    let fixture = two_traces().await;
    let services = fixture.ok("/api/services").await;
    assert_eq!(services["data"], json!(["store", "todo"]));
    assert_eq!(services["total"], 2);
    let names = fixture.ok("/api/services/todo/operations").await;
    assert_eq!(names["data"], json!(["GET /", "POST /add", "SELECT"]));
    let operations = fixture.ok("/api/operations?service=todo&spanKind=client").await;
    assert_eq!(operations["data"], json!([{"name": "SELECT", "spanKind": "client"}]));
    let (status, error) = fixture.get("/api/operations").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let errors = json!([{"code": 400, "msg": "parameter 'service' is required"}]);
    assert_eq!(error, json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors}));
}

#[tokio::test]
async fn search_filters() {
    let fixture = two_traces().await;
    for (query, found) in [
        ("", vec![TWO, ONE]),
        ("&service=todo", vec![TWO, ONE]),
        ("&service=todo&limit=1", vec![TWO]),
        ("&service=store", vec![ONE]),
        ("&service=nobody", vec![]),
        ("&service=todo&operation=GET%20/", vec![ONE]),
        ("&operation=SELECT", vec![ONE]),
        ("&tag=http.method:GET", vec![ONE]),
        ("&tag=http.request.method:GET", vec![ONE]),
        ("&tag=http.status_code:302", vec![TWO]),
        ("&tags=%7B%22http.method%22%3A%22POST%22%7D", vec![TWO]),
        ("&tag=http.host:localhost:5000", vec![ONE]),
        ("&tag=error:true", vec![ONE]),
        ("&service=todo&tag=error:true", vec![]),
        ("&tag=span.kind:server&tag=host.name:box", vec![TWO, ONE]),
        ("&minDuration=90ms", vec![ONE]),
        ("&maxDuration=25ms", vec![TWO]),
        ("&minDuration=1s", vec![]),
    ] {
        let json = fixture.ok(&format!("/api/traces?{}{query}", range())).await;
        assert_eq!(trace_ids(&json), found, "{query}");
    }
    let before = (T0 - MS) / 1_000;
    let json = fixture.ok(&format!("/api/traces?start=0&end={before}")).await;
    assert_eq!(trace_ids(&json), [""; 0]);
    let json = fixture.ok("/api/traces?lookback=520w&service=todo").await;
    assert_eq!(trace_ids(&json), [TWO, ONE]);
}

#[tokio::test]
async fn traces_by_ids_name_those_that_are_missing() {
    let fixture = two_traces().await;
    let json = fixture.ok(&format!("/api/traces?traceID={TWO}&traceID=ff&traceID={TWO}")).await;
    assert_eq!(trace_ids(&json), [TWO]);
    assert_eq!(json["errors"], json!([{"msg": "trace not found", "traceID": "00000000000000ff"}]));
    let (status, json) = fixture.get("/api/traces/ff").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(json["errors"], json!([{"code": 404, "msg": "trace not found"}]));
}

#[tokio::test]
async fn dependencies() {
    let fixture = two_traces().await;
    let end = T0 / MS + 60_000;
    let link = json!([{"parent": "todo", "child": "store", "callCount": 1}]);
    for (query, data) in [
        ("", link.clone()),
        ("&service=store", link),
        ("&service=nobody", json!([])),
        ("&lookback=1000", json!([])),
    ] {
        let json = fixture.ok(&format!("/api/dependencies?endTs={end}{query}")).await;
        assert_eq!(json["data"], data, "{query}");
    }
}

#[tokio::test]
async fn pretty_print_indents() {
    let fixture = two_traces().await;
    let request = axum::http::Request::get("/api/services?prettyPrint=true");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(fixture.router.clone(), request).await.unwrap();
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert!(bytes.starts_with(b"{\n    \"data\": [\n        \"store\""), "{bytes:?}");
}

/// A span with everything that the mapping knows.
fn rich_span() -> otlp::Span {
    let any = |value| Some(otlp::AnyValue { value: Some(value) });
    let value = |key: &str, value| otlp::KeyValue {
        key: key.to_owned(),
        value: any(value),
        ..Default::default()
    };
    let list = otlp::ArrayValue {
        values: vec![any(Value::IntValue(1)).unwrap(), any(Value::BoolValue(false)).unwrap()],
    };
    let map = otlp::KeyValueList { values: vec![otlp::string("a", "b")] };
    let mut span = with(
        span(3, 5, 4, "everything", 0, 10),
        SpanKind::Consumer,
        vec![
            otlp::string("text", "<b>é\"</b>"),
            otlp::int("small", -1),
            otlp::int("large", i64::MAX),
            otlp::double("double", 0.5),
            otlp::double("nan", f64::NAN),
            otlp::bool("flag", false),
            value("list", Value::ArrayValue(list)),
            value("map", Value::KvlistValue(map)),
            value("bytes", Value::BytesValue(vec![0, 255])),
            otlp::KeyValue { key: "empty".to_owned(), ..Default::default() },
            otlp::int("peer.ipv4", 0x7f00_0001),
            otlp::string("telemetry.sdk.language", "rust"),
        ],
    );
    span.trace_state = "vendor=1".to_owned();
    span.events = vec![
        otlp::span::Event {
            time_unix_nano: T0 + MS,
            name: "exception".to_owned(),
            attributes: vec![otlp::string("exception.message", "boom")],
            ..Default::default()
        },
        otlp::span::Event {
            time_unix_nano: T0 + 2 * MS,
            attributes: vec![otlp::string("event", "from a log")],
            ..Default::default()
        },
    ];
    span.links = vec![
        otlp::span::Link { trace_id: vec![9; 16], span_id: vec![8; 8], ..Default::default() },
        otlp::span::Link {
            trace_id: vec![9; 16],
            span_id: vec![7; 8],
            attributes: vec![otlp::string("opentracing.ref_type", "child_of")],
            ..Default::default()
        },
        otlp::span::Link::default(),
    ];
    failed(span, "it broke")
}

#[tokio::test]
async fn a_trace_in_jaegers_json() {
    let fixture = Fixture::empty();
    let parent = span(3, 4, 0, "parent", 0, 100);
    fixture.append(traces(vec![resource_spans("todo", vec![parent, rich_span()])])).await;
    let id = "03".repeat(16);
    insta::assert_json_snapshot!("adjusted", fixture.ok(&format!("/api/traces/{id}")).await);
    let raw = fixture.ok(&format!("/api/traces/{id}?raw=true&start=1&end=2")).await;
    insta::assert_json_snapshot!("raw", raw);
}

#[tokio::test]
async fn what_is_odd_in_a_trace_is_said_in_warnings() {
    let fixture = Fixture::empty();
    let client = with(span(4, 1, 0, "call", 0, 100), SpanKind::Client, vec![]);
    let server = with(span(4, 1, 0, "serve", 10, 50), SpanKind::Server, vec![]);
    let below = span(4, 2, 1, "below", 20, 10);
    let orphan = span(4, 3, 99, "orphan", 30, 10);
    let twice = span(4, 3, 0, "twice", 31, 10);
    let cycle = span(4, 6, 6, "cycle", 0, 1);
    let mut elsewhere = resource_spans("other", vec![span(4, 7, 1, "early", 0, 10)]);
    elsewhere.resource.as_mut().unwrap().attributes[1] = otlp::string("host.name", "other");
    elsewhere.scope_spans[0].spans[0].start_time_unix_nano -= 5 * MS;
    elsewhere.scope_spans[0].spans[0].end_time_unix_nano -= 5 * MS;
    let here = resource_spans("todo", vec![client, server, below, orphan, twice, cycle]);
    fixture.append(traces(vec![here, elsewhere])).await;
    let json = fixture.ok(&format!("/api/traces/{}", "04".repeat(16))).await;
    let spans = json["data"][0]["spans"].as_array().unwrap();
    let line = |span: &Json| {
        let parent = span["references"][0]["spanID"].as_str().unwrap_or("-");
        let name = span["operationName"].as_str().unwrap();
        format!("{name} {} <- {parent} {}", span["spanID"].as_str().unwrap(), span["warnings"])
    };
    insta::assert_snapshot!(spans.iter().map(line).collect::<Vec<_>>().join("\n"), @r#"
    early 0707070707070707 <- 0000000000000001 ["its clock seems to be off by 35ms; not corrected"]
    call 0101010101010101 <- - null
    cycle 0606060606060606 <- 0606060606060606 null
    serve 0000000000000001 <- 0101010101010101 null
    below 0202020202020202 <- 0000000000000001 null
    orphan 0303030303030303 <- 6363636363636363 ["the parent span 6363636363636363 is not in this trace"]
    twice 0303030303030303 <- - ["another span has the same id"]
    "#);
}
