//! Rows of a file back to data points.

use super::point::{Parts, join};
use super::schema;
use super::table::{SeriesDecoder, SeriesTable};
use crate::files::corrupt;
use crate::signal_file::Columns;
use arrow_array::{
    Array, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch,
    TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use carafe_store::{Point, PointRecord, Series, StoreError};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::number_data_point::Value;
use std::sync::Arc;

/// The columns of a batch.
pub(super) struct PointColumns<'a> {
    file: &'a str,
    series: &'a UInt32Array,
    time: &'a TimestampNanosecondArray,
    start_time: &'a TimestampNanosecondArray,
    is_received: &'a BooleanArray,
    double: &'a Float64Array,
    int: &'a Int64Array,
    count: &'a UInt64Array,
    sum: &'a Float64Array,
    flags: &'a UInt32Array,
    rest: &'a BinaryArray,
}

/// The value of a row that is not null.
macro_rules! value {
    ($array:expr, $row:expr) => {
        $array.is_valid($row).then(|| $array.value($row))
    };
}

impl<'a> PointColumns<'a> {
    /// The columns of a batch of `file` that has all of [`schema::POINT_COLUMNS`].
    pub(super) fn new(file: &'a str, batch: &'a RecordBatch) -> Result<Self, StoreError> {
        let columns = Columns::new(file, batch);
        Ok(Self {
            file,
            series: columns.get(schema::SERIES)?,
            time: columns.get(schema::TIME)?,
            start_time: columns.get(schema::START_TIME)?,
            is_received: columns.get(schema::IS_RECEIVED)?,
            double: columns.get(schema::VALUE_DOUBLE)?,
            int: columns.get(schema::VALUE_INT)?,
            count: columns.get(schema::COUNT)?,
            sum: columns.get(schema::SUM)?,
            flags: columns.get(schema::FLAGS)?,
            rest: columns.get(schema::POINT)?,
        })
    }

    /// How many points there are.
    pub(super) fn rows(&self) -> usize {
        self.time.len()
    }

    /// The number of a point's series.
    pub(super) fn series(&self, row: usize) -> u32 {
        self.series.value(row)
    }

    /// When a point was taken.
    pub(super) fn time(&self, row: usize) -> UnixNanos {
        UnixNanos(self.time.value(row).cast_unsigned())
    }

    /// A point of `series`.
    pub(super) fn point(&self, row: usize, series: &Series) -> Result<Arc<Point>, StoreError> {
        let double = value!(self.double, row).map(Value::AsDouble);
        let parts = Parts {
            time: self.time(row).0,
            is_received: self.is_received.value(row),
            start_time: value!(self.start_time, row).map(i64::cast_unsigned),
            flags: self.flags.value(row),
            value: double.or(value!(self.int, row).map(Value::AsInt)),
            count: value!(self.count, row),
            sum: value!(self.sum, row),
            rest: value!(self.rest, row).map(<[u8]>::to_vec),
        };
        let point = join(series.metric.data.as_ref(), &parts);
        Ok(Arc::new(point.map_err(|error| corrupt(self.file, format!("a point: {error}")))?))
    }
}

/// How many decoded series are remembered at once: some ten megabytes.
const MAX_DECODED: usize = 16_384;

/// Gives points their series, each decoded once as long as they are few.
pub(super) struct SeriesOfRows<'a> {
    table: &'a SeriesTable,
    decoder: SeriesDecoder<'a>,
    decoded: hashbrown::HashMap<u32, Arc<Series>>,
}

impl<'a> SeriesOfRows<'a> {
    pub(super) fn new(table: &'a SeriesTable) -> Self {
        let decoder = SeriesDecoder::new(table);
        Self { table, decoder, decoded: hashbrown::HashMap::new() }
    }

    /// The point of a row with its series.
    pub(super) fn record(
        &mut self,
        columns: &PointColumns<'_>,
        row: usize,
    ) -> Result<PointRecord, StoreError> {
        let number = columns.series(row);
        let series = match self.decoded.get(&number) {
            Some(series) => Arc::clone(series),
            None => {
                let series = self.decoder.series(&self.table.entry(number as usize)?)?;
                if self.decoded.len() >= MAX_DECODED {
                    self.decoded.clear();
                }
                self.decoded.insert(number, Arc::clone(&series));
                series
            }
        };
        let point = columns.point(row, &series)?;
        Ok(PointRecord { series, point })
    }
}
