//! Which services call which: sums beside the files, and a look at recent spans.

use super::queries::View;
use crate::calls::{Call, CallSums, Parent};
use crate::rollup::edges::EdgesView;
use crate::rollup::red::CELL_NANOS;
use carafe_store::{GraphEdge, StoreError, TimeRange};
use carafe_telemetry::UnixNanos;
use std::ops::Range;
use std::sync::Arc;

impl View {
    pub(super) fn graph(&self, range: TimeRange) -> Result<Vec<GraphEdge>, StoreError> {
        let mut sums = CallSums::default();
        let (cells, parts) = divide(range);
        for file in self.state.span_files(range) {
            self.budget.rows(1)?;
            let of_file = file.or_default(|file| {
                // Of a damaged file, nothing counts rather than a part.
                let mut sums = CallSums::default();
                if let Some(view) = EdgesView::open(file.side_file()?)? {
                    view.edges_into(cells.clone(), &mut sums)?;
                }
                for part in &parts {
                    file.calls(*part, &self.budget, &mut sums)?;
                }
                Ok(sums)
            })?;
            sums.merge(&of_file);
        }
        self.add_recent(range, &mut sums)?;
        self.shared.catalog.late_calls(range, &mut sums)?;
        Ok(sums.finish())
    }

    fn add_recent(&self, range: TimeRange, sums: &mut CallSums) -> Result<(), StoreError> {
        let recent: Vec<_> =
            self.state.memtables().map(|memtable| Arc::clone(&memtable.spans)).collect();
        let calls = self.shared.calls.read();
        for spans in recent.iter().map(|spans| spans.snapshot()) {
            for (number, span) in spans.iter().enumerate() {
                if number % 1_024 == 0 {
                    self.budget.rows(1_024)?;
                }
                if range.contains(span.start())
                    && let Parent::Caller(caller) = calls.parent(&span, &recent)
                {
                    sums.add_call(&Call {
                        start: span.start(),
                        caller,
                        called: Arc::clone(&span.resource().record.service),
                        is_error: span.is_error(),
                    });
                }
                let late = calls.calls_by(&span);
                late.iter().filter(|call| range.contains(call.start)).for_each(|call| {
                    sums.add_call(call);
                });
            }
        }
        Ok(())
    }
}

/// The whole cells of a range, and what is left of it at both ends.
fn divide(range: TimeRange) -> (Range<u64>, Vec<TimeRange>) {
    let (TimeRange { start, end }, cell) = (range, CELL_NANOS);
    let first = start.0.div_ceil(cell);
    // The end is included, so a cell is whole where the next one begins right after it.
    let last = end.0.saturating_add(1) / cell;
    if first >= last {
        return (0..0, vec![range]);
    }
    let mut parts = Vec::new();
    if start.0 < first * cell {
        parts.push(TimeRange { start, end: UnixNanos(first * cell - 1) });
    }
    if end != TimeRange::ALL.end && last * cell <= end.0 {
        parts.push(TimeRange { start: UnixNanos(last * cell), end });
    }
    (first..last, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_divided_without_gaps() {
        let range = |start, end| TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
        let cell = CELL_NANOS;
        assert_eq!(divide(range(cell, 3 * cell - 1)), (1..3, vec![]));
        assert_eq!(divide(range(5, 7)), (0..0, vec![range(5, 7)]));
        let (cells, parts) = divide(range(5, 2 * cell));
        assert_eq!(cells, 1..2);
        assert_eq!(parts, [range(5, cell - 1), range(2 * cell, 2 * cell)]);
        assert_eq!(divide(TimeRange::ALL).1, []);
    }
}
