//! Answers that are put together from many spans.

use crate::filter::SpanFilter;
use crate::query::GraphEdge;
use crate::record::{SpanRecord, Trace};
use crate::red::{RedCells, is_answer};
use carafe_telemetry::SpanId;
use carafe_telemetry::otlp::span::SpanKind;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Counts the spans of `trace` that answer someone and fulfil `filter`.
pub(super) fn add_to_red(red: &mut RedCells, filter: &SpanFilter, trace: &Trace) {
    if filter.errors_only && !trace.spans.iter().any(SpanRecord::is_error) {
        return;
    }
    let answers =
        trace.spans.iter().filter(|span| is_answer(span.kind(), span.parent_span_id.is_none()));
    for span in answers.filter(|span| filter.matches_span(span)) {
        red.add(span.start, span.is_error(), span.duration());
    }
}

#[derive(Default)]
pub(super) struct Graph(BTreeMap<(Arc<str>, Arc<str>), (u64, u64)>);

impl Graph {
    pub(super) fn add(&mut self, filter: &SpanFilter, trace: &Trace) {
        let by_id: HashMap<SpanId, &SpanRecord> =
            trace.spans.iter().rev().map(|span| (span.span_id, span)).collect();
        for span in trace.spans.iter().filter(|span| filter.matches_span(span)) {
            let parent = span.parent_span_id.and_then(|id| by_id.get(&id));
            let Some(parent) = parent.filter(|parent| is_call(parent, span)) else { continue };
            let names = (Arc::clone(parent.service()), Arc::clone(span.service()));
            let counts = self.0.entry(names).or_default();
            *counts = (counts.0 + 1, counts.1 + u64::from(span.is_error()));
        }
    }

    pub(super) fn finish(self) -> Vec<GraphEdge> {
        self.0
            .into_iter()
            .map(|((parent, child), (calls, errors))| GraphEdge { parent, child, calls, errors })
            .collect()
    }
}

fn is_call(parent: &SpanRecord, child: &SpanRecord) -> bool {
    parent.service() != child.service()
        || (matches!(parent.kind(), SpanKind::Client | SpanKind::Producer)
            && matches!(child.kind(), SpanKind::Server | SpanKind::Consumer))
}
