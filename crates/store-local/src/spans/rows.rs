//! Which rows of a file are read at all.

use super::file::Footer;
use super::schema::column;
use carafe_store::TimeRange;
use carafe_telemetry::UnixNanos;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::statistics::Statistics;
use std::ops::Range;

/// The extent of what has no rows.
pub(super) const NO_TIME: TimeRange = TimeRange { start: UnixNanos(u64::MAX), end: UnixNanos(0) };

/// Most rows that are read at once: those of a page.
const MAX_BATCH_ROWS: usize = 8_192;

/// About what the rows that are read at once may take.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// The earliest and the latest start in a row group; none where its statistics do not say.
pub(super) fn extent(footer: &Footer, group: usize) -> Option<TimeRange> {
    let (min, max) = statistics(footer, group, column::START_TIME)?;
    // Starts are unsigned, the column is not: what is beyond the year 2262 is negative.
    let is_monotone = min >= 0 || max < 0;
    is_monotone.then_some(TimeRange {
        start: UnixNanos(min.cast_unsigned()),
        end: UnixNanos(max.cast_unsigned()),
    })
}

/// The longest duration in a row group; none where its statistics do not say.
pub(super) fn longest(footer: &Footer, group: usize) -> Option<u64> {
    let (min, max) = statistics(footer, group, column::DURATION_NANO)?;
    // A negative one may also be one of more than 292 years.
    (min >= 0).then_some(max.cast_unsigned())
}

fn statistics(footer: &Footer, group: usize, column: usize) -> Option<(i64, i64)> {
    let group = footer.metadata.metadata().row_groups().get(group)?;
    match group.columns().get(column)?.statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

/// How many rows a row group has.
pub(super) fn count(footer: &Footer, group: usize) -> usize {
    let group = footer.metadata.metadata().row_group(group);
    usize::try_from(group.num_rows()).unwrap_or(0)
}

/// How many rows of a row group are read at once, so that wide ones do not take too much.
pub(super) fn at_once(footer: &Footer, group: usize) -> usize {
    let rows = count(footer, group).max(1);
    let bytes = footer.metadata.metadata().row_group(group).total_byte_size();
    let row_bytes = (usize::try_from(bytes).unwrap_or(usize::MAX) / rows).max(1);
    (MAX_BATCH_BYTES / row_bytes).clamp(1, MAX_BATCH_ROWS)
}

/// A stretch of the `count` rows of a row group.
pub(super) fn stretch(rows: Range<usize>, count: usize) -> RowSelection {
    RowSelection::from_consecutive_ranges(std::iter::once(rows), count)
}

/// Single rows, in ascending order.
pub(super) fn single(rows: &[usize]) -> RowSelection {
    let mut selectors = Vec::with_capacity(rows.len());
    let mut at = 0;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let (first, len) = (run[0], run.len());
        if first > at {
            selectors.push(RowSelector::skip(first - at));
        }
        selectors.push(RowSelector::select(len));
        at = first + len;
    }
    RowSelection::from(selectors)
}
