//! Files of data points, and questions to them.

mod newest;
mod select;

use super::read::{PointColumns, SeriesOfRows};
use super::schema::{POINT_COLUMNS, TIME_COLUMN};
use super::table::SeriesTable;
use crate::budget::Budget;
use crate::files::metadata::MetadataCache;
use crate::files::{FileAccess, corrupt};
use crate::index::side_file::{Section, SideFile};
use crate::parquet_io::{RowGroupReader, Selected};
use crate::signal_file::{NO_TIME, PAGE_ROWS, check_stamp, row_group_times};
use crate::source::{MetricSource, Scan};
use crate::stored::Openable;
use carafe_store::{MetricQuery, PointRecord, SeriesPoints, StoreError, TimeRange};
use carafe_telemetry::Signal;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use std::ops::Range;
use std::sync::Arc;

/// A file that [`write_metrics`](super::write_metrics) wrote, and the side file that has its
/// table of series. Opening it reads the footers of both.
#[derive(Debug)]
pub struct MetricFile {
    data: Arc<dyn FileAccess>,
    side: SideFile,
    footers: Arc<MetadataCache>,
    extent: TimeRange,
    rows: u64,
}

impl Openable for MetricFile {
    fn open(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        footers: &Arc<MetadataCache>,
    ) -> Result<Self, StoreError> {
        let side = SideFile::open(side)?;
        let footer = footers.get(&data)?;
        let metadata = footer.metadata();
        check_stamp(metadata, data.name(), Signal::Metrics)?;
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

impl MetricFile {
    /// How many points there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        self.data.name()
    }

    pub(super) fn table(&self) -> Result<SeriesTable, StoreError> {
        let section = self.side.section(Section::Series)?;
        let section =
            section.ok_or_else(|| corrupt(self.side.name(), "it has no table of series"))?;
        SeriesTable::parse(self.side.name(), section, self.rows)
    }

    /// The row groups that may have points in `range`, and the rows of each.
    fn row_groups(&self, footer: &ArrowReaderMetadata, range: TimeRange) -> Vec<RowGroup> {
        let mut first = 0;
        let mut groups = Vec::new();
        for (number, group) in footer.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            let times = row_group_times(footer.metadata(), number, TIME_COLUMN);
            if times.start <= range.end && range.start <= times.end {
                groups.push(RowGroup { number, rows: first..first + rows });
            }
            first += rows;
        }
        groups
    }

    /// Reads columns of some rows of a row group; `rows` are rows of the file, in order.
    fn read(
        &self,
        footer: &ArrowReaderMetadata,
        group: &RowGroup,
        columns: Range<usize>,
        rows: Option<&[Range<u64>]>,
    ) -> Result<RowGroupReader, StoreError> {
        let selection = rows.map(|rows| {
            let within = rows.iter().map(|rows| {
                let from = rows.start.max(group.rows.start) - group.rows.start;
                let to = rows.end.min(group.rows.end) - group.rows.start;
                from as usize..to as usize
            });
            let count = group.rows.end - group.rows.start;
            RowSelection::from_consecutive_ranges(within, count as usize)
        });
        RowGroupReader::open(
            &self.data,
            footer,
            Selected {
                row_group: group.number,
                columns: columns.collect(),
                rows: selection,
                batch_rows: PAGE_ROWS,
            },
        )
    }

    /// All points in the order of the file, each with the number of its series.
    pub(super) fn in_order<'a>(
        &'a self,
        table: &'a SeriesTable,
    ) -> Result<impl Iterator<Item = Result<(u32, PointRecord), StoreError>> + 'a, StoreError> {
        let footer = self.footers.get(&self.data)?;
        let mut series = SeriesOfRows::new(table);
        let groups = self.row_groups(&footer, TimeRange::ALL).into_iter();
        let batches = groups.flat_map(move |group| {
            let (batches, error) = match self.read(&footer, &group, POINT_COLUMNS, None) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(error)
        });
        Ok(batches.flat_map(move |batch| {
            let points = batch.and_then(|batch| {
                let columns = PointColumns::new(self.name(), &batch)?;
                let record = |row| Ok((columns.series(row), series.record(&columns, row)?));
                (0..columns.rows()).map(record).collect::<Result<Vec<_>, StoreError>>()
            });
            let (points, error) = match points {
                Ok(points) => (points, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            points.into_iter().map(Ok).chain(error)
        }))
    }
}

/// A row group and its place in the file.
#[derive(Clone, Debug)]
struct RowGroup {
    number: usize,
    rows: Range<u64>,
}

impl MetricSource for MetricFile {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn select(
        &self,
        query: &MetricQuery,
        budget: &Budget,
    ) -> Result<Vec<SeriesPoints>, StoreError> {
        select::select(self, query, budget)
    }

    fn scan<'a>(&'a self, range: TimeRange, budget: &'a Budget) -> Scan<'a, PointRecord> {
        Box::new(newest::NewestFirst::new(self, range, budget))
    }
}

#[cfg(test)]
mod tests;
