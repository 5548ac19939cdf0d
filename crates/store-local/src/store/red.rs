//! Requests, errors and durations over time: roll-ups of files, and spans where these cannot
//! tell.

use super::queries::View;
use crate::query::{RedPlan, plan_red, red_scan};
use crate::rollup::red::{CELL_NANOS, RedPoints, RedRequest, RedView};
use crate::source::SpanSource;
use carafe_store::{RedCells, RedQuery, RedSeries, StoreError, TimeRange};
use carafe_telemetry::UnixNanos;
use std::ops::Range;
use std::sync::Arc;

impl View {
    pub(super) fn red(&self, query: &RedQuery) -> Result<RedSeries, StoreError> {
        let mut cells = RedCells::new(query)?;
        let RedPlan { cells: rolled, scans } = plan_red(query);
        if let Some(rolled) = rolled {
            self.add_rolled(query, rolled, &mut cells)?;
        }
        for range in scans {
            let sources = self.state.span_sources(range);
            red_scan(&sources, query, range, &mut cells, &self.budget)?;
        }
        Ok(cells.finish())
    }

    /// Adds whole cells: of files from their roll-ups, of recent data span by span.
    fn add_rolled(
        &self,
        query: &RedQuery,
        rolled: Range<u64>,
        cells: &mut RedCells,
    ) -> Result<(), StoreError> {
        let (first, step, count) = query.grid()?;
        let mut points = RedPoints::new(first / CELL_NANOS, step / CELL_NANOS, count);
        let request = RedRequest {
            service: query.filter.service.as_deref(),
            operation: query.filter.operation.as_deref(),
            cells: rolled.clone(),
        };
        let range = TimeRange {
            start: UnixNanos(rolled.start * CELL_NANOS),
            end: UnixNanos(rolled.end * CELL_NANOS - 1),
        };
        let mut scanned = self.state.recent_span_sources();
        for file in self.state.span_files(range) {
            self.budget.rows(1)?;
            let is_told = file.or_default(|file| {
                let Some(view) = RedView::open(file.side_file()?)? else { return Ok(false) };
                view.red_into(&request, &mut points)
            })?;
            if !is_told {
                scanned.push(Arc::clone(file) as Arc<dyn SpanSource>);
            }
        }
        red_scan(&scanned, query, range, cells, &self.budget)?;
        for (number, point) in points.into_points().into_iter().enumerate() {
            if let Some(cell) = cells.cell(UnixNanos(first + number as u64 * step)) {
                cell.errors += point.errors;
                cell.durations.merge(&point.durations);
            }
        }
        Ok(())
    }
}
