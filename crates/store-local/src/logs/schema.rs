//! The columns of a file of log records. `docs/reference/store-files.md` says what they mean.

use crate::signal_file::{delta, time_field, writer_properties};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use carafe_store::StoreError;
use carafe_telemetry::Signal;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::sync::{Arc, LazyLock};

pub(super) const TIME: &str = "time";
pub(super) const TIME_ORIGIN: &str = "time_origin";
pub(super) const OBSERVED_TIME: &str = "observed_time";
pub(super) const TRACE_ID: &str = "trace_id";
pub(super) const SPAN_ID: &str = "span_id";
pub(super) const SEVERITY_NUMBER: &str = "severity_number";
pub(super) const SEVERITY_TEXT: &str = "severity_text";
pub(super) const BODY_TEXT: &str = "body_text";
pub(super) const BODY: &str = "body";
pub(super) const EVENT_NAME: &str = "event_name";
pub(super) const FLAGS: &str = "flags";
pub(super) const DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";
pub(super) const SERVICE: &str = "service";
pub(super) const RESOURCE: &str = "resource";
pub(super) const RESOURCE_SCHEMA_URL: &str = "resource_schema_url";
pub(super) const SCOPE: &str = "scope";
pub(super) const SCOPE_SCHEMA_URL: &str = "scope_schema_url";
pub(super) const ATTRIBUTES: &str = "attributes";
pub(super) const INVALID_TRACE_ID: &str = "invalid_trace_id";
pub(super) const INVALID_SPAN_ID: &str = "invalid_span_id";

/// The place of the column of times.
pub(super) const TIME_COLUMN: usize = 0;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let dictionary = |name: &str, values: DataType, nullable: bool| {
        let values = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
        Field::new(name, values, nullable)
    };
    Arc::new(Schema::new(vec![
        time_field(TIME, false),
        Field::new(TIME_ORIGIN, DataType::UInt8, false),
        time_field(OBSERVED_TIME, true),
        Field::new(TRACE_ID, DataType::FixedSizeBinary(16), true),
        Field::new(SPAN_ID, DataType::FixedSizeBinary(8), true),
        Field::new(SEVERITY_NUMBER, DataType::Int32, false),
        dictionary(SEVERITY_TEXT, DataType::Utf8, true),
        Field::new(BODY_TEXT, DataType::Utf8, true),
        Field::new(BODY, DataType::Binary, true),
        dictionary(EVENT_NAME, DataType::Utf8, true),
        Field::new(FLAGS, DataType::UInt32, false),
        Field::new(DROPPED_ATTRIBUTES, DataType::UInt32, false),
        dictionary(SERVICE, DataType::Utf8, false),
        dictionary(RESOURCE, DataType::Binary, false),
        dictionary(RESOURCE_SCHEMA_URL, DataType::Utf8, true),
        dictionary(SCOPE, DataType::Binary, false),
        dictionary(SCOPE_SCHEMA_URL, DataType::Utf8, true),
        Field::new(ATTRIBUTES, DataType::Binary, true),
        Field::new(INVALID_TRACE_ID, DataType::Binary, true),
        Field::new(INVALID_SPAN_ID, DataType::Binary, true),
    ]))
});

/// The columns.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The places of columns by their names; those that are no columns are left out.
pub(super) fn places(names: &[&str]) -> Vec<usize> {
    let mut places: Vec<usize> =
        names.iter().filter_map(|name| Some(SCHEMA.column_with_name(name)?.0)).collect();
    places.sort_unstable();
    places
}

/// How the columns are encoded.
pub(super) fn properties() -> Result<WriterProperties, StoreError> {
    let newest_first =
        SortingColumn { column_idx: TIME_COLUMN as i32, descending: true, nulls_first: false };
    let properties = writer_properties(Signal::Logs, vec![newest_first])?;
    let properties = [TIME, OBSERVED_TIME].into_iter().fold(properties, delta);
    // Hardly two of them are equal.
    let unique = [SPAN_ID, BODY_TEXT, BODY, ATTRIBUTES].map(ColumnPath::from).into_iter();
    let properties = unique.fold(properties, |properties, column| {
        properties.set_column_dictionary_enabled(column, false)
    });
    Ok(properties.build())
}
