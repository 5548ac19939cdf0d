//! Sums over the spans of a file, collected while rows are written.

use super::columns::{ColumnError, Columns, HitColumns};
use super::schema::column;
use crate::index::side_file::Section;
use crate::rollup::edges::{EdgesBuilder, PairId};
use crate::rollup::{RolledSpan, RollupBuilder, SeriesId, answers};
use carafe_telemetry::otlp::status::StatusCode;
use hashbrown::HashMap;

/// Counts rows by service, operation and kind, and calls between services.
#[derive(Default)]
pub(super) struct SumsBuilder {
    rollup: RollupBuilder,
    edges: EdgesBuilder,
}

impl SumsBuilder {
    pub(super) fn add(
        &mut self,
        columns: &Columns<'_>,
        hits: &HitColumns<'_>,
    ) -> Result<(), ColumnError> {
        // The names of a batch are numbered by its dictionaries, so each is looked up once.
        let mut series = HashMap::<(Option<usize>, Option<usize>, i32), SeriesId>::new();
        let mut pairs = HashMap::<(usize, Option<usize>), Option<PairId>>::new();
        let callers = columns.dictionary_of_texts(column::CALLER)?;
        for row in 0..columns.rows() {
            let kind = hits.kind.value(row);
            let (service, name) = (hits.service.key(row), hits.name.key(row));
            let span = RolledSpan {
                start: hits.start(row),
                duration: hits.end(row).0.saturating_sub(hits.start(row).0),
                answers: answers(kind, hits.parent_span_id(row).is_none()),
                is_error: hits.status(row) == StatusCode::Error as i32,
            };
            let of_row = *series.entry((service, name, kind)).or_insert_with(|| {
                self.rollup.series(hits.service.text(row), hits.name.text(row), kind)
            });
            self.rollup.add(of_row, &span);
            if let Some(caller) = callers.key(row) {
                let pair = *pairs
                    .entry((caller, service))
                    .or_insert_with(|| self.edges.pair(callers.text(row), hits.service.text(row)));
                self.edges.add(pair, span.start, span.is_error);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> [(Section, Vec<u8>); 3] {
        [
            (Section::Rollup, self.rollup.red().encode()),
            (Section::Totals, self.rollup.totals().encode()),
            (Section::Edges, self.edges.encode()),
        ]
    }
}
