//! Answers that are put together from many spans.

use crate::error::StoreError;
use crate::filter::SpanFilter;
use crate::histogram::Histogram;
use crate::query::{AttributeValue, GraphEdge, RedPoint, RedQuery, RedSeries};
use crate::record::{SpanRecord, Trace};
use crate::tags;
use carafe_telemetry::otlp::span::SpanKind;
use carafe_telemetry::{SpanId, UnixNanos};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Distinct keys or values that are counted; more are left out.
const MAX_DISTINCT: usize = 10_000;

#[derive(Default)]
pub(super) struct AttributeKeys(BTreeSet<String>);

impl AttributeKeys {
    pub(super) fn add(&mut self, span: &SpanRecord) {
        let attributes = [&span.span.attributes, &span.resource.resource.attributes];
        let keys = attributes.into_iter().flatten().map(|kv| kv.key.as_str());
        for key in keys.chain(tags::VIRTUAL_TAGS.iter().copied()) {
            if self.0.len() < MAX_DISTINCT && !self.0.contains(key) {
                self.0.insert(key.to_owned());
            }
        }
    }

    pub(super) fn finish(self, limit: usize) -> Vec<String> {
        self.0.into_iter().take(limit).collect()
    }
}

pub(super) struct AttributeValues<'a> {
    keys: Vec<&'a str>,
    counts: HashMap<String, u64>,
}

impl<'a> AttributeValues<'a> {
    pub(super) fn new(key: &'a str) -> Self {
        Self { keys: tags::aliases(key).collect(), counts: HashMap::new() }
    }

    pub(super) fn add(&mut self, span: &SpanRecord) {
        let Some(value) = tags::values(span, &self.keys) else { return };
        if let Some(count) = self.counts.get_mut(&*value) {
            *count += 1;
        } else if self.counts.len() < MAX_DISTINCT {
            self.counts.insert(value.into_owned(), 1);
        }
    }

    pub(super) fn finish(self, limit: usize) -> Vec<AttributeValue> {
        let values = self.counts.into_iter().map(|(text, spans)| AttributeValue { text, spans });
        let mut values: Vec<_> = values.collect();
        values.sort_by(|a, b| b.spans.cmp(&a.spans).then_with(|| a.text.cmp(&b.text)));
        values.truncate(limit);
        values
    }
}

pub(super) struct Red {
    first: u64,
    step: u64,
    cells: Vec<Cell>,
}

#[derive(Clone, Default)]
struct Cell {
    errors: u64,
    durations: Histogram,
}

impl Red {
    pub(super) fn new(query: &RedQuery) -> Result<Self, StoreError> {
        let (first, step, points) = query.grid()?;
        Ok(Self { first, step, cells: vec![Cell::default(); points] })
    }

    pub(super) fn add(&mut self, filter: &SpanFilter, trace: &Trace) {
        if filter.errors_only && !trace.spans.iter().any(SpanRecord::is_error) {
            return;
        }
        let entries = trace.spans.iter().filter(|span| answers_someone(span));
        for span in entries.filter(|span| filter.matches_span(span)) {
            // The filter's range is the grid's, so there is a cell for every span.
            let at = span.start.0.saturating_sub(self.first) / self.step;
            if let Some(cell) = usize::try_from(at).ok().and_then(|at| self.cells.get_mut(at)) {
                cell.errors += u64::from(span.is_error());
                cell.durations.add(span.duration());
            }
        }
    }

    pub(super) fn finish(self) -> RedSeries {
        let percentiles = |durations: &Histogram| -> Option<[Duration; 3]> {
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| durations.quantile(q));
            Some([p50?, p95?, p99?])
        };
        let points = self.cells.iter().enumerate().map(|(at, cell)| RedPoint {
            time: UnixNanos(self.first + at as u64 * self.step),
            count: cell.durations.count(),
            errors: cell.errors,
            percentiles: percentiles(&cell.durations),
        });
        RedSeries { step: Duration::from_nanos(self.step), points: points.collect() }
    }
}

fn answers_someone(span: &SpanRecord) -> bool {
    matches!(span.kind(), SpanKind::Server | SpanKind::Consumer) || span.parent_span_id.is_none()
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
