//! Requests, errors and durations, counted step by step.

use crate::error::StoreError;
use crate::histogram::Histogram;
use crate::query::{RedPoint, RedQuery, RedSeries};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::span::SpanKind;
use std::time::Duration;

/// Whether a span answers someone: what RED counts.
pub fn is_answer(kind: SpanKind, is_root: bool) -> bool {
    is_root || matches!(kind, SpanKind::Server | SpanKind::Consumer)
}

/// An answer to a [`RedQuery`] in the making.
#[derive(Clone, Debug)]
pub struct RedCells {
    first: u64,
    step: u64,
    cells: Vec<RedCell>,
}

/// One point in the making; what it counts is in its histogram.
#[derive(Clone, Debug, Default)]
pub struct RedCell {
    /// Spans whose status is an error.
    pub errors: u64,
    /// Durations of all spans.
    pub durations: Histogram,
}

impl RedCells {
    /// Empty cells for the whole range. Errors are those of [`RedQuery::grid`].
    pub fn new(query: &RedQuery) -> Result<Self, StoreError> {
        let (first, step, points) = query.grid()?;
        Ok(Self { first, step, cells: vec![RedCell::default(); points] })
    }

    /// The cell of what started at `start`; none outside of the range.
    pub fn cell(&mut self, start: UnixNanos) -> Option<&mut RedCell> {
        let at = start.0.checked_sub(self.first)? / self.step;
        self.cells.get_mut(usize::try_from(at).ok()?)
    }

    /// Counts one span.
    pub fn add(&mut self, start: UnixNanos, is_error: bool, duration: Duration) {
        if let Some(cell) = self.cell(start) {
            cell.errors += u64::from(is_error);
            cell.durations.add(duration);
        }
    }

    /// The answer.
    pub fn finish(self) -> RedSeries {
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
