//! The columns of a file of data points. `docs/reference/store-files.md` says what they mean.

use crate::signal_file::{delta, time_field, writer_properties};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use carafe_store::StoreError;
use carafe_telemetry::Signal;
use parquet::basic::Encoding;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

pub(super) const SERIES: &str = "series";
pub(super) const TIME: &str = "time";
pub(super) const START_TIME: &str = "start_time";
pub(super) const IS_RECEIVED: &str = "time_is_received";
pub(super) const VALUE_DOUBLE: &str = "value_double";
pub(super) const VALUE_INT: &str = "value_int";
pub(super) const COUNT: &str = "count";
pub(super) const SUM: &str = "sum";
pub(super) const FLAGS: &str = "flags";
pub(super) const POINT: &str = "point";

/// The place of the column of series.
pub(super) const SERIES_COLUMN: usize = 0;
/// The place of the column of times.
pub(super) const TIME_COLUMN: usize = 1;
/// The columns that make a point, by their places.
pub(super) const POINT_COLUMNS: std::ops::Range<usize> = 0..10;

/// Where the columns are, in this order, that say in words what the series is. Only for other
/// readers.
fn words() -> [Field; 5] {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    ["name", "unit", "kind", "service", "attributes"]
        .map(|name| Field::new(name, dictionary(), false))
}

/// The columns.
pub(super) fn schema() -> SchemaRef {
    let points = [
        Field::new(SERIES, DataType::UInt32, false),
        time_field(TIME, false),
        time_field(START_TIME, true),
        Field::new(IS_RECEIVED, DataType::Boolean, false),
        Field::new(VALUE_DOUBLE, DataType::Float64, true),
        Field::new(VALUE_INT, DataType::Int64, true),
        Field::new(COUNT, DataType::UInt64, true),
        Field::new(SUM, DataType::Float64, true),
        Field::new(FLAGS, DataType::UInt32, false),
        Field::new(POINT, DataType::Binary, true),
    ];
    Arc::new(Schema::new(points.into_iter().chain(words()).collect::<Vec<_>>()))
}

/// How the columns are encoded.
pub(super) fn properties() -> Result<WriterProperties, StoreError> {
    let ascending = |column_idx: usize| SortingColumn {
        column_idx: column_idx as i32,
        descending: false,
        nulls_first: false,
    };
    let sorted_by = vec![ascending(SERIES_COLUMN), ascending(TIME_COLUMN)];
    let numbers = [SERIES, TIME, START_TIME, VALUE_INT, COUNT];
    let properties = writer_properties(Signal::Metrics, sorted_by)?;
    let properties = numbers.into_iter().fold(properties, delta);
    // The bytes of doubles compress better when those of equal weight are together.
    let doubles = [VALUE_DOUBLE, SUM].map(ColumnPath::from).into_iter();
    let properties = doubles.fold(properties, |properties, column| {
        properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT)
    });
    Ok(properties.set_column_dictionary_enabled(ColumnPath::from(POINT), false).build())
}
