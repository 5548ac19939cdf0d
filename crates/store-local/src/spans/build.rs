//! Spans to Arrow columns, from the bytes that they came in.

use super::schema::{self, NEXT_OF_REST, PROMOTED, PromotedType};
use crate::dictionary::DictionaryBuilder;
use arrow_array::builder::{
    BinaryBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, PrimitiveBuilder,
    StringBuilder,
};
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::view::{KeyValueView, SpanView, ValueView};
use carafe_telemetry::{SpanId, TraceId};
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};

/// How many spans a batch should have.
pub const BATCH_ROWS: usize = 8_192;

/// A batch is full with so many bytes of spans: far from the 2 GiB that one of its columns
/// can hold, whatever one request may have.
pub const BATCH_BYTES: usize = 64 << 20;

/// The largest batch: its bytes plus a largest request stay below 2 GiB.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// The resource that recorded a span.
#[derive(Clone, Copy, Debug)]
pub struct ResourceRef<'a> {
    /// Its OTLP message.
    pub bytes: &'a [u8],
    /// The schema of the resource; may be empty.
    pub schema_url: &'a str,
    /// The service that it names.
    pub service: &'a str,
}

/// The library that recorded a span.
#[derive(Clone, Copy, Debug)]
pub struct ScopeRef<'a> {
    /// Its OTLP message.
    pub bytes: &'a [u8],
    /// The schema of the scope's items; may be empty.
    pub schema_url: &'a str,
}

/// A span to be written.
#[derive(Clone, Copy, Debug)]
pub struct SpanRef<'a> {
    /// The trace; valid.
    pub trace_id: TraceId,
    /// Its own id; valid.
    pub span_id: SpanId,
    /// The span as it came. Its parent is empty or of eight bytes.
    pub view: SpanView<'a>,
    /// Who recorded it.
    pub resource: ResourceRef<'a>,
    /// Which library recorded it.
    pub scope: ScopeRef<'a>,
    /// The service that called this one, where this span is a call.
    pub caller: Option<&'a str>,
}

/// Collects spans, newest first, as rows of a batch.
pub struct SpanBatchBuilder {
    rows: usize,
    bytes: usize,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    start_time: PrimitiveBuilder<TimestampNanosecondType>,
    duration_nano: Int64Builder,
    service: DictionaryBuilder,
    name: DictionaryBuilder,
    kind: PrimitiveBuilder<Int32Type>,
    status_code: PrimitiveBuilder<Int32Type>,
    status_message: StringBuilder,
    trace_state: DictionaryBuilder,
    flags: PrimitiveBuilder<UInt32Type>,
    dropped: [PrimitiveBuilder<UInt32Type>; 3],
    resource: DictionaryBuilder,
    resource_schema_url: DictionaryBuilder,
    scope: DictionaryBuilder,
    scope_schema_url: DictionaryBuilder,
    caller: DictionaryBuilder,
    attributes: AttributesBuilder,
    events: BinaryBuilder,
    links: BinaryBuilder,
    scratch: Vec<u8>,
}

impl Default for SpanBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SpanBatchBuilder {
    /// No rows yet.
    pub fn new() -> Self {
        let text = || DictionaryBuilder::new(DataType::Utf8);
        let bytes = || DictionaryBuilder::new(DataType::Binary);
        Self {
            rows: 0,
            bytes: 0,
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            parent_span_id: FixedSizeBinaryBuilder::new(8),
            start_time: PrimitiveBuilder::new().with_timezone("UTC"),
            duration_nano: Int64Builder::new(),
            service: text(),
            name: text(),
            kind: PrimitiveBuilder::new(),
            status_code: PrimitiveBuilder::new(),
            status_message: StringBuilder::new(),
            trace_state: text(),
            flags: PrimitiveBuilder::new(),
            dropped: Default::default(),
            resource: bytes(),
            resource_schema_url: text(),
            scope: bytes(),
            scope_schema_url: text(),
            caller: text(),
            attributes: AttributesBuilder::new(),
            events: BinaryBuilder::new(),
            links: BinaryBuilder::new(),
            scratch: Vec::new(),
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
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds a row. An error where the batch is far over [`BATCH_BYTES`].
    pub fn push(&mut self, span: &SpanRef<'_>) -> Result<(), StoreError> {
        let view = &span.view;
        if self.bytes > MAX_BATCH_BYTES {
            let message = format!("a batch of more than {MAX_BATCH_BYTES} bytes");
            return Err(StoreError::new(StoreErrorKind::Internal, message));
        }
        self.bytes += view.bytes.len();
        self.rows += 1;
        self.trace_id.append_value(span.trace_id.0).map_err(internal)?;
        self.span_id.append_value(span.span_id.0).map_err(internal)?;
        match <[u8; 8]>::try_from(view.parent_span_id) {
            Ok(id) => self.parent_span_id.append_value(id).map_err(internal)?,
            Err(_) => self.parent_span_id.append_null(),
        }
        self.start_time.append_value(view.start.cast_signed());
        self.duration_nano.append_value(view.end.wrapping_sub(view.start).cast_signed());
        self.name.push(view.name.as_bytes());
        self.kind.append_value(view.kind);
        self.status_code.append_option(view.has_status.then_some(view.status_code));
        self.status_message.append_option(not_empty(view.status_message));
        self.trace_state.push_option(not_empty(view.trace_state));
        self.flags.append_value(view.flags);
        let dropped = [view.dropped_attributes, view.dropped_events, view.dropped_links];
        for (column, dropped) in self.dropped.iter_mut().zip(dropped) {
            column.append_value(dropped);
        }
        self.service.push(span.resource.service.as_bytes());
        self.resource.push(span.resource.bytes);
        self.resource_schema_url.push_option(not_empty(span.resource.schema_url));
        self.scope.push(span.scope.bytes);
        self.scope_schema_url.push_option(not_empty(span.scope.schema_url));
        self.caller.push_option(span.caller);
        self.attributes.push(view);
        push_messages(&mut self.events, &mut self.scratch, 11, view.events().map(|e| e.bytes));
        push_messages(&mut self.links, &mut self.scratch, 13, view.links().map(|l| l.bytes));
        Ok(())
    }

    /// The rows so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        let (rest, order, promoted) = self.attributes.finish(self.rows);
        let [dropped_attributes, dropped_events, dropped_links] = &mut self.dropped;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.start_time.finish()),
            Arc::new(self.duration_nano.finish()),
            self.service.finish().map_err(internal)?,
            self.name.finish().map_err(internal)?,
            Arc::new(self.kind.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
            self.trace_state.finish().map_err(internal)?,
            Arc::new(self.flags.finish()),
            Arc::new(dropped_attributes.finish()),
            Arc::new(dropped_events.finish()),
            Arc::new(dropped_links.finish()),
            self.resource.finish().map_err(internal)?,
            self.resource_schema_url.finish().map_err(internal)?,
            self.scope.finish().map_err(internal)?,
            self.scope_schema_url.finish().map_err(internal)?,
            self.caller.finish().map_err(internal)?,
            rest,
            order.map_err(internal)?,
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
        ];
        columns.extend(promoted);
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(schema::spans(), columns).map_err(internal)
    }
}

fn internal(error: ArrowError) -> StoreError {
    let message = format!("a batch of spans cannot be built: {error}");
    StoreError {
        source: Some(Box::new(error)),
        ..StoreError::new(StoreErrorKind::Internal, message)
    }
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Adds a message that has `messages` in the field `tag`, or null where there are none.
fn push_messages<'a>(
    column: &mut BinaryBuilder,
    scratch: &mut Vec<u8>,
    tag: u8,
    messages: impl Iterator<Item = &'a [u8]>,
) {
    scratch.clear();
    messages.for_each(|message| put_message(scratch, tag, message));
    column.append_option((!scratch.is_empty()).then_some(&*scratch));
}

fn put_message(out: &mut Vec<u8>, tag: u8, message: &[u8]) {
    out.push(tag << 3 | 2);
    prost::encoding::encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}

/// The place of each promoted key.
static PLACES: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| {
    PROMOTED.iter().enumerate().map(|(place, (key, _))| (*key, place as u8)).collect()
});

/// Attributes: those that have a column, the rest, and their order.
struct AttributesBuilder {
    promoted: Vec<PromotedBuilder>,
    rest: BinaryBuilder,
    order: DictionaryBuilder,
    rows: usize,
    rest_scratch: Vec<u8>,
    order_scratch: Vec<u8>,
}

/// A column that is null where nothing was pushed.
enum PromotedBuilder {
    Text(StringBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
}

impl PromotedBuilder {
    fn new(kind: PromotedType) -> Self {
        match kind {
            PromotedType::Text => Self::Text(StringBuilder::new()),
            PromotedType::Int => Self::Int(Int64Builder::new()),
            PromotedType::Double => Self::Double(Float64Builder::new()),
        }
    }

    /// Takes the value of the row after the first `rows`, where it is of the column's type.
    fn push(&mut self, rows: usize, value: ValueView<'_>) -> bool {
        use arrow_array::builder::ArrayBuilder;
        match (self, value) {
            (Self::Text(column), ValueView::Str(text)) => {
                column.append_nulls(rows - column.len());
                column.append_value(text);
            }
            (Self::Int(column), ValueView::Int(number)) => {
                column.append_nulls(rows - column.len());
                column.append_value(number);
            }
            (Self::Double(column), ValueView::Double(number)) => {
                column.append_nulls(rows - column.len());
                column.append_value(number);
            }
            _ => return false,
        }
        true
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        use arrow_array::builder::ArrayBuilder;
        match self {
            Self::Text(column) => {
                column.append_nulls(rows - column.len());
                Arc::new(column.finish())
            }
            Self::Int(column) => {
                column.append_nulls(rows - column.len());
                Arc::new(column.finish())
            }
            Self::Double(column) => {
                column.append_nulls(rows - column.len());
                Arc::new(column.finish())
            }
        }
    }
}

impl AttributesBuilder {
    fn new() -> Self {
        Self {
            promoted: PROMOTED.iter().map(|(_, kind)| PromotedBuilder::new(*kind)).collect(),
            rest: BinaryBuilder::new(),
            order: DictionaryBuilder::new(DataType::Binary),
            rows: 0,
            rest_scratch: Vec::new(),
            order_scratch: Vec::new(),
        }
    }

    fn push(&mut self, span: &SpanView<'_>) {
        self.rest_scratch.clear();
        self.order_scratch.clear();
        let mut taken = 0_u64;
        for attribute in span.attributes() {
            let place = self.promote(&attribute, &mut taken);
            if place.is_none() {
                put_message(&mut self.rest_scratch, 9, attribute.bytes);
            }
            self.order_scratch.push(place.unwrap_or(NEXT_OF_REST));
        }
        self.rows += 1;
        let has_rest = !self.rest_scratch.is_empty();
        self.rest.append_option(has_rest.then_some(&self.rest_scratch));
        // Columns in their order, then the rest: what a reader assumes unless it is told.
        // What is after the last column is the rest anyway.
        let is_usual = self.order_scratch.is_sorted_by(|a, b| a < b || *b == NEXT_OF_REST);
        while self.order_scratch.last() == Some(&NEXT_OF_REST) {
            self.order_scratch.pop();
        }
        match is_usual {
            true => self.order.push_null(),
            false => self.order.push(&self.order_scratch),
        }
    }

    /// Puts an attribute into its column. The second of one key has no place there.
    fn promote(&mut self, attribute: &KeyValueView<'_>, taken: &mut u64) -> Option<u8> {
        let place = *PLACES.get(attribute.key)?;
        let is_free = *taken >> place & 1 == 0 && attribute.key_strindex == 0;
        let column = &mut self.promoted[usize::from(place)];
        (is_free && column.push(self.rows, attribute.value)).then(|| {
            *taken |= 1 << place;
            place
        })
    }

    fn finish(&mut self, rows: usize) -> (ArrayRef, Result<ArrayRef, ArrowError>, Vec<ArrayRef>) {
        self.rows = 0;
        let promoted = self.promoted.iter_mut().map(|column| column.finish(rows)).collect();
        (Arc::new(self.rest.finish()), self.order.finish(), promoted)
    }
}
