//! Sends a test span to a receiver and waits until the query API knows it.

use super::port::Port;
use super::probe::{Clients, grpc_export, otlp_http};
use crate::backend::Component;
use carafe_telemetry::{Request, SpanId, TraceId, UnixNanos, otlp};
use rand::random;
use std::time::{Duration, Instant};

/// How long a span may take from the receiver to the query API.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often the query API is asked.
const POLL: Duration = Duration::from_millis(5);

/// The service that test spans belong to.
const SERVICE: &str = "carafe-check";

/// What became of a test span.
#[derive(Debug)]
pub(super) struct RoundTrip {
    /// The receiver that it was sent to.
    pub(super) via: Component,
    /// From sending to being found, or what went wrong.
    pub(super) outcome: Result<Duration, String>,
}

pub(super) async fn run(clients: &Clients, receiver: &Port, query: &Port) -> RoundTrip {
    let via = receiver.component;
    RoundTrip { via, outcome: send_and_find(clients, via, &receiver.addr, &query.addr).await }
}

async fn send_and_find(
    clients: &Clients,
    via: Component,
    receiver: &str,
    query: &str,
) -> Result<Duration, String> {
    let trace_id = TraceId(random());
    let started = Instant::now();
    send(clients, via, receiver, span(trace_id)).await?;
    let url = format!("http://{query}/api/traces/{trace_id}");
    while started.elapsed() < DEADLINE {
        let response = clients.http1.get(&url).send().await.map_err(|error| error.to_string())?;
        if response.status().is_success() {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(format!("sent, but the query API did not find it within {} s", DEADLINE.as_secs()))
}

async fn send(
    clients: &Clients,
    via: Component,
    addr: &str,
    message: Vec<u8>,
) -> Result<(), String> {
    let request = match via {
        Component::OtlpGrpc => {
            let length = u32::try_from(message.len()).map_err(|error| error.to_string())?;
            let mut framed = vec![0];
            framed.extend(length.to_be_bytes());
            framed.extend(message);
            grpc_export(clients, addr, framed)
        }
        _ => otlp_http(clients, addr, message),
    };
    let response = request.send().await.map_err(|error| error.to_string())?;
    let refused = response.headers().get("grpc-status").is_some_and(|status| status != "0");
    if refused || !response.status().is_success() {
        return Err(format!("the receiver refused it: {}", response.status()));
    }
    response.bytes().await.map(drop).map_err(|error| error.to_string())
}

/// An export request with one span, which ends now.
fn span(trace_id: TraceId) -> Vec<u8> {
    let now = UnixNanos::now();
    let span = otlp::Span {
        trace_id: trace_id.0.to_vec(),
        span_id: SpanId(random()).0.to_vec(),
        name: "carafe check".to_owned(),
        kind: otlp::span::SpanKind::Internal as i32,
        start_time_unix_nano: now.saturating_sub(Duration::from_millis(1)).0,
        end_time_unix_nano: now.0,
        ..Default::default()
    };
    let resource = otlp::Resource {
        attributes: vec![otlp::string("service.name", SERVICE)],
        ..Default::default()
    };
    let request = Request::Traces(otlp::ExportTraceServiceRequest {
        resource_spans: vec![otlp::ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![otlp::ScopeSpans { spans: vec![span], ..Default::default() }],
            ..Default::default()
        }],
    });
    request.encode().bytes.to_vec()
}
