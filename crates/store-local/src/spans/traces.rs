//! All spans of some traces.

use super::columns::Columns;
use super::file::{Footer, SpanFile};
use super::read::RowReader;
use super::rows;
use super::schema::column;
use crate::budget::Budget;
use crate::index::hash::hash_trace;
use arrow_array::types::Int32Type;
use carafe_store::{SpanRecord, StoreError};
use carafe_telemetry::TraceId;
use carafe_telemetry::otlp::status::StatusCode;
use prost::Message;
use std::collections::HashSet;
use std::sync::Arc;

/// Adds the spans of the traces `ids`, which are sorted, to `out`.
pub(super) fn read(
    file: &SpanFile,
    ids: &[TraceId],
    budget: &Budget,
    out: &mut Vec<SpanRecord>,
) -> Result<(), StoreError> {
    let footer = file.footer()?;
    let mut rows = RowReader::new(Arc::clone(&footer.promoted));
    for (group, ids) in by_group(file, &footer, ids)? {
        let found = find(file, &footer, group, &ids, budget)?;
        if found.is_empty() {
            continue;
        }
        let batch_rows = found.len().min(rows::at_once(&footer, group));
        let selection = Some(rows::single(&found));
        for batch in file.read(&footer, group, footer.columns(), selection, batch_rows)? {
            let spans = rows.read(&batch?).map_err(|error| file.damaged(error))?;
            let bytes: usize = spans.iter().map(|span| span.span.encoded_len()).sum();
            budget.bytes(bytes as u64)?;
            out.extend(spans);
        }
    }
    Ok(())
}

/// Those of the traces `ids`, which are sorted, that have a span with an error: from two
/// columns, without reading a whole span.
pub(super) fn failed(
    file: &SpanFile,
    ids: &[TraceId],
    budget: &Budget,
) -> Result<HashSet<TraceId>, StoreError> {
    let footer = file.footer()?;
    let projection = [column::TRACE_ID, column::STATUS_CODE];
    let mut failed = HashSet::new();
    for (group, ids) in by_group(file, &footer, ids)? {
        let ids = Ids::new(&ids);
        let batch_rows = rows::count(&footer, group).max(1);
        for batch in file.read(&footer, group, projection.to_vec(), None, batch_rows)? {
            let batch = batch?;
            budget.rows(batch.num_rows() as u64)?;
            let columns = Columns::some(&batch, &projection);
            let damaged = |error| file.damaged(error);
            let traces = columns.ids(column::TRACE_ID).map_err(damaged)?;
            let status = columns.numbers::<Int32Type>(column::STATUS_CODE).map_err(damaged)?;
            let (traces, _) = traces.value_data().as_chunks::<16>();
            let rows = traces.iter().zip(status.iter());
            let errors = rows.filter(|(_, status)| *status == Some(StatusCode::Error as i32));
            let asked = errors.filter(|(id, _)| ids.contains(id));
            failed.extend(asked.map(|(id, _)| TraceId(*id)));
        }
    }
    Ok(failed)
}

/// The row groups that may have some of the traces, and which.
fn by_group(
    file: &SpanFile,
    footer: &Footer,
    ids: &[TraceId],
) -> Result<Vec<(usize, Vec<TraceId>)>, StoreError> {
    let groups = footer.groups();
    let index = file.side_index()?;
    let mut found = vec![Vec::new(); groups];
    for id in ids {
        match &index.traces {
            Some(table) => {
                let with = table.row_groups_with(hash_trace(*id), groups)?;
                with.iter().for_each(|group| found[group].push(*id));
            }
            None => found.iter_mut().for_each(|ids| ids.push(*id)),
        }
    }
    Ok(found.into_iter().enumerate().filter(|(_, ids)| !ids.is_empty()).collect())
}

/// Which rows of a row group are of these traces.
fn find(
    file: &SpanFile,
    footer: &Footer,
    group: usize,
    ids: &[TraceId],
    budget: &Budget,
) -> Result<Vec<usize>, StoreError> {
    let ids = Ids::new(ids);
    let projection = [column::TRACE_ID];
    let batch_rows = rows::count(footer, group).max(1);
    let mut found = Vec::new();
    let mut first = 0;
    for batch in file.read(footer, group, projection.to_vec(), None, batch_rows)? {
        let batch = batch?;
        budget.rows(batch.num_rows() as u64)?;
        let column = Columns::some(&batch, &projection).ids(column::TRACE_ID);
        let column = column.map_err(|error| file.damaged(error))?;
        let (values, _) = column.value_data().as_chunks::<16>();
        let rows = values.iter().enumerate().filter(|(_, id)| ids.contains(id));
        found.extend(rows.map(|(row, _)| first + row));
        first += batch.num_rows();
    }
    Ok(found)
}

/// A set of trace ids: nearly all others are told apart by two of their bytes.
struct Ids<'a> {
    sorted: &'a [TraceId],
    marks: Box<[u64; 1_024]>,
}

impl<'a> Ids<'a> {
    fn new(sorted: &'a [TraceId]) -> Self {
        let mut marks = Box::new([0; 1_024]);
        for id in sorted {
            let mark = Self::mark(&id.0);
            marks[mark / 64] |= 1 << (mark % 64);
        }
        Self { sorted, marks }
    }

    /// The last bytes are random also where the id has only 64 bits.
    fn mark(id: &[u8; 16]) -> usize {
        usize::from(u16::from_le_bytes([id[14], id[15]]))
    }

    fn contains(&self, id: &[u8; 16]) -> bool {
        let mark = Self::mark(id);
        self.marks[mark / 64] >> (mark % 64) & 1 == 1
            && self.sorted.binary_search(&TraceId(*id)).is_ok()
    }
}
