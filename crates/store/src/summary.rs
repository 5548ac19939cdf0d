//! A trace in one line.

use crate::record::{SpanRecord, Trace};
use carafe_telemetry::otlp::{self, any_value::Value};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What one service did in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCount {
    /// The service.
    pub name: Arc<str>,
    /// Its spans.
    pub spans: u64,
    /// Those whose status is an error.
    pub errors: u64,
}

/// A trace in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSummary {
    /// The id.
    pub trace_id: TraceId,
    /// The first span without a parent or, where all have one, the first whose parent is not
    /// there.
    pub root: Option<RootSpan>,
    /// The earliest start.
    pub start: UnixNanos,
    /// The latest end; not before `start`.
    pub end: UnixNanos,
    /// All spans.
    pub spans: u64,
    /// Those whose status is an error.
    pub errors: u64,
    /// Those whose parent is not in the trace.
    pub orphans: u64,
    /// By service, in order of names.
    pub services: Vec<ServiceCount>,
    /// The HTTP status code of the root.
    pub http_status: Option<u16>,
}

/// The span that a trace is named after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSpan {
    /// The service.
    pub service: Arc<str>,
    /// The operation.
    pub operation: String,
    /// Whether the span has no parent, or one that is not there.
    pub is_orphan: bool,
}

impl TraceSummary {
    /// Summarises a trace.
    pub fn of(trace: &Trace) -> Self {
        let ids: HashSet<SpanId> = trace.spans.iter().map(|span| span.span_id).collect();
        let is_orphan =
            |span: &SpanRecord| span.parent_span_id.is_some_and(|id| !ids.contains(&id));
        let mut services = BTreeMap::<&Arc<str>, (u64, u64)>::new();
        let mut summary = Self {
            trace_id: trace.id,
            root: None,
            start: UnixNanos(u64::MAX),
            end: UnixNanos(0),
            spans: trace.spans.len() as u64,
            errors: 0,
            orphans: 0,
            services: Vec::new(),
            http_status: None,
        };
        // Orphans come after true roots, then the earliest wins, then the lowest id.
        let mut root: Option<(&SpanRecord, (bool, UnixNanos))> = None;
        for span in trace.spans.iter() {
            let error = u64::from(span.is_error());
            let counts = services.entry(span.service()).or_default();
            *counts = (counts.0 + 1, counts.1 + error);
            summary.errors += error;
            summary.start = summary.start.min(span.start);
            summary.end = summary.end.max(span.end).max(span.start);
            let orphan = is_orphan(span);
            summary.orphans += u64::from(orphan);
            let rank = (orphan, span.start);
            if (orphan || span.parent_span_id.is_none()) && root.is_none_or(|(_, r)| rank < r) {
                root = Some((span, rank));
            }
        }
        summary.http_status = root.and_then(|(span, _)| http_status(span));
        summary.root = root.map(|(span, (is_orphan, _))| RootSpan {
            service: Arc::clone(span.service()),
            operation: span.span.name.clone(),
            is_orphan,
        });
        summary.services = services
            .into_iter()
            .map(|(name, (spans, errors))| ServiceCount { name: Arc::clone(name), spans, errors })
            .collect();
        summary
    }
}

fn http_status(span: &SpanRecord) -> Option<u16> {
    crate::tags::aliases("http.status_code").find_map(|key| {
        match otlp::find(&span.span.attributes, key)? {
            Value::IntValue(code) => u16::try_from(*code).ok(),
            Value::StringValue(code) => code.parse().ok(),
            _ => None,
        }
    })
}
