//! `/traces/{id}`: all spans of a trace in columns, depth first.

use super::{Answer, SharedStore, micros, ok, trace_id};
use crate::fault::Fault;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use carafe_store::{LogQuery, SpanRecord, Trace};
use carafe_telemetry::SpanId;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Log records that are counted for the spans of one trace.
const MAX_COUNTED_LOGS: usize = 100_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Columns {
    trace_id: String,
    start_micros: u64,
    duration_micros: f64,
    services: Vec<String>,
    names: Vec<String>,
    spans: SpanColumns,
    missing_parents: usize,
}

/// Rows of all columns belong together.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanColumns {
    id: Vec<String>,
    /// The row of the parent; -1 where there is none, or it is not in the trace.
    parent: Vec<i64>,
    depth: Vec<usize>,
    /// Microseconds after the start of the trace.
    start: Vec<f64>,
    /// Microseconds.
    duration: Vec<f64>,
    /// Index into the services.
    service: Vec<usize>,
    /// Index into the names.
    name: Vec<usize>,
    kind: Vec<i32>,
    status: Vec<i32>,
    log_count: Vec<u64>,
    event_count: Vec<usize>,
}

pub(super) async fn trace(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let Path(id) = path?;
    let id = trace_id(&id)?;
    let trace = store.trace(id).await?.ok_or_else(|| not_found(id))?;
    let query = LogQuery { trace_id: Some(id), ..LogQuery::all(MAX_COUNTED_LOGS) };
    let mut log_counts = HashMap::new();
    for log in store.find_logs(&query).await?.logs {
        if let Some(span_id) = log.span_id {
            *log_counts.entry(span_id).or_insert(0) += 1;
        }
    }
    ok(&columns(&trace, &log_counts))
}

pub(super) fn not_found(id: carafe_telemetry::TraceId) -> Fault {
    Fault::not_found(format!("no trace {id} here; it may have been evicted, or not come yet"))
}

fn columns(trace: &Trace, log_counts: &HashMap<SpanId, u64>) -> Columns {
    let (rows, missing_parents) = depth_first(&trace.spans);
    let first = trace.spans.iter().map(|span| span.start).min().unwrap_or_default();
    let last = trace.spans.iter().map(|span| span.end).max().unwrap_or_default();
    let since = |nanos: u64| micros(Duration::from_nanos(nanos.saturating_sub(first.0)));
    let (mut services, mut names) = (Dictionary::default(), Dictionary::default());
    let mut spans = SpanColumns::default();
    for row in rows {
        let span = &trace.spans[row.span];
        spans.id.push(span.span_id.to_string());
        spans.parent.push(row.parent.map_or(-1, |parent| parent as i64));
        spans.depth.push(row.depth);
        spans.start.push(since(span.start.0));
        spans.duration.push(micros(span.duration()));
        spans.service.push(services.index(span.service()));
        spans.name.push(names.index(&span.span.name));
        spans.kind.push(span.kind() as i32);
        spans.status.push(span.status_code() as i32);
        spans.log_count.push(log_counts.get(&span.span_id).copied().unwrap_or(0));
        spans.event_count.push(span.span.events.len());
    }
    Columns {
        trace_id: trace.id.to_string(),
        start_micros: first.as_micros(),
        duration_micros: since(last.0),
        services: services.values,
        names: names.values,
        spans,
        missing_parents,
    }
}

/// Values in the order in which they come, each once.
#[derive(Default)]
struct Dictionary<'a> {
    values: Vec<String>,
    indexes: HashMap<&'a str, usize>,
}

impl<'a> Dictionary<'a> {
    fn index(&mut self, value: &'a str) -> usize {
        *self.indexes.entry(value).or_insert_with(|| {
            self.values.push(value.to_owned());
            self.values.len() - 1
        })
    }
}

/// A span's place in the order.
#[derive(Debug)]
struct Row {
    /// Index into the spans.
    span: usize,
    /// Index into the rows.
    parent: Option<usize>,
    depth: usize,
}

/// Every span once, parents before their children, siblings by start, and the number of
/// spans whose parent is not there.
///
/// Parent ids come from outside and may form cycles. Spans that no root leads to are in a
/// cycle or below one; the earliest of them is taken for a root until none is left.
fn depth_first(spans: &[SpanRecord]) -> (Vec<Row>, usize) {
    let mut by_id = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        by_id.entry(span.span_id).or_insert(at);
    }
    let mut by_start: Vec<usize> = (0..spans.len()).collect();
    by_start.sort_by_key(|&at| spans[at].start);
    let mut children = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    let mut missing_parents = 0;
    for &at in &by_start {
        match spans[at].parent_span_id.map(|id| by_id.get(&id)) {
            None => roots.push(at),
            Some(None) => {
                missing_parents += 1;
                roots.push(at);
            }
            Some(Some(&parent)) => children[parent].push(at),
        }
    }
    let mut rows = Vec::with_capacity(spans.len());
    let mut placed = vec![false; spans.len()];
    for at in roots.into_iter().chain(by_start) {
        let mut stack = vec![Row { span: at, parent: None, depth: 0 }];
        while let Some(row) = stack.pop() {
            if std::mem::replace(&mut placed[row.span], true) {
                continue;
            }
            let (place, depth) = (rows.len(), row.depth + 1);
            // The stack gives back the last first.
            let below = children[row.span].iter().rev();
            stack.extend(below.map(|&span| Row { span, parent: Some(place), depth }));
            rows.push(row);
        }
    }
    (rows, missing_parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_store::{ResourceRecord, ScopeRecord};
    use carafe_telemetry::{TraceId, UnixNanos, otlp};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn span(id: u8, parent: Option<u8>, start: u64) -> SpanRecord {
        SpanRecord {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([id; 8]),
            parent_span_id: parent.map(|id| SpanId([id; 8])),
            start: UnixNanos(start),
            end: UnixNanos(start + 1),
            resource: Arc::new(ResourceRecord::new(otlp::Resource::default(), String::new())),
            scope: Arc::new(ScopeRecord::default()),
            span: Arc::default(),
        }
    }

    #[test]
    fn siblings_by_start_children_below() {
        let spans =
            [span(3, Some(1), 30), span(2, Some(1), 20), span(1, None, 10), span(4, Some(2), 5)];
        let (rows, missing) = depth_first(&spans);
        let rows: Vec<_> = rows.iter().map(|row| (row.span, row.parent, row.depth)).collect();
        assert_eq!(rows, [(2, None, 0), (1, Some(0), 1), (3, Some(1), 2), (0, Some(0), 1)]);
        assert_eq!(missing, 0);
    }

    #[test]
    fn orphans_and_cycles_are_roots() {
        let spans = [
            span(1, Some(1), 1),
            span(2, Some(3), 3),
            span(3, Some(2), 2),
            span(4, Some(9), 9),
            span(5, Some(2), 9),
        ];
        let (rows, missing) = depth_first(&spans);
        assert_eq!(missing, 1);
        let roots = rows.iter().filter(|row| row.parent.is_none()).map(|row| row.span);
        assert_eq!(roots.collect::<Vec<_>>(), [3, 0, 2]);
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn a_deep_trace_needs_no_deep_stack() {
        let mut spans: Vec<SpanRecord> = Vec::new();
        for n in 0..100_000_u64 {
            let mut span = span(0, None, n);
            span.span_id = SpanId((n + 1).to_be_bytes());
            span.parent_span_id = spans.last().map(|parent| parent.span_id);
            spans.push(span);
        }
        let (rows, _) = depth_first(&spans);
        assert_eq!(rows.last().map(|row| row.depth), Some(99_999));
    }

    proptest! {
        /// Any graph of parents, shared ids included, gives every span exactly once, below a
        /// parent that stands before it.
        #[test]
        fn every_span_once(
            links in prop::collection::vec((1..12_u8, prop::option::of(1..14_u8), 0..9_u64), 1..24)
        ) {
            let spans: Vec<_> = links.iter().map(|&(id, p, start)| span(id, p, start)).collect();
            let (rows, missing) = depth_first(&spans);
            let mut seen: Vec<_> = rows.iter().map(|row| row.span).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..spans.len()).collect::<Vec<_>>());
            for (place, row) in rows.iter().enumerate() {
                if let Some(parent) = row.parent {
                    prop_assert!(parent < place);
                    prop_assert_eq!(row.depth, rows[parent].depth + 1);
                    let parent_id = Some(spans[rows[parent].span].span_id);
                    prop_assert_eq!(spans[row.span].parent_span_id, parent_id);
                } else {
                    prop_assert_eq!(row.depth, 0);
                }
            }
            let there = |id| spans.iter().any(|span| span.span_id == id);
            let orphans = spans.iter().filter(|s| s.parent_span_id.is_some_and(|id| !there(id)));
            prop_assert_eq!(missing, orphans.count());
        }
    }
}
