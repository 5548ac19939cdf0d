//! `/api/v3/...`.

use crate::{Fixture, resource_spans, span, traces, two_traces};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const RANGE: &str =
    "query.startTimeMin=2025-12-31T23:00:00Z&query.startTimeMax=2026-01-01T01:00:00.5%2B00:30";

fn ids(answer: &Json) -> Vec<&str> {
    let summaries = answer["summaries"].as_array().unwrap();
    summaries.iter().map(|summary| &summary["traceId"].as_str().unwrap()[..2]).collect()
}

#[tokio::test]
async fn services_and_operations() {
    let fixture = two_traces().await;
    assert_eq!(fixture.ok("/api/v3/services").await, json!({"services": ["store", "todo"]}));
    let expected = json!({"operations": [{"name": "SELECT", "spanKind": "client"}]});
    for name in ["spanKind", "span_kind"] {
        let path = format!("/api/v3/operations?service=todo&{name}=client");
        assert_eq!(fixture.ok(&path).await, expected, "{name}");
    }
}

#[tokio::test]
async fn an_unspecified_kind_is_internal() {
    let fixture = Fixture::empty();
    let mut unspecified = span(1, 1, 0, "job", 0, 1);
    unspecified.kind = 0;
    fixture.append(traces(vec![resource_spans("cron", vec![unspecified])])).await;
    let json = fixture.ok("/api/v3/operations?service=cron").await;
    assert_eq!(json, json!({"operations": [{"name": "job", "spanKind": "internal"}]}));
}

#[tokio::test]
async fn search_filters() {
    let fixture = two_traces().await;
    for (query, found) in [
        ("", vec!["02", "01"]),
        ("&query.serviceName=store", vec!["01"]),
        ("&query.service_name=store", vec!["01"]),
        ("&query.operation_name=SELECT", vec!["01"]),
        ("&query.attributes=%7B%22http.status_code%22%3A%22302%22%7D", vec!["02"]),
        ("&query.searchDepth=1", vec!["02"]),
        ("&query.num_traces=1", vec!["02"]),
        ("&query.durationMin=90ms", vec!["01"]),
        ("&query.duration_max=25ms&query.rawTraces=1", vec!["02"]),
    ] {
        let json = fixture.ok(&format!("/api/v3/trace-summaries?{RANGE}{query}")).await;
        assert_eq!(ids(&json), found, "{query}");
    }
    // As a client that does not escape the sign of the zone sends it.
    let unescaped = "query.start_time_min=2025-12-31T23:00:00+00:00\
                     &query.start_time_max=2026-01-01T01:00:00+00:00";
    let json = fixture.ok(&format!("/api/v3/trace-summaries?{unescaped}")).await;
    assert_eq!(ids(&json), ["02", "01"]);
}

#[tokio::test]
async fn summaries_and_traces() {
    let fixture = two_traces().await;
    let path = format!("/api/v3/trace-summaries?{RANGE}&query.serviceName=store");
    insta::assert_json_snapshot!("summaries", fixture.ok(&path).await);
    let id = "02".repeat(16);
    insta::assert_json_snapshot!("trace", fixture.ok(&format!("/api/v3/traces/{id}")).await);
    let found = fixture.ok(&format!("/api/v3/traces?{RANGE}")).await;
    assert_eq!(found["result"]["resourceSpans"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn errors_have_their_own_form() {
    let fixture = two_traces().await;
    let none = "/api/v3/traces?query.startTimeMin=2020-01-01T00:00:00Z\
                &query.startTimeMax=2020-01-02T00:00:00Z";
    for path in ["/api/v3/traces/ff", none] {
        let (status, json) = fixture.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json, json!({"error": {"httpCode": 404, "message": "No traces found"}}));
    }
    for (path, message) in [
        ("/api/v3/traces", "query.startTimeMin and query.startTimeMax are required"),
        ("/api/v3/traces/xyz", "malformed parameter trace_id"),
        ("/api/v3/operations", "malformed parameter service"),
        ("/api/v3/traces?query.startTimeMin=now", "malformed parameter query.startTimeMin"),
        ("/api/v3/traces?query.start_time_min=now", "malformed parameter query.start_time_min"),
    ] {
        let (status, json) = fixture.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let said = json["error"]["message"].as_str().unwrap();
        assert!(said.starts_with(message), "{path}: {said}");
    }
}
