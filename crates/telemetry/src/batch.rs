//! What travels through a pipeline: one export request, as the bytes it came in.

use crate::otlp;
use crate::view::{ViewError, count};
use bytes::Bytes;
use prost::Message;
use std::fmt;

/// The three kinds of telemetry that OTLP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them, in the order of the OTLP specification.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, `metrics` or `logs`: the word in URLs and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bytes that are not the protobuf message that they should be.
#[derive(Debug, thiserror::Error)]
#[error("not an OTLP {signal} request: {source}")]
pub struct DecodeError {
    /// What the bytes were taken for.
    pub signal: Signal,
    /// What prost says.
    pub source: prost::DecodeError,
}

/// One `Export{Trace,Metrics,Logs}ServiceRequest` in protobuf, not decoded. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which of the three requests it is.
    pub signal: Signal,
    /// The request's protobuf bytes, uncompressed.
    pub bytes: Bytes,
}

/// A decoded [`Batch`].
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(otlp::ExportTraceServiceRequest),
    /// Data points.
    Metrics(otlp::ExportMetricsServiceRequest),
    /// Log records.
    Logs(otlp::ExportLogsServiceRequest),
}

impl Batch {
    /// Decodes the whole request. Costs about 1 µs a span: for ends of a pipeline, not for
    /// nodes that pass data on.
    pub fn decode(&self) -> Result<Request, DecodeError> {
        let bytes = self.bytes.clone();
        match self.signal {
            Signal::Traces => Message::decode(bytes).map(Request::Traces),
            Signal::Metrics => Message::decode(bytes).map(Request::Metrics),
            Signal::Logs => Message::decode(bytes).map(Request::Logs),
        }
        .map_err(|source| DecodeError { signal: self.signal, source })
    }

    /// The same request as prost writes it: each field once and in order, without those that
    /// OTLP does not know. The views take every request of that form.
    pub fn normalised(&self) -> Result<Self, DecodeError> {
        Ok(self.decode()?.encode())
    }

    /// Spans, data points or log records in the request, for counters: told by the lengths of
    /// its messages, at some nanoseconds each. An error where these do not fit together; what
    /// is within the items is not checked.
    pub fn items(&self) -> Result<u64, ViewError> {
        count::items(self.signal, &self.bytes)
    }
}

impl Request {
    /// Encodes the request.
    pub fn encode(&self) -> Batch {
        let (signal, bytes) = match self {
            Self::Traces(request) => (Signal::Traces, request.encode_to_vec()),
            Self::Metrics(request) => (Signal::Metrics, request.encode_to_vec()),
            Self::Logs(request) => (Signal::Logs, request.encode_to_vec()),
        };
        Batch { signal, bytes: bytes.into() }
    }

    /// Spans, data points or log records in the request.
    pub fn items(&self) -> usize {
        match self {
            Self::Traces(r) => {
                r.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
            }
            Self::Logs(r) => r
                .resource_logs
                .iter()
                .flat_map(|r| &r.scope_logs)
                .map(|s| s.log_records.len())
                .sum(),
            Self::Metrics(r) => r
                .resource_metrics
                .iter()
                .flat_map(|r| &r.scope_metrics)
                .flat_map(|s| &s.metrics)
                .map(data_points)
                .sum(),
        }
    }
}

fn data_points(metric: &otlp::Metric) -> usize {
    use otlp::metric::Data;
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}
