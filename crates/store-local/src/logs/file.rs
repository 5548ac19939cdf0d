//! Files of log records, and searches in them.

mod plan;
mod scan;

use super::schema::{TIME_COLUMN, schema};
use crate::budget::Budget;
use crate::files::metadata::MetadataCache;
use crate::files::{FileAccess, corrupt};
use crate::index::side_file::SideFile;
use crate::parquet_io::{RowGroupReader, Selected};
use crate::signal_file::{NO_TIME, PAGE_ROWS, check_stamp, row_group_times};
use crate::source::{LogSource, Scan};
use crate::stored::Openable;
use arrow_array::RecordBatch;
use carafe_store::{LogQuery, LogRecord, StoreError, TimeRange};
use carafe_telemetry::Signal;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use std::sync::Arc;

/// A file that [`write_logs`](super::write_logs) wrote, and the side file that has its
/// filters. Opening it reads the footers of both.
#[derive(Debug)]
pub struct LogFile {
    data: Arc<dyn FileAccess>,
    side: Arc<SideFile>,
    footers: Arc<MetadataCache>,
    extent: TimeRange,
    rows: u64,
}

impl Openable for LogFile {
    fn open(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        footers: &Arc<MetadataCache>,
    ) -> Result<Self, StoreError> {
        let side = Arc::new(SideFile::open(side)?);
        let footer = footers.get(&data)?;
        let metadata = footer.metadata();
        check_stamp(metadata, data.name(), Signal::Logs)?;
        let times = (0..metadata.num_row_groups())
            .map(|row_group| row_group_times(metadata, row_group, TIME_COLUMN));
        let extent = times.fold(NO_TIME, |all, times| TimeRange {
            start: all.start.min(times.start),
            end: all.end.max(times.end),
        });
        let rows = u64::try_from(metadata.file_metadata().num_rows())
            .map_err(|_| corrupt(data.name(), "it has less than no rows"))?;
        Ok(Self { data, side, footers: Arc::clone(footers), extent, rows })
    }
}

impl LogFile {
    /// How many records there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        self.data.name()
    }

    /// Reads columns of some rows of a row group.
    fn read(
        &self,
        footer: &ArrowReaderMetadata,
        row_group: usize,
        columns: Vec<usize>,
        rows: RowSelection,
    ) -> Result<RowGroupReader, StoreError> {
        let selected = Selected { row_group, columns, rows: Some(rows), batch_rows: PAGE_ROWS };
        RowGroupReader::open(&self.data, footer, selected)
    }

    /// All rows, newest first.
    pub(super) fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, StoreError>> + '_, StoreError> {
        let footer = self.footers.get(&self.data)?;
        let columns: Vec<usize> = (0..schema().fields().len()).collect();
        Ok((0..footer.metadata().num_row_groups()).flat_map(move |row_group| {
            let columns = columns.clone();
            let selected = Selected { row_group, columns, rows: None, batch_rows: PAGE_ROWS };
            let (batches, error) = match RowGroupReader::open(&self.data, &footer, selected) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(error)
        }))
    }
}

impl LogSource for LogFile {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn scan<'a>(&'a self, query: &'a LogQuery, budget: &'a Budget) -> Scan<'a, LogRecord> {
        Box::new(scan::LogScan::new(self, query, budget))
    }
}

#[cfg(test)]
mod tests;
