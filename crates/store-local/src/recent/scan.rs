//! Searching recent spans.

use super::needle::Needle;
use super::segment::{At, Row, Segment};
use super::spans::SpanSnapshot;
use crate::budget::Budget;
use crate::source::{Scan, SpanHit, SpanSource, Want};
use carafe_store::{SpanFilter, SpanRecord, StoreError, TimeRange};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Rows between two looks at the budget.
const BUDGET_ROWS: u64 = 1_024;

/// Merges segments by start, newest first.
pub(super) struct Newest<'a> {
    heap: BinaryHeap<Head<'a>>,
    oldest: UnixNanos,
}

struct Head<'a> {
    start: UnixNanos,
    span_id: Reverse<SpanId>,
    segment: &'a Segment,
    rest: &'a [u32],
}

impl<'a> Head<'a> {
    fn new(segment: &'a Segment, order: &'a [u32]) -> Option<Self> {
        let row = &segment.rows[*order.first()? as usize];
        Some(Self { start: row.start, span_id: Reverse(row.span_id), segment, rest: order })
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.start, self.span_id).cmp(&(other.start, other.span_id))
    }
}

impl<'a> Newest<'a> {
    pub(super) fn new(segments: &'a [Arc<Segment>], range: TimeRange) -> Self {
        let heads = segments.iter().filter_map(|segment| {
            let order = segment.newest_first();
            let first = order.partition_point(|&row| segment.rows[row as usize].start > range.end);
            Head::new(segment, &order[first..])
        });
        Self { heap: heads.collect(), oldest: range.start }
    }
}

impl<'a> Iterator for Newest<'a> {
    type Item = (&'a Segment, &'a Row);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.heap.pop()?;
        if head.start < self.oldest {
            // All others are older still.
            self.heap.clear();
            return None;
        }
        self.heap.extend(Head::new(head.segment, &head.rest[1..]));
        Some((head.segment, &head.segment.rows[head.rest[0] as usize]))
    }
}

impl SpanSource for SpanSnapshot {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn scan<'a>(
        &'a self,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Scan<'a, SpanHit> {
        let light = Light::new(filter);
        let mut looked_at = 0;
        let rows = Newest::new(&self.segments, filter.range);
        Box::new(rows.filter_map(move |(segment, row)| {
            looked_at += 1;
            if looked_at % BUDGET_ROWS == 0
                && let Err(error) = budget.rows(BUDGET_ROWS)
            {
                return Some(Err(error));
            }
            light.hit(segment, row, want).transpose()
        }))
    }

    fn traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
        out: &mut Vec<SpanRecord>,
    ) -> Result<(), StoreError> {
        for at in self.last_rows(ids) {
            let mut next = Some(at);
            while let Some(At { segment, row }) = next {
                let segment = &self.segments[segment as usize];
                let row = &segment.rows[row as usize];
                budget.bytes(segment.item(row).len() as u64)?;
                budget.rows(1)?;
                out.push(segment.record(row)?);
                next = row.previous;
            }
        }
        Ok(())
    }

    fn failed_traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
    ) -> Result<HashSet<TraceId>, StoreError> {
        let mut failed = HashSet::new();
        for at in self.last_rows(ids) {
            let row_at = |at: &At| &self.segments[at.segment as usize].rows[at.row as usize];
            for at in std::iter::successors(Some(at), |at| row_at(at).previous) {
                budget.rows(1)?;
                let row = row_at(&at);
                if row.is_error() {
                    failed.insert(row.trace_id);
                    break;
                }
            }
        }
        Ok(failed)
    }
}

/// A filter, with what can be told without decoding spans.
struct Light<'a> {
    filter: &'a SpanFilter,
    needles: Vec<Needle>,
    /// Whether the light columns decide.
    is_exact: bool,
}

impl<'a> Light<'a> {
    fn new(filter: &'a SpanFilter) -> Self {
        // Named one by one, so that a new condition cannot be forgotten here.
        let SpanFilter {
            service: _,
            operation: _,
            tags,
            min_duration: _,
            max_duration: _,
            range: _,
            url,
            condition,
            errors_only: _,
        } = filter;
        let needles = tags.iter().filter_map(|tag| Needle::of_tag(tag.key(), tag.value()));
        let is_exact = tags.is_empty() && url.is_none() && condition.is_none();
        Self { filter, needles: needles.collect(), is_exact }
    }

    fn may_match(&self, segment: &Segment, row: &Row) -> bool {
        let filter = self.filter;
        let duration = || Duration::from_nanos(row.end.0.saturating_sub(row.start.0));
        filter.service.as_deref().is_none_or(|service| **segment.service(row) == *service)
            && filter
                .operation
                .as_deref()
                .is_none_or(|name| *segment.names[row.name as usize] == *name)
            && filter.min_duration.is_none_or(|min| duration() >= min)
            && filter.max_duration.is_none_or(|max| duration() <= max)
            && (self.needles.is_empty() || {
                let resource = &segment.resources[row.resource as usize].bytes;
                let scope = &segment.scopes[row.scope as usize].bytes;
                let messages: [&[u8]; 3] = [segment.item(row), resource, scope];
                self.needles.iter().all(|needle| needle.may_be_in(&messages))
            })
    }

    fn hit(&self, segment: &Segment, row: &Row, want: Want) -> Result<Option<SpanHit>, StoreError> {
        if !self.may_match(segment, row) {
            return Ok(None);
        }
        let record = match want == Want::Records || !self.is_exact {
            true => Some(segment.record(row)?),
            false => None,
        };
        if record.as_ref().is_some_and(|record| !self.filter.matches_span(record)) {
            return Ok(None);
        }
        Ok(Some(SpanHit {
            trace_id: row.trace_id,
            span_id: row.span_id,
            start: row.start,
            end: row.end,
            kind: row.kind,
            parent_span_id: row.parent_span_id,
            is_error: row.is_error(),
            service: Arc::clone(segment.service(row)),
            name: Arc::clone(&segment.names[row.name as usize]),
            record: record.filter(|_| want == Want::Records),
        }))
    }
}
