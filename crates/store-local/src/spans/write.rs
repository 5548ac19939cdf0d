//! Batches of rows to a file.

use super::columns::Columns;
use super::schema::{self, column};
use super::side::SideBuilder;
use crate::index::side_file::Section;
use crate::parquet_io::write_error;
use arrow_array::RecordBatch;
use arrow_array::types::TimestampNanosecondType;
use carafe_store::{StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::UnixNanos;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::error::Error;
use std::io::Write;

/// Rows of a row group: enough to compress well, few enough to skip.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// A row group ends early with so many bytes of rows in memory.
pub const ROW_GROUP_BYTES: usize = 1 << 30;

/// Rows of a page. Larger ones make single spans expensive, smaller ones the footer.
const PAGE_ROWS: usize = 8_192;

/// zstd's level: the next ones take twice the time for two hundredths of the size.
const ZSTD_LEVEL: i32 = 1;

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Spans.
    pub rows: u64,
    /// The length of the file.
    pub bytes: u64,
    /// The earliest and the latest start; the start after the end where there are no rows.
    pub extent: TimeRange,
    /// Different traces, those of each row group counted for themselves.
    pub traces: u64,
    /// What the side file has to have.
    pub side: Vec<(Section, Vec<u8>)>,
}

/// Writes one file: rows newest first.
pub struct SpanWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    side: SideBuilder,
    rows: u64,
    max_group_rows: usize,
    group_rows: usize,
    group_bytes: usize,
    extent: TimeRange,
}

impl<W: Write + Send> SpanWriter<W> {
    /// Begins a file.
    pub fn new(out: W) -> Result<Self, StoreError> {
        Self::with_group_rows(out, ROW_GROUP_ROWS)
    }

    /// Begins a file whose row groups have so many rows, at least one.
    pub fn with_group_rows(out: W, max_group_rows: usize) -> Result<Self, StoreError> {
        let writer =
            ArrowWriter::try_new(out, schema::spans(), Some(properties())).map_err(write_error)?;
        Ok(Self {
            writer,
            side: SideBuilder::new(),
            rows: 0,
            max_group_rows: max_group_rows.max(1),
            group_rows: 0,
            group_bytes: 0,
            extent: TimeRange { start: UnixNanos(u64::MAX), end: UnixNanos(0) },
        })
    }

    /// Adds rows of [`schema::spans`], all of them older than or as old as those before.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let mut at = 0;
        while at < batch.num_rows() {
            let rows = (batch.num_rows() - at).min(self.max_group_rows - self.group_rows);
            self.write_in_group(&batch.slice(at, rows))?;
            at += rows;
        }
        Ok(())
    }

    fn write_in_group(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let starts = Columns::all(batch)
            .numbers::<TimestampNanosecondType>(column::START_TIME)
            .map_err(|error| broken(&error))?;
        for start in starts.values() {
            let start = UnixNanos(start.cast_unsigned());
            self.extent.start = self.extent.start.min(start);
            self.extent.end = self.extent.end.max(start);
        }
        self.side.add(batch).map_err(|error| broken(&error))?;
        self.writer.write(batch).map_err(write_error)?;
        self.rows += batch.num_rows() as u64;
        self.group_rows += batch.num_rows();
        self.group_bytes += batch.get_array_memory_size();
        if self.group_rows == self.max_group_rows || self.group_bytes >= ROW_GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        self.writer.flush().map_err(write_error)?;
        self.side.end_group();
        self.group_rows = 0;
        self.group_bytes = 0;
        Ok(())
    }

    /// Ends the file. All of it is written then, not flushed.
    pub fn finish(mut self) -> Result<Written, StoreError> {
        if self.group_rows > 0 {
            self.end_group()?;
        }
        self.writer.finish().map_err(write_error)?;
        Ok(Written {
            rows: self.rows,
            bytes: self.writer.bytes_written() as u64,
            extent: self.extent,
            traces: self.side.traces(),
            side: self.side.finish(),
        })
    }
}

/// Writes a whole file.
pub fn write_spans<E: Into<StoreError>>(
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
    out: impl Write + Send,
) -> Result<Written, StoreError> {
    let mut writer = SpanWriter::new(out)?;
    for batch in batches {
        writer.write(&batch.map_err(Into::into)?)?;
    }
    writer.finish()
}

fn broken(error: &dyn Error) -> StoreError {
    StoreError::new(StoreErrorKind::Internal, format!("spans cannot be written: {error}"))
}

fn properties() -> WriterProperties {
    let schema = schema::spans();
    let path = |column: usize| ColumnPath::new(vec![schema.field(column).name().clone()]);
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map_or(Compression::SNAPPY, Compression::ZSTD);
    let mut properties = WriterProperties::builder()
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(
            schema::metadata().into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        ))
        .set_sorting_columns(Some(vec![
            SortingColumn {
                column_idx: column::START_TIME as i32,
                descending: true,
                nulls_first: false,
            },
            SortingColumn {
                column_idx: column::SPAN_ID as i32,
                descending: false,
                nulls_first: false,
            },
        ]));
    // Times: what prunes row groups, and differences that are small.
    let times = [
        (column::START_TIME, Encoding::DELTA_BINARY_PACKED),
        (column::DURATION_NANO, Encoding::BYTE_STREAM_SPLIT),
    ];
    for (column, encoding) in times {
        properties = properties
            .set_column_statistics_enabled(path(column), EnabledStatistics::Chunk)
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), encoding);
    }
    // Random bytes, each once: nothing to gain.
    properties = properties
        .set_column_dictionary_enabled(path(column::SPAN_ID), false)
        .set_column_compression(path(column::SPAN_ID), Compression::UNCOMPRESSED);
    // Messages differ, and zstd finds the parent of siblings better than a dictionary does.
    for column in [column::PARENT_SPAN_ID, column::ATTRIBUTES_REST, column::EVENTS, column::LINKS] {
        properties = properties.set_column_dictionary_enabled(path(column), false);
    }
    for key in schema::MOSTLY_UNIQUE {
        let path = ColumnPath::new(vec![(*key).to_owned()]);
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    properties.build()
}
