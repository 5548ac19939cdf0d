//! The OTLP exporter against real servers on loopback ports.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod certificates;
mod grpc;
mod grpc_server;
mod http;
mod http_server;
mod wrong;

use bytes::Bytes;
use carafe_nodes::exporter::otlp::{OtlpConfig, OtlpExporter};
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_telemetry::otlp::{
    ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest, LogRecord,
    Metric, ResourceLogs, ResourceMetrics, ResourceSpans, ScopeLogs, ScopeMetrics, ScopeSpans,
    Span,
};
use carafe_telemetry::{Batch, Request, Signal};
use std::time::Duration;

/// A request of each kind with one item in it.
fn batch(signal: Signal) -> Batch {
    let trace_id = (0..16).collect::<Vec<u8>>();
    match signal {
        Signal::Traces => {
            let span = Span { name: "GET /".into(), trace_id, kind: 2, ..Default::default() };
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
            Request::Traces(ExportTraceServiceRequest { resource_spans })
        }
        Signal::Metrics => {
            let metric = Metric { name: "hits".into(), ..Default::default() };
            let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
            let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
            Request::Metrics(ExportMetricsServiceRequest { resource_metrics })
        }
        Signal::Logs => {
            let record = LogRecord { severity_text: "INFO".into(), trace_id, ..Default::default() };
            let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..Default::default() }];
            Request::Logs(ExportLogsServiceRequest { resource_logs })
        }
    }
    .encode()
}

async fn send(config: &OtlpConfig, batch: Batch) -> Result<Accepted, Refusal> {
    OtlpExporter::new(config).unwrap().consume(batch).await
}

/// Protobuf: a `google.rpc.Status` with this message and, if wanted, a `RetryInfo` of so many
/// seconds, written by hand to be independent of the exporter's own types.
fn rpc_status(code: u8, message: &str, retry_s: Option<u8>) -> Bytes {
    let mut bytes = vec![0x08, code];
    push_field(&mut bytes, 2, message.as_bytes());
    if let Some(seconds) = retry_s {
        let mut any = Vec::new();
        push_field(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        push_field(&mut any, 2, &[0x0a, 2, 0x08, seconds]);
        push_field(&mut bytes, 3, &any);
    }
    bytes.into()
}

/// Protobuf: an `ExportTraceServiceResponse` with a partial success.
fn partial_success(rejected: u8, message: &str) -> Bytes {
    let mut partial = Vec::new();
    if rejected > 0 {
        partial.extend([0x08, rejected]);
    }
    push_field(&mut partial, 2, message.as_bytes());
    let mut bytes = Vec::new();
    push_field(&mut bytes, 1, &partial);
    bytes.into()
}

fn push_field(bytes: &mut Vec<u8>, number: u8, value: &[u8]) {
    bytes.extend([number << 3 | 2, u8::try_from(value.len()).unwrap()]);
    bytes.extend(value);
}

/// For tests in which nothing is expected to take long.
const PLENTY: Duration = Duration::from_secs(30);
