//! What the files of all signals have in common: settings, the stamp in the footer, and
//! columns by name.

use crate::files::corrupt;
use arrow_array::{Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, TimeUnit};
use carafe_store::{StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::{Signal, UnixNanos};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

/// The version of the files. It grows when an older reader would misread them.
pub const FORMAT_VERSION: u32 = 1;
/// Rows of a row group: what one bloom filter speaks for, and one query skips at once.
pub const ROW_GROUP_ROWS: usize = 131_072;
/// Rows of a page: what is decoded at least where one row is wanted.
pub const PAGE_ROWS: usize = 8_192;
/// Bytes of a page, where rows are so long that fewer than [`PAGE_ROWS`] fit.
const PAGE_BYTES: usize = 4 << 20;
/// How hard zstd tries.
const ZSTD_LEVEL: i32 = 3;

/// The extent of nothing: it begins after it ends.
pub const NO_TIME: TimeRange = TimeRange { start: UnixNanos(u64::MAX), end: UnixNanos(0) };

const FORMAT_KEY: &str = "carafe.format";
const SIGNAL_KEY: &str = "carafe.signal";

/// The settings of a writer of files of `signal`, which are sorted by `sorted_by`: names of
/// columns and whether they descend.
pub fn writer_properties(
    signal: Signal,
    sorted_by: Vec<SortingColumn>,
) -> Result<WriterPropertiesBuilder, StoreError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| {
        StoreError::new(StoreErrorKind::Internal, format!("zstd has no such level: {error}"))
    })?;
    let stamp = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    Ok(WriterProperties::builder()
        .set_created_by(format!("carafe {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(sorted_by))
        .set_key_value_metadata(Some(vec![
            stamp(FORMAT_KEY, FORMAT_VERSION.to_string()),
            stamp(SIGNAL_KEY, signal.to_string()),
        ])))
}

/// Numbers that differ little from one row to the next.
pub fn delta(properties: WriterPropertiesBuilder, column: &str) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(column);
    properties
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
}

/// Checks that the file `name` is one of `signal` that this version can read.
pub fn check_stamp(
    metadata: &ParquetMetaData,
    name: &str,
    signal: Signal,
) -> Result<(), StoreError> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let value = |key: &str| {
        let pair = pairs?.iter().find(|pair| pair.key == key)?;
        pair.value.as_deref()
    };
    if value(SIGNAL_KEY) != Some(signal.as_str()) {
        return Err(corrupt(name, format!("it is not a file of {signal}")));
    }
    match value(FORMAT_KEY).and_then(|version| version.parse::<u32>().ok()) {
        Some(1..=FORMAT_VERSION) => Ok(()),
        version => {
            let version = version.map_or("none".to_owned(), |version| version.to_string());
            Err(StoreError::new(
                StoreErrorKind::Corrupt,
                format!(
                    "the file {name} has format {version}, and this program reads up to \
                     {FORMAT_VERSION}; hint: a newer carafe wrote it, so use that one"
                ),
            ))
        }
    }
}

/// A column of times in nanoseconds since the epoch.
pub fn time_field(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), nullable)
}

/// Times as a column. Those after the year 2262 become negative, and times again on the way
/// back.
pub fn times(values: impl IntoIterator<Item = Option<u64>>) -> TimestampNanosecondArray {
    values
        .into_iter()
        .map(|time| time.map(u64::cast_signed))
        .collect::<TimestampNanosecondArray>()
        .with_timezone("UTC")
}

/// The earliest and the latest time of a row group; all time where the file does not say.
pub fn row_group_times(metadata: &ParquetMetaData, row_group: usize, column: usize) -> TimeRange {
    let statistics = metadata
        .row_groups()
        .get(row_group)
        .and_then(|row_group| row_group.columns().get(column)?.statistics());
    match statistics {
        Some(Statistics::Int64(times)) => match (times.min_opt(), times.max_opt()) {
            // Negative ones are late ones, which are not in the order of statistics.
            (Some(&start), Some(&end)) if start >= 0 => {
                TimeRange { start: UnixNanos(start as u64), end: UnixNanos(end as u64) }
            }
            _ => TimeRange::ALL,
        },
        _ => TimeRange::ALL,
    }
}

/// A batch that was read from the file `name`, with its columns by name.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    name: &'a str,
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    /// The columns of `batch`, read from the file `name`.
    pub fn new(name: &'a str, batch: &'a RecordBatch) -> Self {
        Self { name, batch }
    }

    /// The column of this name. An error where there is none, or it has another type.
    pub fn get<A: Array + 'static>(&self, column: &str) -> Result<&'a A, StoreError> {
        self.batch
            .column_by_name(column)
            .and_then(|array| array.as_any().downcast_ref::<A>())
            .ok_or_else(|| corrupt(self.name, format!("it has no column {column} as expected")))
    }
}
