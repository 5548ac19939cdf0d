//! Which traces have failed: the one condition of a filter that is not about a span.

use crate::budget::Budget;
use crate::source::{SpanHit, SpanSource};
use carafe_store::{SpanFilter, StoreError};
use carafe_telemetry::TraceId;
use std::collections::HashMap;
use std::sync::Arc;

/// Spans whose traces are looked up together at first, and at most.
const FIRST_CHUNK: usize = 64;
const MAX_CHUNK: usize = 4_096;

/// What a looked-up trace takes.
const BYTES: u64 = 48;

/// Keeps spans of failed traces where these are asked for, else all.
pub(super) struct FailedTraces<'a> {
    sources: &'a [Arc<dyn SpanSource>],
    budget: &'a Budget,
    /// None where it does not matter whether a trace has failed.
    known: Option<HashMap<TraceId, bool>>,
    chunk: usize,
}

impl<'a> FailedTraces<'a> {
    pub(super) fn new(
        sources: &'a [Arc<dyn SpanSource>],
        filter: &SpanFilter,
        budget: &'a Budget,
    ) -> Self {
        let known = filter.errors_only.then(HashMap::new);
        let chunk = if known.is_some() { FIRST_CHUNK } else { 1 };
        Self { sources, budget, known, chunk }
    }

    /// How many spans to collect before [`retain`](Self::retain).
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Removes spans of traces that have not failed.
    pub(super) fn retain(&mut self, hits: &mut Vec<SpanHit>) -> Result<(), StoreError> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let unknown = hits.iter().map(|hit| hit.trace_id).filter(|id| !known.contains_key(id));
        let mut unknown: Vec<TraceId> = unknown.collect();
        unknown.sort_unstable();
        unknown.dedup();
        self.budget.bytes(BYTES * unknown.len() as u64)?;
        for (id, failed) in failed_traces(self.sources, unknown, self.budget)? {
            known.insert(id, failed);
        }
        hits.retain(|hit| known.get(&hit.trace_id) == Some(&true));
        self.chunk = (self.chunk * 2).min(MAX_CHUNK);
        Ok(())
    }
}

/// Which of these traces have a span whose status is an error. `ids` is sorted.
pub(super) fn failed_traces(
    sources: &[Arc<dyn SpanSource>],
    ids: Vec<TraceId>,
    budget: &Budget,
) -> Result<Vec<(TraceId, bool)>, StoreError> {
    let mut left = ids;
    let mut decided = Vec::with_capacity(left.len());
    for source in sources {
        if left.is_empty() {
            break;
        }
        let failed = source.failed_traces(&left, budget)?;
        left.retain(|id| !failed.contains(id));
        decided.extend(failed.into_iter().map(|id| (id, true)));
    }
    decided.extend(left.into_iter().map(|id| (id, false)));
    Ok(decided)
}
