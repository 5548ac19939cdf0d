//! Writing files of data points.

use super::build::PointBatchBuilder;
use super::point::{Parts, is_of, split};
use super::schema;
use super::series::{EncodedSeries, SeriesEncoder};
use super::table::TableBuilder;
use crate::index::side_file::Section;
use crate::parquet_io::write_error;
use crate::signal_file::{NO_TIME, PAGE_ROWS};
use crate::writing::Written;
use carafe_store::{Point, PointRecord, Series, StoreError, StoreErrorKind, TimeRange};
use hashbrown::HashSet;
use parquet::arrow::ArrowWriter;
use std::cmp::Ordering;
use std::io::Write;
use std::sync::Arc;

/// The most that the table of series of one file may take.
const MAX_TABLE_BYTES: usize = 1 << 30;

/// Writes `points` as a Parquet file. They come by series in the order of [`EncodedSeries`],
/// those of a series in order of time. Of points that are the same in everything, one is
/// written.
pub fn write_metrics(
    points: impl IntoIterator<Item = Result<PointRecord, StoreError>>,
    out: impl Write + Send,
) -> Result<Written, StoreError> {
    let writer = ArrowWriter::try_new(out, schema::schema(), Some(schema::properties()?));
    let mut writer = Writer {
        file: writer.map_err(write_error)?,
        batch: PointBatchBuilder::default(),
        encoder: SeriesEncoder::default(),
        table: TableBuilder::default(),
        current: None,
        series: 0,
        rows: 0,
        extent: NO_TIME,
    };
    for point in points {
        writer.push(&point?)?;
    }
    writer.finish()
}

fn wrong(what: String) -> StoreError {
    StoreError::new(StoreErrorKind::Internal, what)
}

/// The series whose points come now.
struct Current {
    series: Arc<Series>,
    encoded: EncodedSeries,
    rows: u64,
    times: TimeRange,
    last: Option<Arc<Point>>,
    /// The points of the last time, once there are several.
    seen: HashSet<Vec<u8>>,
}

impl Current {
    fn new(series: Arc<Series>, encoded: EncodedSeries) -> Self {
        Self { series, encoded, rows: 0, times: NO_TIME, last: None, seen: HashSet::new() }
    }

    /// Whether the series has this very point already.
    fn repeats(&mut self, point: &Arc<Point>, parts: &Parts) -> bool {
        let last = self.last.replace(Arc::clone(point)).filter(|last| last.time == point.time);
        let Some(last) = last else {
            self.seen.clear();
            return false;
        };
        if self.seen.is_empty() {
            self.seen.insert(split(&last).identity());
        }
        !self.seen.insert(parts.identity())
    }
}

struct Writer<W: Write + Send> {
    file: ArrowWriter<W>,
    batch: PointBatchBuilder,
    encoder: SeriesEncoder,
    table: TableBuilder,
    current: Option<Current>,
    series: u64,
    rows: u64,
    extent: TimeRange,
}

impl<W: Write + Send> Writer<W> {
    fn push(&mut self, record: &PointRecord) -> Result<(), StoreError> {
        let current = match self.current.take() {
            Some(current) if Arc::ptr_eq(&current.series, &record.series) => current,
            current => self.begin(current, &record.series)?,
        };
        let current = self.current.insert(current);
        let time = record.point.time;
        if current.rows > 0 && time < current.times.end {
            return Err(wrong(format!("points of {} are not in order", current.encoded.name)));
        }
        if !is_of(&record.point.value, record.series.metric.data.as_ref()) {
            return Err(wrong(format!("a point of {} is of another kind", current.encoded.name)));
        }
        let parts = split(&record.point);
        if current.repeats(&record.point, &parts) {
            return Ok(());
        }
        current.rows += 1;
        current.times.start = current.times.start.min(time);
        current.times.end = time;
        self.batch.push(parts);
        if self.batch.len() >= PAGE_ROWS { self.write_batch() } else { Ok(()) }
    }

    /// The series that comes now, which may be equal to the one before.
    fn begin(
        &mut self,
        before: Option<Current>,
        series: &Arc<Series>,
    ) -> Result<Current, StoreError> {
        let encoded = self.encoder.encode(series);
        if let Some(mut before) = before {
            match before.encoded.cmp(&encoded) {
                Ordering::Less => self.end(&before)?,
                Ordering::Equal => {
                    before.series = Arc::clone(series);
                    return Ok(before);
                }
                Ordering::Greater => {
                    return Err(wrong(format!("series {} is not in order", encoded.name)));
                }
            }
        }
        let id = u32::try_from(self.series).map_err(|_| wrong("too many series".to_owned()))?;
        self.series += 1;
        self.batch.begin_series(id, series);
        Ok(Current::new(Arc::clone(series), encoded))
    }

    fn end(&mut self, current: &Current) -> Result<(), StoreError> {
        let Current { encoded, rows, times, .. } = current;
        self.table.add(encoded, *rows, *times);
        self.rows += rows;
        self.extent.start = self.extent.start.min(times.start);
        self.extent.end = self.extent.end.max(times.end);
        match self.table.bytes() {
            0..MAX_TABLE_BYTES => Ok(()),
            _ => Err(wrong(format!("the series take more than {MAX_TABLE_BYTES} bytes"))),
        }
    }

    fn write_batch(&mut self) -> Result<(), StoreError> {
        let batch = self.batch.finish()?;
        self.file.write(&batch).map_err(write_error)
    }

    fn finish(mut self) -> Result<Written, StoreError> {
        if let Some(current) = self.current.take() {
            self.end(&current)?;
        }
        if self.batch.len() > 0 {
            self.write_batch()?;
        }
        self.file.finish().map_err(write_error)?;
        Ok(Written {
            traces: 0,
            rows: self.rows,
            extent: self.extent,
            side: vec![(Section::Series, self.table.encode())],
        })
    }
}
