//! Files of one window to one: newest first, every span once.

use super::build::{BATCH_ROWS, ResourceRef, ScopeRef, SpanBatchBuilder, SpanRef};
use super::columns::{ColumnError, Columns, id};
use super::file::{Footer, SpanFile};
use super::read::RowReader;
use super::rows;
use super::schema::{self, column};
use crate::parquet_io::RowGroupReader;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{FixedSizeBinaryArray, PrimitiveArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave_record_batch;
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use hashbrown::HashSet;
use prost::Message;
use std::cmp::Reverse;
use std::sync::Arc;

/// Spans with one id and one start that are compared; duplicates among more stay.
const MAX_COMPARED: usize = 65_536;

/// The place of a row in the order of files.
type Key = (Reverse<UnixNanos>, SpanId);

/// What makes spans with one id and one start the same: one that a sender repeats is, the two
/// sides of a call that share an id are not.
type Identity = (TraceId, i32, i64);

/// Merges files, newest first. Of spans that are in several files, or twice in one, the first
/// is kept.
pub struct SpanMerge<'a> {
    cursors: Vec<Cursor<'a>>,
    /// Batches that rows of the batch in the making are in.
    batches: Vec<RecordBatch>,
    /// Those rows: which of `batches`, which row.
    rows: Vec<(usize, usize)>,
    last: Option<Key>,
    seen: HashSet<Identity>,
    duplicates: u64,
    has_failed: bool,
}

/// How far a file has been read.
struct Cursor<'a> {
    file: &'a SpanFile,
    footer: Footer,
    next_group: usize,
    reader: Option<RowGroupReader>,
    batch: RecordBatch,
    keys: Option<Keys>,
    row: usize,
    /// Where `batch` is among the merge's batches, once one of its rows was taken.
    number: Option<usize>,
}

/// The columns that order rows and tell them apart.
#[derive(Clone)]
struct Keys {
    start: PrimitiveArray<TimestampNanosecondType>,
    span_id: FixedSizeBinaryArray,
    trace_id: FixedSizeBinaryArray,
    kind: PrimitiveArray<Int32Type>,
    duration: PrimitiveArray<Int64Type>,
}

impl Keys {
    fn of(batch: &RecordBatch) -> Result<Self, ColumnError> {
        let columns = Columns::all(batch);
        Ok(Self {
            start: columns.numbers(column::START_TIME)?.clone(),
            span_id: columns.ids(column::SPAN_ID)?.clone(),
            trace_id: columns.ids(column::TRACE_ID)?.clone(),
            kind: columns.numbers(column::KIND)?.clone(),
            duration: columns.numbers(column::DURATION_NANO)?.clone(),
        })
    }

    fn key(&self, row: usize) -> Key {
        let start = UnixNanos(self.start.value(row).cast_unsigned());
        (Reverse(start), SpanId(id(&self.span_id, row)))
    }

    fn identity(&self, row: usize) -> Identity {
        (TraceId(id(&self.trace_id, row)), self.kind.value(row), self.duration.value(row))
    }
}

/// Merges files, newest first.
pub fn merge_spans<'a>(
    files: impl IntoIterator<Item = &'a SpanFile>,
) -> Result<SpanMerge<'a>, StoreError> {
    let mut cursors = Vec::new();
    for file in files {
        cursors.extend(Cursor::begin(file)?);
    }
    Ok(SpanMerge {
        cursors,
        batches: Vec::new(),
        rows: Vec::new(),
        last: None,
        seen: HashSet::new(),
        duplicates: 0,
        has_failed: false,
    })
}

impl SpanMerge<'_> {
    /// Spans that were left out so far, because they were there already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        while self.rows.len() < BATCH_ROWS {
            let Some((first, limit)) = self.heads() else { break };
            let ended = self.take(first, limit)?;
            // What came in one piece goes on in one piece.
            if ended && self.is_one_piece() {
                break;
            }
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        let batch = match self.is_one_piece() {
            true => {
                let (batch, row) = self.rows[0];
                self.batches[batch].slice(row, self.rows.len())
            }
            false => {
                let batches: Vec<_> = self.batches.iter().collect();
                interleave_record_batch(&batches, &self.rows).map_err(internal)?
            }
        };
        self.rows.clear();
        self.batches.clear();
        self.cursors.iter_mut().for_each(|cursor| cursor.number = None);
        Ok(Some(batch))
    }

    /// The cursor whose row is next, and the row after which another one's is.
    fn heads(&self) -> Option<(usize, Option<Key>)> {
        let mut first: Option<(Key, usize)> = None;
        let mut second: Option<Key> = None;
        let keys = self.cursors.iter().map(|cursor| Some(cursor.keys.as_ref()?.key(cursor.row)));
        for (at, key) in keys.enumerate().filter_map(|(at, key)| Some((at, key?))) {
            match first {
                Some((best, _)) if best <= key => {
                    second = Some(second.map_or(key, |second| second.min(key)));
                }
                _ => second = first.replace((key, at)).map(|(key, _)| key),
            }
        }
        first.map(|(_, at)| (at, second))
    }

    /// Takes rows of a cursor until another one's are next, or the batch is full. Whether the
    /// cursor's batch has ended.
    fn take(&mut self, at: usize, limit: Option<Key>) -> Result<bool, StoreError> {
        let cursor = &mut self.cursors[at];
        let number = *cursor.number.get_or_insert_with(|| {
            self.batches.push(cursor.batch.clone());
            self.batches.len() - 1
        });
        let Some(keys) = &cursor.keys else { return Ok(true) };
        let mut row = cursor.row;
        while row < cursor.batch.num_rows() && self.rows.len() < BATCH_ROWS {
            let key = keys.key(row);
            if limit.is_some_and(|limit| limit < key) {
                break;
            }
            if self.last != Some(key) {
                self.last = Some(key);
                self.seen.clear();
            }
            let identity = keys.identity(row);
            let is_new = match self.seen.len() < MAX_COMPARED {
                true => self.seen.insert(identity),
                false => !self.seen.contains(&identity),
            };
            match is_new {
                true => self.rows.push((number, row)),
                false => self.duplicates += 1,
            }
            row += 1;
        }
        cursor.row = row;
        if row < cursor.batch.num_rows() {
            return Ok(false);
        }
        if !cursor.next_batch()? {
            self.cursors.swap_remove(at);
        }
        Ok(true)
    }

    /// Whether the rows follow each other in one batch.
    fn is_one_piece(&self) -> bool {
        self.rows.windows(2).all(|pair| pair[1] == (pair[0].0, pair[0].1 + 1))
    }
}

impl Iterator for SpanMerge<'_> {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let batch = self.batch().transpose();
        self.has_failed = matches!(batch, Some(Err(_)));
        batch
    }
}

impl<'a> Cursor<'a> {
    /// At the first row of a file; none where it has no rows.
    fn begin(file: &'a SpanFile) -> Result<Option<Self>, StoreError> {
        let mut cursor = Self {
            file,
            footer: file.footer()?,
            next_group: 0,
            reader: None,
            batch: RecordBatch::new_empty(schema::spans()),
            keys: None,
            row: 0,
            number: None,
        };
        Ok(cursor.next_batch()?.then_some(cursor))
    }

    /// Reads the next batch that has rows; false after the last.
    fn next_batch(&mut self) -> Result<bool, StoreError> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next().transpose()? {
                    Some(batch) if batch.num_rows() == 0 => continue,
                    Some(batch) => {
                        self.batch = self.normal(batch)?;
                        let keys = Keys::of(&self.batch);
                        self.keys = Some(keys.map_err(|error| self.file.damaged(error))?);
                        self.row = 0;
                        self.number = None;
                        return Ok(true);
                    }
                    None => self.reader = None,
                }
            }
            if self.next_group == self.footer.groups() {
                return Ok(false);
            }
            let group = self.next_group;
            let at_once = rows::at_once(&self.footer, group);
            let columns = self.footer.columns();
            self.reader = Some(self.file.read(&self.footer, group, columns, None, at_once)?);
            self.next_group += 1;
        }
    }

    /// The batch with the columns that are written now.
    fn normal(&self, batch: RecordBatch) -> Result<RecordBatch, StoreError> {
        if *self.footer.promoted == *schema::promoted() {
            return RecordBatch::try_new(schema::spans(), batch.columns().to_vec())
                .map_err(|error| self.file.damaged(error));
        }
        self.rebuilt(&batch)
    }

    /// The batch of a file with other promoted attributes, built anew.
    fn rebuilt(&self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let mut rows = RowReader::new(Arc::clone(&self.footer.promoted));
        let spans = rows.read(batch).map_err(|error| self.file.damaged(error))?;
        let callers = Columns::all(batch)
            .dictionary_of_texts(column::CALLER)
            .map_err(|error| self.file.damaged(error))?;
        let mut builder = SpanBatchBuilder::new();
        for (row, span) in spans.iter().enumerate() {
            let bytes = span.span.encode_to_vec();
            let resource = span.resource.resource.encode_to_vec();
            let scope = span.scope.scope.encode_to_vec();
            builder.push(&SpanRef {
                trace_id: span.trace_id,
                span_id: span.span_id,
                view: SpanView::parse(&bytes).map_err(|error| self.file.damaged(error))?,
                resource: ResourceRef {
                    bytes: &resource,
                    schema_url: &span.resource.schema_url,
                    service: &span.resource.service,
                },
                scope: ScopeRef { bytes: &scope, schema_url: &span.scope.schema_url },
                caller: callers.key(row).map(|key| callers.values.value(key)),
            })?;
        }
        builder.finish()
    }
}

fn internal(error: ArrowError) -> StoreError {
    let message = format!("spans cannot be merged: {error}");
    StoreError {
        source: Some(Box::new(error)),
        ..StoreError::new(StoreErrorKind::Internal, message)
    }
}
