//! Services and operations: sums beside the files, and a look at recent spans.

use super::queries::View;
use crate::catalog::FileId;
use crate::index::side_file::Section;
use crate::memtable::Memtable;
use crate::rollup::totals::Totals;
use crate::rollup::{RolledSpan, RollupBuilder, SeriesId, answers};
use bytes::Bytes;
use carafe_store::{ServiceSummary, StoreError};
use hashbrown::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

/// The sums of all files, kept from one question to the next.
#[derive(Default)]
pub(super) struct FileTotals {
    sum: Totals,
    /// What each file has added, as it is encoded there.
    added: HashMap<FileId, Bytes>,
}

impl View {
    pub(super) fn services(&self) -> Result<Vec<ServiceSummary>, StoreError> {
        let mut totals = self.file_totals()?;
        for memtable in self.state.memtables() {
            totals.add(&self.recent_totals(memtable)?);
        }
        Ok(totals.summaries())
    }

    /// The sums of the files that there are now.
    fn file_totals(&self) -> Result<Totals, StoreError> {
        let mut known = self.shared.totals.lock();
        let FileTotals { sum, added } = &mut *known;
        let present: HashSet<FileId> =
            self.state.spans.iter().map(|file| file.entry().id).collect();
        added.retain(|id, bytes| {
            let stays = present.contains(id);
            if !stays && let Some(totals) = Totals::decode(bytes) {
                sum.subtract(&totals);
            }
            stays
        });
        for file in &self.state.spans {
            self.budget.rows(1)?;
            let id = file.entry().id;
            if added.contains_key(&id) {
                continue;
            }
            let totals = file.or_default(|file| {
                let side = file.side_file()?;
                let Some(bytes) = side.section(Section::Totals)? else { return Ok(None) };
                let totals = Totals::decode(&bytes)
                    .ok_or_else(|| side.corrupt(Section::Totals, "makes no sense"))?;
                Ok(Some((bytes, totals)))
            })?;
            if let Some((bytes, totals)) = totals {
                sum.add(&totals);
                added.insert(id, bytes);
            }
        }
        Ok(sum.clone())
    }

    fn recent_totals(&self, memtable: &Memtable) -> Result<Totals, StoreError> {
        let spans = memtable.span_snapshot();
        let mut rollup = RollupBuilder::new();
        // Names are shared, so where one lies tells it from others without comparing texts.
        let mut series = HashMap::<(*const u8, *const u8, i32), SeriesId>::new();
        for (number, span) in spans.iter().enumerate() {
            if number % 1_024 == 0 {
                self.budget.rows(1_024)?;
            }
            let (service, name) = (&span.resource().record.service, span.name());
            let key = (Arc::as_ptr(service).cast(), Arc::as_ptr(name).cast(), span.kind());
            let id =
                *series.entry(key).or_insert_with(|| rollup.series(service, name, span.kind()));
            let rolled = RolledSpan {
                start: span.start(),
                duration: span.end().0.saturating_sub(span.start().0),
                answers: answers(span.kind(), span.parent_span_id().is_none()),
                is_error: span.is_error(),
            };
            rollup.add(id, &rolled);
        }
        Ok(rollup.totals())
    }
}
