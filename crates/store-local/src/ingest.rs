//! One export request, checked and indexed, its items still where they came.

mod index;
mod rules;

#[cfg(test)]
mod tests;

pub use index::{Indexed, MAX_REQUEST_BYTES, index_logs, index_metrics, index_traces};
pub use rules::Rules;

use bytes::Bytes;
use carafe_store::ResourceRecord;
use carafe_store::ScopeRecord;
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::ops::Range;
use std::sync::Arc;

/// A place in the request's bytes. Requests are smaller than 4 GiB.
pub type Place = Range<u32>;

/// A resource of the request.
#[derive(Clone, Debug)]
pub struct IncomingResource {
    /// Its OTLP message; empty where the request has none.
    pub bytes: Bytes,
    /// The resource, decoded: there are few in a request.
    pub record: Arc<ResourceRecord>,
}

/// A scope of the request.
#[derive(Clone, Debug)]
pub struct IncomingScope {
    /// Its OTLP message; empty where the request has none.
    pub bytes: Bytes,
    /// The scope, decoded.
    pub record: Arc<ScopeRecord>,
}

/// One span of the request.
#[derive(Clone, Debug)]
pub struct IncomingSpan {
    /// The trace; valid.
    pub trace_id: TraceId,
    /// Its own id; valid.
    pub span_id: SpanId,
    /// The span that caused it; never the all-zero id.
    pub parent_span_id: Option<SpanId>,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// OTLP's number of the kind, known or not: it is part of what makes a span itself.
    pub kind: i32,
    /// OTLP's number of the status; 0 where that is not known.
    pub status: u8,
    /// Which of [`IncomingSpans::resources`].
    pub resource: u32,
    /// Which of [`IncomingSpans::scopes`].
    pub scope: u32,
    /// Where its name is.
    pub name: Place,
    /// Where its OTLP message is, without tag and length.
    pub item: Place,
}

/// The spans of one request.
#[derive(Clone, Debug, Default)]
pub struct IncomingSpans {
    /// The request. Every span's message in it can be decoded.
    pub bytes: Bytes,
    /// What can be stored, in the request's order.
    pub spans: Vec<IncomingSpan>,
    /// Resources, in the request's order.
    pub resources: Vec<IncomingResource>,
    /// Scopes, in the request's order.
    pub scopes: Vec<IncomingScope>,
}

/// One log record of the request.
#[derive(Clone, Debug)]
pub struct IncomingLog {
    /// When it happened; where the record does not say, when it was observed or received.
    pub time: UnixNanos,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    pub span_id: Option<SpanId>,
    /// OTLP's number of the severity.
    pub severity_number: i32,
    /// Which of [`IncomingLogs::resources`].
    pub resource: u32,
    /// Which of [`IncomingLogs::scopes`].
    pub scope: u32,
    /// Where its OTLP message is, without tag and length.
    pub item: Place,
}

/// The log records of one request.
#[derive(Clone, Debug, Default)]
pub struct IncomingLogs {
    /// The request. Every record's message in it can be decoded.
    pub bytes: Bytes,
    /// What can be stored, in the request's order.
    pub logs: Vec<IncomingLog>,
    /// Resources, in the request's order.
    pub resources: Vec<IncomingResource>,
    /// Scopes, in the request's order.
    pub scopes: Vec<IncomingScope>,
}
