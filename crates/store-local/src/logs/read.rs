//! Rows of a file back to log records, as they came.

use super::row::{Body, LogRow, TimeOrigin};
use super::schema;
use super::tags::Messages;
use crate::files::corrupt;
use crate::signal_file::Columns;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, RecordBatch,
    StringArray, TimestampNanosecondArray, UInt8Array, UInt32Array,
};
use carafe_store::{LogRecord, ResourceRecord, ScopeRecord, StoreError};
use carafe_telemetry::otlp::{self, AnyValue};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use hashbrown::{Equivalent, HashMap};
use prost::{DecodeError, Message};
use std::sync::Arc;

/// Resources and scopes that one reader shares; more are decoded anew.
const MAX_SHARED: usize = 4_096;

/// A dictionary column: keys, and the values that they stand for.
pub(super) struct Dictionary<'a, V> {
    keys: &'a Int32Array,
    values: &'a V,
}

impl<V> Clone for Dictionary<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Dictionary<'_, V> {}

impl<'a, V: Array + 'static> Dictionary<'a, V> {
    fn of(file: &str, columns: &Columns<'a>, name: &str) -> Result<Self, StoreError> {
        let array: &DictionaryArray<Int32Type> = columns.get(name)?;
        let values = array.values().as_any().downcast_ref::<V>();
        let values =
            values.ok_or_else(|| corrupt(file, format!("its column {name} has other values")))?;
        Ok(Self { keys: array.keys(), values })
    }

    /// The place of a row's value; none for null, and for a key that no value has.
    pub(super) fn key(&self, row: usize) -> Option<usize> {
        let key = self.keys.is_valid(row).then(|| self.keys.value(row))?;
        usize::try_from(key).ok().filter(|key| *key < self.values.len())
    }
}

impl<'a> Dictionary<'a, StringArray> {
    /// The text of a row; empty for null.
    pub(super) fn text(&self, row: usize) -> &'a str {
        self.key(row).map_or("", |key| self.values.value(key))
    }
}

impl<'a> Dictionary<'a, BinaryArray> {
    pub(super) fn bytes(&self, row: usize) -> &'a [u8] {
        self.key(row).map_or(&[], |key| self.values.value(key))
    }
}

/// The columns that a search looks at before it reads the others. Those that were not read
/// are none.
pub(super) struct FilterColumns<'a> {
    pub(super) time: &'a TimestampNanosecondArray,
    pub(super) trace_id: Option<&'a FixedSizeBinaryArray>,
    pub(super) severity_number: Option<&'a Int32Array>,
    pub(super) service: Option<Dictionary<'a, StringArray>>,
    pub(super) body_text: Option<&'a StringArray>,
    pub(super) body: Option<&'a BinaryArray>,
    pub(super) messages: Option<MessageColumns<'a>>,
}

/// The columns that hold attributes.
pub(super) struct MessageColumns<'a> {
    attributes: &'a BinaryArray,
    resource: Dictionary<'a, BinaryArray>,
    scope: Dictionary<'a, BinaryArray>,
}

impl<'a> MessageColumns<'a> {
    /// Those of a row.
    pub(super) fn of(&self, row: usize) -> Messages<'a> {
        [bytes(self.attributes, row), self.resource.bytes(row), self.scope.bytes(row)]
    }
}

impl<'a> FilterColumns<'a> {
    /// Those of `batch`, which has the columns `names` of `file`.
    pub(super) fn of(
        file: &'a str,
        batch: &'a RecordBatch,
        names: &[&str],
    ) -> Result<Self, StoreError> {
        let columns = Columns::new(file, batch);
        let has = |name: &str| names.contains(&name);
        macro_rules! column {
            ($name:expr) => {
                has($name).then(|| columns.get($name)).transpose()?
            };
        }
        let service = has(schema::SERVICE)
            .then(|| Dictionary::of(file, &columns, schema::SERVICE))
            .transpose()?;
        Ok(Self {
            time: columns.get(schema::TIME)?,
            trace_id: match column!(schema::TRACE_ID) {
                Some(ids) => Some(of_width(file, ids, 16)?),
                None => None,
            },
            severity_number: column!(schema::SEVERITY_NUMBER),
            service,
            body_text: column!(schema::BODY_TEXT),
            body: column!(schema::BODY),
            messages: match has(schema::ATTRIBUTES) {
                true => Some(MessageColumns {
                    attributes: columns.get(schema::ATTRIBUTES)?,
                    resource: Dictionary::of(file, &columns, schema::RESOURCE)?,
                    scope: Dictionary::of(file, &columns, schema::SCOPE)?,
                }),
                false => None,
            },
        })
    }
}

fn of_width<'a>(
    file: &str,
    ids: &'a FixedSizeBinaryArray,
    bytes: i32,
) -> Result<&'a FixedSizeBinaryArray, StoreError> {
    match ids.value_length() == bytes {
        true => Ok(ids),
        false => Err(corrupt(file, format!("it has ids of {} bytes", ids.value_length()))),
    }
}

/// All columns of a batch.
pub(super) struct LogColumns<'a> {
    file: &'a str,
    time: &'a TimestampNanosecondArray,
    time_origin: &'a UInt8Array,
    observed_time: &'a TimestampNanosecondArray,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    severity_number: &'a Int32Array,
    severity_text: Dictionary<'a, StringArray>,
    body_text: &'a StringArray,
    body: &'a BinaryArray,
    event_name: Dictionary<'a, StringArray>,
    flags: &'a UInt32Array,
    dropped_attributes: &'a UInt32Array,
    service: Dictionary<'a, StringArray>,
    resource: Dictionary<'a, BinaryArray>,
    resource_schema_url: Dictionary<'a, StringArray>,
    scope: Dictionary<'a, BinaryArray>,
    scope_schema_url: Dictionary<'a, StringArray>,
    attributes: &'a BinaryArray,
    invalid_trace_id: &'a BinaryArray,
    invalid_span_id: &'a BinaryArray,
}

/// The bytes of a row; empty for null.
fn bytes(column: &BinaryArray, row: usize) -> &[u8] {
    if column.is_valid(row) { column.value(row) } else { &[] }
}

fn id<'a>(valid: &'a FixedSizeBinaryArray, invalid: &'a BinaryArray, row: usize) -> &'a [u8] {
    if valid.is_valid(row) { valid.value(row) } else { bytes(invalid, row) }
}

impl<'a> LogColumns<'a> {
    /// The columns of a batch of `file` that has all of them.
    pub(super) fn new(file: &'a str, batch: &'a RecordBatch) -> Result<Self, StoreError> {
        let columns = Columns::new(file, batch);
        let text = |name| Dictionary::<StringArray>::of(file, &columns, name);
        let message = |name| Dictionary::<BinaryArray>::of(file, &columns, name);
        Ok(Self {
            file,
            time: columns.get(schema::TIME)?,
            time_origin: columns.get(schema::TIME_ORIGIN)?,
            observed_time: columns.get(schema::OBSERVED_TIME)?,
            trace_id: of_width(file, columns.get(schema::TRACE_ID)?, 16)?,
            span_id: of_width(file, columns.get(schema::SPAN_ID)?, 8)?,
            severity_number: columns.get(schema::SEVERITY_NUMBER)?,
            severity_text: text(schema::SEVERITY_TEXT)?,
            body_text: columns.get(schema::BODY_TEXT)?,
            body: columns.get(schema::BODY)?,
            event_name: text(schema::EVENT_NAME)?,
            flags: columns.get(schema::FLAGS)?,
            dropped_attributes: columns.get(schema::DROPPED_ATTRIBUTES)?,
            service: text(schema::SERVICE)?,
            resource: message(schema::RESOURCE)?,
            resource_schema_url: text(schema::RESOURCE_SCHEMA_URL)?,
            scope: message(schema::SCOPE)?,
            scope_schema_url: text(schema::SCOPE_SCHEMA_URL)?,
            attributes: columns.get(schema::ATTRIBUTES)?,
            invalid_trace_id: columns.get(schema::INVALID_TRACE_ID)?,
            invalid_span_id: columns.get(schema::INVALID_SPAN_ID)?,
        })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.time.len()
    }

    /// The time of a row.
    pub(super) fn time(&self, row: usize) -> UnixNanos {
        UnixNanos(self.time.value(row).cast_unsigned())
    }

    pub(super) fn trace_id(&self, row: usize) -> Option<TraceId> {
        let is_there = self.trace_id.is_valid(row);
        is_there.then(|| TraceId::from_slice(self.trace_id.value(row)).ok()).flatten()
    }

    fn span_id(&self, row: usize) -> Option<SpanId> {
        let is_there = self.span_id.is_valid(row);
        is_there.then(|| SpanId::from_slice(self.span_id.value(row)).ok()).flatten()
    }

    /// The service, the resource and the scope of a row.
    pub(super) fn source(&self, row: usize) -> (&'a str, &'a [u8], &'a [u8]) {
        (self.service.text(row), self.resource.bytes(row), self.scope.bytes(row))
    }

    /// The attributes of a row: an OTLP `LogRecord`.
    pub(super) fn attributes(&self, row: usize) -> &'a [u8] {
        bytes(self.attributes, row)
    }

    /// What was logged in a row.
    pub(super) fn body(&self, row: usize) -> Body<'a> {
        match (self.body_text.is_valid(row), self.body.is_valid(row)) {
            (true, _) => Body::Text(self.body_text.value(row)),
            (false, true) => Body::Value(self.body.value(row).into()),
            (false, false) => Body::None,
        }
    }

    /// A row for another file.
    pub(super) fn row(&self, row: usize) -> Result<LogRow<'a>, StoreError> {
        let observed = self.observed_time.is_valid(row);
        let origin = TimeOrigin::from_number(self.time_origin.value(row));
        Ok(LogRow {
            time: self.time(row),
            time_origin: origin.ok_or_else(|| corrupt(self.file, "a time of unknown origin"))?,
            observed_time: match observed {
                true => self.observed_time.value(row).cast_unsigned(),
                false => 0,
            },
            trace_id: id(self.trace_id, self.invalid_trace_id, row),
            span_id: id(self.span_id, self.invalid_span_id, row),
            severity_number: self.severity_number.value(row),
            severity_text: self.severity_text.text(row),
            body: self.body(row),
            event_name: self.event_name.text(row),
            flags: self.flags.value(row),
            dropped_attributes: self.dropped_attributes.value(row),
            service: self.service.text(row),
            resource: self.resource.bytes(row),
            resource_schema_url: self.resource_schema_url.text(row),
            scope: self.scope.bytes(row),
            scope_schema_url: self.scope_schema_url.text(row),
            attributes: self.attributes(row).into(),
        })
    }
}

/// Messages and their schemas, with what they decode to.
type Shared<T> = HashMap<(Vec<u8>, String), Arc<T>>;

/// A key of [`Shared`], borrowed.
#[derive(Hash)]
struct Borrowed<'a>(&'a [u8], &'a str);

impl Equivalent<(Vec<u8>, String)> for Borrowed<'_> {
    fn equivalent(&self, (bytes, schema_url): &(Vec<u8>, String)) -> bool {
        self.0 == bytes && self.1 == schema_url
    }
}

/// Makes log records of rows. Equal resources and scopes are shared between the records.
#[derive(Debug, Default)]
pub(super) struct LogReader {
    resources: Shared<ResourceRecord>,
    scopes: Shared<ScopeRecord>,
}

fn shared<T>(
    known: &mut Shared<T>,
    bytes: &[u8],
    schema_url: &str,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<Arc<T>, DecodeError> {
    if let Some(shared) = known.get(&Borrowed(bytes, schema_url)) {
        return Ok(Arc::clone(shared));
    }
    let decoded = Arc::new(decode()?);
    if known.len() < MAX_SHARED {
        known.insert((bytes.to_vec(), schema_url.to_owned()), Arc::clone(&decoded));
    }
    Ok(decoded)
}

impl LogReader {
    /// The record of a row.
    pub(super) fn record(
        &mut self,
        columns: &LogColumns<'_>,
        at: usize,
    ) -> Result<LogRecord, StoreError> {
        let row = columns.row(at)?;
        let ids = (columns.trace_id(at), columns.span_id(at));
        let record = self.decode(&row, ids);
        record.map_err(|error| corrupt(columns.file, format!("a log record: {error}")))
    }

    fn decode(
        &mut self,
        row: &LogRow<'_>,
        (trace_id, span_id): (Option<TraceId>, Option<SpanId>),
    ) -> Result<LogRecord, DecodeError> {
        let resource = shared(&mut self.resources, row.resource, row.resource_schema_url, || {
            let resource = otlp::Resource::decode(row.resource)?;
            Ok(ResourceRecord::new(resource, row.resource_schema_url.to_owned()))
        })?;
        let scope = shared(&mut self.scopes, row.scope, row.scope_schema_url, || {
            let scope = otlp::InstrumentationScope::decode(row.scope)?;
            Ok(ScopeRecord { scope, schema_url: row.scope_schema_url.to_owned() })
        })?;
        let body = match &row.body {
            Body::None => None,
            Body::Text(text) => Some(AnyValue {
                value: Some(otlp::any_value::Value::StringValue((*text).to_owned())),
            }),
            Body::Value(bytes) => Some(AnyValue::decode(&**bytes)?),
        };
        let log = otlp::LogRecord {
            time_unix_nano: match row.time_origin {
                TimeOrigin::Own => row.time.0,
                TimeOrigin::Observed | TimeOrigin::Received => 0,
            },
            observed_time_unix_nano: row.observed_time,
            severity_number: row.severity_number,
            severity_text: row.severity_text.to_owned(),
            body,
            dropped_attributes_count: row.dropped_attributes,
            flags: row.flags,
            trace_id: row.trace_id.to_vec(),
            span_id: row.span_id.to_vec(),
            event_name: row.event_name.to_owned(),
            ..otlp::LogRecord::decode(&*row.attributes)?
        };
        Ok(LogRecord { time: row.time, trace_id, span_id, resource, scope, log: Arc::new(log) })
    }
}
