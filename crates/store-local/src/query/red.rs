//! Requests, errors and durations over time: what roll-ups answer, and what a scan must.

use super::errors::FailedTraces;
use super::merge::Hits;
use crate::budget::Budget;
use crate::source::{SpanSource, Want};
use carafe_store::{RedCells, RedQuery, SpanFilter, StoreError, TimeRange, is_answer};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::span::SpanKind;
use std::sync::Arc;
use std::time::Duration;

/// The length of the cells of roll-ups.
pub const ROLLUP_CELL: Duration = Duration::from_secs(10);

const CELL: u64 = ROLLUP_CELL.as_nanos() as u64;

/// How a RED query is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedPlan {
    /// Numbers of the roll-up cells (of [`ROLLUP_CELL`], counted from the epoch) to add up,
    /// the end not included; none where roll-ups cannot answer.
    pub cells: Option<std::ops::Range<u64>>,
    /// What is counted span by span.
    pub scans: Vec<TimeRange>,
}

/// Roll-ups answer for services and operations, in steps of whole cells; the parts of cells
/// at both ends of the range are counted span by span, as is all of any other query.
pub fn plan_red(query: &RedQuery) -> RedPlan {
    let SpanFilter {
        service: _,
        operation: _,
        tags,
        min_duration,
        max_duration,
        range: TimeRange { start, end },
        url,
        condition,
        errors_only,
    } = &query.filter;
    let is_plain = tags.is_empty()
        && min_duration.is_none()
        && max_duration.is_none()
        && url.is_none()
        && condition.is_none()
        && !errors_only;
    let first = start.0.div_ceil(CELL);
    // The end is included, so a cell is whole where the next one begins right after it.
    let last = end.0.saturating_add(1) / CELL;
    if !is_plain || !query.step.as_nanos().is_multiple_of(ROLLUP_CELL.as_nanos()) || first >= last {
        return RedPlan { cells: None, scans: vec![query.filter.range] };
    }
    let mut scans = Vec::new();
    if start.0 < first * CELL {
        scans.push(TimeRange { start: *start, end: UnixNanos(first * CELL - 1) });
    }
    if last * CELL <= end.0 {
        scans.push(TimeRange { start: UnixNanos(last * CELL), end: *end });
    }
    RedPlan { cells: Some(first..last), scans }
}

/// Counts the spans of `range` that answer someone and fulfil the query's filter, range
/// aside, into `cells`.
pub fn red_scan(
    sources: &[Arc<dyn SpanSource>],
    query: &RedQuery,
    range: TimeRange,
    cells: &mut RedCells,
    budget: &Budget,
) -> Result<(), StoreError> {
    let filter = &SpanFilter { range, ..query.filter.clone() };
    let mut failed = FailedTraces::new(sources, filter, budget);
    let mut answers = Hits::new(sources, filter, Want::Hits, budget).filter(|hit| {
        let kind = |kind: i32| SpanKind::try_from(kind).unwrap_or(SpanKind::Unspecified);
        hit.as_ref().map_or(true, |hit| is_answer(kind(hit.kind), hit.parent_span_id.is_none()))
    });
    loop {
        let mut chunk = Vec::new();
        while chunk.len() < failed.chunk()
            && let Some(hit) = answers.next().transpose()?
        {
            chunk.push(hit);
        }
        let is_last = chunk.len() < failed.chunk();
        failed.retain(&mut chunk)?;
        for hit in chunk {
            let duration = Duration::from_nanos(hit.end.0.saturating_sub(hit.start.0));
            cells.add(hit.start, hit.is_error, duration);
        }
        if is_last {
            return Ok(());
        }
    }
}
