//! Calls between services, span by span.

use super::columns::{Columns, HitColumns};
use super::file::SpanFile;
use super::rows;
use super::schema::column;
use crate::budget::Budget;
use crate::calls::{Call, CallSums};
use carafe_store::{StoreError, TimeRange};
use carafe_telemetry::otlp::status::StatusCode;

/// Rows that are looked at between two looks at the budget.
const BATCH_ROWS: usize = 8_192;

impl SpanFile {
    /// Adds the calls of spans that start in `range`. The sums beside the file say the same
    /// of whole cells, for much less.
    pub fn calls(
        &self,
        range: TimeRange,
        budget: &Budget,
        sums: &mut CallSums,
    ) -> Result<(), StoreError> {
        let footer = self.footer()?;
        let mut columns = super::columns::HIT_COLUMNS.to_vec();
        columns.push(column::CALLER);
        columns.sort_unstable();
        for group in 0..footer.groups() {
            let extent = rows::extent(&footer, group);
            if extent.is_some_and(|e| e.end < range.start || range.end < e.start) {
                continue;
            }
            for batch in self.read(&footer, group, columns.clone(), None, BATCH_ROWS)? {
                let batch = batch?;
                budget.rows(batch.num_rows() as u64)?;
                let batch = Columns::some(&batch, &columns);
                let damaged = |error| self.damaged(error);
                let hits = HitColumns::of(&batch).map_err(damaged)?;
                let callers = batch.dictionary_of_texts(column::CALLER).map_err(damaged)?;
                for row in 0..batch.rows() {
                    let start = hits.start(row);
                    if callers.key(row).is_some() && range.contains(start) {
                        sums.add_call(&Call {
                            start,
                            caller: callers.text(row).into(),
                            called: hits.service.text(row).into(),
                            is_error: hits.status(row) == StatusCode::Error as i32,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}
