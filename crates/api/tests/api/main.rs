//! The routers over a memory store, asked as a client would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod jaeger_legacy;
mod jaeger_v3;
mod live;
mod native;
mod untrusted;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use carafe_api::StatusSource;
use carafe_store::{MemoryStore, Store};
use carafe_telemetry::otlp::{self, KeyValue, LogRecord, ResourceSpans, ScopeSpans, Span};
use carafe_telemetry::{Request as Otlp, UnixNanos};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A store, and the APIs over it.
struct Fixture {
    store: Arc<MemoryStore>,
    router: Router,
    shutdown: CancellationToken,
}

impl Fixture {
    fn empty() -> Self {
        let store = Arc::new(MemoryStore::default());
        let shutdown = CancellationToken::new();
        let status = StatusSource::new("1.2.3", shutdown.clone());
        let router = carafe_api::router(Arc::clone(&store) as Arc<dyn Store>, status);
        Self { store, router, shutdown }
    }

    async fn append(&self, request: Otlp) {
        let appended = self.store.append(request.encode()).await.unwrap();
        assert_eq!(appended.rejected_items, 0, "{}", appended.message);
    }

    async fn get(&self, path: &str) -> (StatusCode, Json) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/json", "{path}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn ok(&self, path: &str) -> Json {
        let (status, json) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {json}");
        json
    }
}

/// 2026-01-01T00:00:00Z.
const T0: u64 = 1_767_225_600_000_000_000;
/// A millisecond in nanoseconds.
const MS: u64 = 1_000_000;

/// `&start=..&end=..` around all spans of these tests, in microseconds.
fn range() -> String {
    format!("start={}&end={}", T0 / 1_000 - 1_000_000, T0 / 1_000 + 60_000_000)
}

fn span(trace: u8, id: u8, parent: u8, name: &str, start_ms: u64, duration_ms: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: name.to_owned(),
        kind: otlp::span::SpanKind::Internal as i32,
        start_time_unix_nano: T0 + start_ms * MS,
        end_time_unix_nano: T0 + (start_ms + duration_ms) * MS,
        ..Default::default()
    }
}

fn with(mut span: Span, kind: otlp::span::SpanKind, attributes: Vec<KeyValue>) -> Span {
    span.kind = kind as i32;
    span.attributes = attributes;
    span
}

fn failed(mut span: Span, message: &str) -> Span {
    span.status = Some(otlp::Status {
        code: otlp::status::StatusCode::Error as i32,
        message: message.to_owned(),
    });
    span
}

fn resource_spans(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(resource(service)),
        scope_spans: vec![ScopeSpans {
            scope: Some(otlp::InstrumentationScope {
                name: "carafe.test".to_owned(),
                version: "0.1".to_owned(),
                ..Default::default()
            }),
            spans,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn resource(service: &str) -> otlp::Resource {
    otlp::Resource {
        attributes: vec![
            otlp::string("service.name", service),
            otlp::string("host.name", "box"),
            otlp::int("process.pid", 7),
        ],
        ..Default::default()
    }
}

fn traces(resource_spans: Vec<ResourceSpans>) -> Otlp {
    Otlp::Traces(otlp::ExportTraceServiceRequest { resource_spans })
}

fn log(trace: u8, span: u8, at_ms: u64, severity: i32, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: T0 + at_ms * MS,
        severity_number: severity,
        severity_text: "INFO".to_owned(),
        body: otlp::string("", body).value,
        trace_id: vec![trace; 16],
        span_id: vec![span; 8],
        ..Default::default()
    }
}

fn logs(service: &str, log_records: Vec<LogRecord>) -> Otlp {
    Otlp::Logs(otlp::ExportLogsServiceRequest {
        resource_logs: vec![otlp::ResourceLogs {
            resource: Some(resource(service)),
            scope_logs: vec![otlp::ScopeLogs { log_records, ..Default::default() }],
            ..Default::default()
        }],
    })
}

/// Trace 1: a request to `todo` that asks `store`, which fails. Trace 2, a second later: a
/// request to `todo` with the stable attribute names.
async fn two_traces() -> Fixture {
    use otlp::span::SpanKind::{Client, Server};
    let fixture = Fixture::empty();
    let get = with(
        span(1, 1, 0, "GET /", 0, 100),
        Server,
        vec![
            otlp::string("http.method", "GET"),
            otlp::string("http.host", "localhost:5000"),
            otlp::string("http.target", "/?all=1"),
            otlp::int("http.status_code", 500),
        ],
    );
    let ask = with(span(1, 2, 1, "SELECT", 10, 50), Client, vec![otlp::string("db.system", "x")]);
    let answer = failed(with(span(1, 3, 2, "query", 20, 30), Server, vec![]), "no such table");
    let post = with(
        span(2, 4, 0, "POST /add", 1_000, 20),
        Server,
        vec![
            otlp::string("http.request.method", "POST"),
            otlp::string("server.address", "localhost"),
            otlp::int("server.port", 5_000),
            otlp::string("url.path", "/add"),
            otlp::int("http.response.status_code", 302),
        ],
    );
    fixture
        .append(traces(vec![
            resource_spans("todo", vec![get, ask, post]),
            resource_spans("store", vec![answer]),
        ]))
        .await;
    fixture
        .append(logs(
            "todo",
            vec![
                log(1, 1, 5, 9, "listing tasks"),
                log(1, 1, 90, 17, "Cannot list tasks"),
                log(2, 4, 1_005, 9, "task added"),
            ],
        ))
        .await;
    assert!(UnixNanos::now().0 > T0);
    fixture
}
