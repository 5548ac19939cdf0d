//! Log records to columns.

use super::row::{Body, LogRow};
use super::schema;
use crate::dictionary::DictionaryBuilder;
use crate::signal_file::PAGE_ROWS;
use arrow_array::builder::{
    BinaryBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
};
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt8Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::{SpanId, TraceId};
use std::sync::Arc;

/// A batch is full with so many bytes: far from the 2 GiB that one of its columns can hold,
/// whatever one request may have.
const BATCH_BYTES: usize = 64 << 20;

/// Collects log records, newest first, as rows of a batch.
pub struct LogBatchBuilder {
    rows: usize,
    bytes: usize,
    time: PrimitiveBuilder<TimestampNanosecondType>,
    time_origin: PrimitiveBuilder<UInt8Type>,
    observed_time: PrimitiveBuilder<TimestampNanosecondType>,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    severity_number: PrimitiveBuilder<Int32Type>,
    severity_text: DictionaryBuilder,
    body_text: StringBuilder,
    body: BinaryBuilder,
    event_name: DictionaryBuilder,
    flags: PrimitiveBuilder<UInt32Type>,
    dropped_attributes: PrimitiveBuilder<UInt32Type>,
    service: DictionaryBuilder,
    resource: DictionaryBuilder,
    resource_schema_url: DictionaryBuilder,
    scope: DictionaryBuilder,
    scope_schema_url: DictionaryBuilder,
    attributes: BinaryBuilder,
    invalid_trace_id: BinaryBuilder,
    invalid_span_id: BinaryBuilder,
}

impl Default for LogBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LogBatchBuilder {
    /// No rows yet.
    pub fn new() -> Self {
        let text = || DictionaryBuilder::new(DataType::Utf8);
        let bytes = || DictionaryBuilder::new(DataType::Binary);
        Self {
            rows: 0,
            bytes: 0,
            time: PrimitiveBuilder::new().with_timezone("UTC"),
            time_origin: PrimitiveBuilder::new(),
            observed_time: PrimitiveBuilder::new().with_timezone("UTC"),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            severity_number: PrimitiveBuilder::new(),
            severity_text: text(),
            body_text: StringBuilder::new(),
            body: BinaryBuilder::new(),
            event_name: text(),
            flags: PrimitiveBuilder::new(),
            dropped_attributes: PrimitiveBuilder::new(),
            service: text(),
            resource: bytes(),
            resource_schema_url: text(),
            scope: bytes(),
            scope_schema_url: text(),
            attributes: BinaryBuilder::new(),
            invalid_trace_id: BinaryBuilder::new(),
            invalid_span_id: BinaryBuilder::new(),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether the batch should be finished before more is added.
    pub fn is_full(&self) -> bool {
        self.rows >= PAGE_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds a row.
    pub fn push(&mut self, row: &LogRow<'_>) -> Result<(), StoreError> {
        self.rows += 1;
        self.time.append_value(row.time.0.cast_signed());
        self.time_origin.append_value(row.time_origin.number());
        let observed = Some(row.observed_time).filter(|time| *time != 0);
        self.observed_time.append_option(observed.map(u64::cast_signed));
        let trace_id = TraceId::from_slice(row.trace_id).ok().filter(|id| id.is_valid());
        push_id(&mut self.trace_id, trace_id.map(|id| id.0))?;
        let is_invalid = trace_id.is_none() && !row.trace_id.is_empty();
        self.invalid_trace_id.append_option(is_invalid.then_some(row.trace_id));
        let span_id = SpanId::from_slice(row.span_id).ok().filter(|id| id.is_valid());
        push_id(&mut self.span_id, span_id.map(|id| id.0))?;
        let is_invalid = span_id.is_none() && !row.span_id.is_empty();
        self.invalid_span_id.append_option(is_invalid.then_some(row.span_id));
        self.severity_number.append_value(row.severity_number);
        self.severity_text.push_option(not_empty(row.severity_text));
        let (text, value) = match &row.body {
            Body::None => (None, None),
            Body::Text(text) => (Some(*text), None),
            Body::Value(bytes) => (None, Some(&**bytes)),
        };
        self.body_text.append_option(text);
        self.body.append_option(value);
        self.event_name.push_option(not_empty(row.event_name));
        self.flags.append_value(row.flags);
        self.dropped_attributes.append_value(row.dropped_attributes);
        self.service.push(row.service.as_bytes());
        self.resource.push(row.resource);
        self.resource_schema_url.push_option(not_empty(row.resource_schema_url));
        self.scope.push(row.scope);
        self.scope_schema_url.push_option(not_empty(row.scope_schema_url));
        let has_attributes = !row.attributes.is_empty();
        self.attributes.append_option(has_attributes.then_some(&*row.attributes));
        self.bytes += text.map_or(0, str::len)
            + value.map_or(0, <[u8]>::len)
            + row.attributes.len()
            + row.trace_id.len()
            + row.span_id.len()
            + row.severity_text.len()
            + row.event_name.len()
            + row.resource.len();
        Ok(())
    }

    /// The rows so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.time_origin.finish()),
            Arc::new(self.observed_time.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.severity_number.finish()),
            self.severity_text.finish().map_err(internal)?,
            Arc::new(self.body_text.finish()),
            Arc::new(self.body.finish()),
            self.event_name.finish().map_err(internal)?,
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped_attributes.finish()),
            self.service.finish().map_err(internal)?,
            self.resource.finish().map_err(internal)?,
            self.resource_schema_url.finish().map_err(internal)?,
            self.scope.finish().map_err(internal)?,
            self.scope_schema_url.finish().map_err(internal)?,
            Arc::new(self.attributes.finish()),
            Arc::new(self.invalid_trace_id.finish()),
            Arc::new(self.invalid_span_id.finish()),
        ];
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(schema::schema(), columns).map_err(internal)
    }
}

fn push_id<const N: usize>(
    column: &mut FixedSizeBinaryBuilder,
    id: Option<[u8; N]>,
) -> Result<(), StoreError> {
    match id {
        Some(id) => column.append_value(id).map_err(internal),
        None => {
            column.append_null();
            Ok(())
        }
    }
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn internal(error: ArrowError) -> StoreError {
    let message = format!("a batch of log records cannot be built: {error}");
    StoreError {
        source: Some(Box::new(error)),
        ..StoreError::new(StoreErrorKind::Internal, message)
    }
}
