//! Traces by id, and searches for them.

use super::errors::failed_traces;
use super::merge::Hits;
use crate::budget::Budget;
use crate::source::{SpanSource, Want};
use carafe_store::{
    NewestTraces, ResourceRecord, ScopeRecord, SpanRecord, StoreError, Trace, TracePage,
    TraceQuery, TraceSummary,
};
use carafe_telemetry::TraceId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Traces that a search looks up together, at least and at most.
const MIN_CHUNK: usize = 16;
const MAX_CHUNK: usize = 1_024;

/// What a search keeps of a trace that it has looked up.
const BYTES: u64 = 32;

/// The traces with these ids, in the order of `ids`, without those that are not there.
pub fn traces(
    sources: &[Arc<dyn SpanSource>],
    ids: &[TraceId],
    budget: &Budget,
) -> Result<Vec<Trace>, StoreError> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let found = whole_traces(sources, &sorted, budget)?;
    let by_id: HashMap<TraceId, Trace> = found.into_iter().map(|t| (t.id, t)).collect();
    Ok(ids.iter().filter_map(|id| by_id.get(id).cloned()).collect())
}

/// All spans of these traces, from all sources. `ids` is sorted.
fn whole_traces(
    sources: &[Arc<dyn SpanSource>],
    ids: &[TraceId],
    budget: &Budget,
) -> Result<Vec<Trace>, StoreError> {
    let mut spans = Vec::new();
    for source in sources {
        source.traces(ids, budget, &mut spans)?;
    }
    spans.sort_by_key(|span| span.trace_id);
    let mut traces = Vec::new();
    let mut shared = Shared::default();
    while let Some(first) = spans.last() {
        let id = first.trace_id;
        let begin = spans.partition_point(|span| span.trace_id < id);
        let mut of_trace = spans.split_off(begin);
        of_trace.iter_mut().for_each(|span| shared.share(span));
        traces.extend(Trace::of(of_trace));
    }
    Ok(traces)
}

/// Makes one of resources and of scopes that are equal: each source has its own.
#[derive(Default)]
struct Shared {
    resources: Vec<Arc<ResourceRecord>>,
    scopes: Vec<Arc<ScopeRecord>>,
}

/// Resources and scopes that are compared with those of a span, the newest ones.
const MAX_SHARED: usize = 64;

impl Shared {
    fn share(&mut self, span: &mut SpanRecord) {
        share(&mut self.resources, &mut span.resource);
        share(&mut self.scopes, &mut span.scope);
    }
}

fn share<T: PartialEq>(known: &mut Vec<Arc<T>>, one: &mut Arc<T>) {
    let newest = &known[known.len().saturating_sub(MAX_SHARED)..];
    let same = newest.iter().rev().find(|other| Arc::ptr_eq(other, one) || ***other == **one);
    match same {
        Some(other) => *one = Arc::clone(other),
        None => known.push(Arc::clone(one)),
    }
}

/// Traces that match: those with the newest matching spans.
///
/// Walks the matching spans, newest first, and looks up the traces that they are of, a chunk
/// at a time; the chunks grow, so that a condition on whole traces that few of them fulfil
/// costs few passes over the sources.
pub fn find_traces(
    sources: &[Arc<dyn SpanSource>],
    query: &TraceQuery,
    budget: &Budget,
) -> Result<TracePage, StoreError> {
    let mut newest = NewestTraces::new(query)?;
    let filter = query.filter.until(newest.latest());
    let mut hits = Hits::new(sources, &filter, Want::Hits, budget);
    let mut seen = HashSet::new();
    let mut chunk = query.limit.saturating_add(1).clamp(MIN_CHUNK, MAX_CHUNK);
    loop {
        let mut ids = Vec::new();
        let mut is_last = false;
        while ids.len() < chunk && !is_last {
            match hits.next().transpose()? {
                Some(hit) if newest.wants(hit.start) => {
                    if seen.insert(hit.trace_id) {
                        budget.bytes(BYTES)?;
                        ids.push(hit.trace_id);
                    }
                }
                _ => is_last = true,
            }
        }
        ids.sort_unstable();
        if filter.errors_only {
            let decided = failed_traces(sources, ids, budget)?;
            ids = decided.into_iter().filter(|(_, failed)| *failed).map(|(id, _)| id).collect();
            ids.sort_unstable();
        }
        for trace in whole_traces(sources, &ids, budget)? {
            // By the whole filter: a trace that a page before has shown has a newer match.
            if let Some(start) = query.filter.newest_match(&trace) {
                newest.push(start, trace.id, || TraceSummary::of(&trace));
            }
        }
        if is_last {
            return Ok(newest.finish());
        }
        chunk = (chunk * 2).min(MAX_CHUNK);
    }
}
