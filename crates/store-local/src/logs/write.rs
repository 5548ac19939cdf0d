//! Writing files of log records.

use super::read::LogColumns;
use super::row::Body;
use super::schema;
use super::tags::TagIndex;
use super::text::{BITS_PER_KEY, PageKeys};
use crate::index::bloom_table::BloomTableBuilder;
use crate::index::hash::hash_trace;
use crate::index::side_file::Section;
use crate::parquet_io::write_error;
use crate::signal_file::{NO_TIME, PAGE_ROWS, ROW_GROUP_ROWS};
use crate::writing::Written;
use arrow_array::RecordBatch;
use carafe_store::{StoreError, TimeRange, value};
use carafe_telemetry::otlp::AnyValue;
use parquet::arrow::ArrowWriter;
use prost::Message;
use std::io::Write;

/// A row group ends early with so many bytes of rows in memory.
const ROW_GROUP_BYTES: usize = 512 << 20;
/// Bits of the filter of trace ids for each trace of a row group.
const TRACE_BITS: u32 = 16;
/// The key of services in the filter of tags.
pub(super) const SERVICE_KEY: &str = "service.name";

/// Writes `batches`, whose rows are newest first, as a Parquet file.
pub fn write_logs(
    batches: impl IntoIterator<Item = Result<RecordBatch, StoreError>>,
    out: impl Write + Send,
) -> Result<Written, StoreError> {
    write_in_groups_of(ROW_GROUP_ROWS, batches, out)
}

/// The same with row groups of another size.
pub(super) fn write_in_groups_of(
    group_rows: usize,
    batches: impl IntoIterator<Item = Result<RecordBatch, StoreError>>,
    out: impl Write + Send,
) -> Result<Written, StoreError> {
    let file = ArrowWriter::try_new(out, schema::schema(), Some(schema::properties()?));
    let mut writer = Writer {
        file: file.map_err(write_error)?,
        max_group_rows: group_rows,
        group_rows: 0,
        group_bytes: 0,
        rows: 0,
        extent: NO_TIME,
        traces: BloomTableBuilder::new(TRACE_BITS),
        tags: TagIndex::new(),
        tokens: BloomTableBuilder::new(BITS_PER_KEY),
        page: PageKeys::new(),
    };
    for batch in batches {
        let batch = batch?;
        let mut at = 0;
        while at < batch.num_rows() {
            // Neither a page nor a row group ends within what is written at once.
            let page_rows = PAGE_ROWS - writer.group_rows % PAGE_ROWS;
            let group_rows = writer.max_group_rows - writer.group_rows;
            let rows = page_rows.min(group_rows).min(batch.num_rows() - at);
            writer.write(&batch.slice(at, rows))?;
            at += rows;
        }
    }
    writer.finish()
}

struct Writer<W: Write + Send> {
    file: ArrowWriter<W>,
    max_group_rows: usize,
    group_rows: usize,
    group_bytes: usize,
    rows: u64,
    extent: TimeRange,
    traces: BloomTableBuilder,
    tags: TagIndex,
    tokens: BloomTableBuilder,
    page: PageKeys,
}

impl<W: Write + Send> Writer<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.index(batch)?;
        self.file.write(batch).map_err(write_error)?;
        self.rows += batch.num_rows() as u64;
        self.group_rows += batch.num_rows();
        self.group_bytes += batch.get_array_memory_size();
        let ends_group =
            self.group_rows == self.max_group_rows || self.group_bytes >= ROW_GROUP_BYTES;
        if ends_group || self.group_rows.is_multiple_of(PAGE_ROWS) {
            self.end_page();
        }
        if ends_group { self.end_group() } else { Ok(()) }
    }

    fn index(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let columns = LogColumns::new("being written", batch)?;
        let mut last = None;
        for row in 0..columns.rows() {
            let time = columns.time(row);
            self.extent.start = self.extent.start.min(time);
            self.extent.end = self.extent.end.max(time);
            if let Some(id) = columns.trace_id(row) {
                self.traces.insert(hash_trace(id));
            }
            let source = columns.source(row);
            if last.replace(source) != Some(source) {
                let (service, resource, scope) = source;
                self.tags.add_source(service, resource, scope);
            }
            self.tags.add_record(columns.attributes(row));
            let tokens = &mut self.tokens;
            match columns.body(row) {
                Body::None => {}
                Body::Text(text) => self.page.add(text, |key| tokens.insert(key)),
                Body::Value(bytes) => {
                    let body = AnyValue::decode(&*bytes).unwrap_or_default();
                    self.page.add(&value::text(&body), |key| tokens.insert(key));
                }
            }
        }
        Ok(())
    }

    fn end_page(&mut self) {
        self.tokens.end_group();
        self.page.end_page();
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        self.file.flush().map_err(write_error)?;
        self.traces.end_group();
        self.tags.end_group();
        self.group_rows = 0;
        self.group_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Written, StoreError> {
        if !self.group_rows.is_multiple_of(PAGE_ROWS) {
            self.end_page();
        }
        if self.group_rows > 0 {
            self.end_group()?;
        }
        self.file.finish().map_err(write_error)?;
        Ok(Written {
            traces: 0,
            rows: self.rows,
            extent: self.extent,
            side: vec![
                (Section::TraceBlooms, self.traces.finish()),
                (Section::TagBlooms, self.tags.finish()),
                (Section::Tokens, self.tokens.finish()),
            ],
        })
    }
}
