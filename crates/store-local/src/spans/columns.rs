//! Typed access to the columns of a batch of spans.

use super::schema::{Promoted, PromotedType, column};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type,
};
use arrow_array::{
    Array, BinaryArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch, StringArray,
};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};

/// A column is not what the schema says. The file is damaged, or the caller mistaken.
#[derive(Debug, thiserror::Error)]
#[error("column {0} of a batch of spans is missing or of another type")]
pub struct ColumnError(usize);

/// A batch that has some of the columns of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    batch: &'a RecordBatch,
    /// Which columns of the file these are, in ascending order; none for all.
    projection: Option<&'a [usize]>,
}

/// A dictionary column: keys, and the values that they stand for.
#[derive(Debug)]
pub(super) struct Dictionary<'a, V> {
    pub(super) keys: &'a PrimitiveArray<Int32Type>,
    pub(super) values: &'a V,
}

impl<V> Clone for Dictionary<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Dictionary<'_, V> {}

impl<V: Array> Dictionary<'_, V> {
    /// The key of a row; none for null, and for a key that no value has.
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
    /// The bytes of a row; empty for null.
    pub(super) fn bytes(&self, row: usize) -> &'a [u8] {
        self.key(row).map_or(&[], |key| self.values.value(key))
    }
}

/// The column of a promoted attribute.
#[derive(Clone, Copy, Debug)]
pub(super) enum PromotedColumn<'a> {
    Text(&'a StringArray),
    Int(&'a PrimitiveArray<Int64Type>),
    Double(&'a PrimitiveArray<Float64Type>),
}

impl PromotedColumn<'_> {
    pub(super) fn is_all_null(&self) -> bool {
        let column: &dyn Array = match self {
            Self::Text(column) => *column,
            Self::Int(column) => *column,
            Self::Double(column) => *column,
        };
        column.null_count() == column.len()
    }
}

impl<'a> Columns<'a> {
    /// A batch with all columns.
    pub(super) fn all(batch: &'a RecordBatch) -> Self {
        Self { batch, projection: None }
    }

    /// A batch with these columns, in ascending order.
    pub(super) fn some(batch: &'a RecordBatch, projection: &'a [usize]) -> Self {
        Self { batch, projection: Some(projection) }
    }

    pub(super) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, column: usize) -> Option<&'a dyn Array> {
        let at = match self.projection {
            Some(projection) => projection.binary_search(&column).ok()?,
            None => column,
        };
        self.batch.columns().get(at).map(AsRef::as_ref)
    }

    fn typed<T>(
        &self,
        column: usize,
        downcast: impl FnOnce(&'a dyn Array) -> Option<T>,
    ) -> Result<T, ColumnError> {
        self.column(column).and_then(downcast).ok_or(ColumnError(column))
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(
        &self,
        column: usize,
    ) -> Result<&'a PrimitiveArray<T>, ColumnError> {
        self.typed(column, |array| array.as_primitive_opt())
    }

    pub(super) fn ids(&self, column: usize) -> Result<&'a FixedSizeBinaryArray, ColumnError> {
        let bytes = if column == column::TRACE_ID { 16 } else { 8 };
        self.typed(column, |array| {
            array.as_fixed_size_binary_opt().filter(|ids| ids.value_length() == bytes)
        })
    }

    pub(super) fn bytes(&self, column: usize) -> Result<&'a BinaryArray, ColumnError> {
        self.typed(column, |array| array.as_binary_opt())
    }

    pub(super) fn texts(&self, column: usize) -> Result<&'a StringArray, ColumnError> {
        self.typed(column, |array| array.as_string_opt())
    }

    pub(super) fn dictionary_of_texts(
        &self,
        column: usize,
    ) -> Result<Dictionary<'a, StringArray>, ColumnError> {
        self.typed(column, |array| {
            let dictionary = array.as_dictionary_opt::<Int32Type>()?;
            let values = dictionary.values().as_string_opt()?;
            Some(Dictionary { keys: dictionary.keys(), values })
        })
    }

    pub(super) fn dictionary_of_bytes(
        &self,
        column: usize,
    ) -> Result<Dictionary<'a, BinaryArray>, ColumnError> {
        self.typed(column, |array| {
            let dictionary = array.as_dictionary_opt::<Int32Type>()?;
            let values = dictionary.values().as_binary_opt()?;
            Some(Dictionary { keys: dictionary.keys(), values })
        })
    }

    /// The column of the promoted attribute number `at`.
    pub(super) fn promoted(
        &self,
        promoted: &Promoted,
        at: usize,
    ) -> Result<PromotedColumn<'a>, ColumnError> {
        let column = column::COUNT + at;
        Ok(match promoted.kind {
            PromotedType::Text => PromotedColumn::Text(self.texts(column)?),
            PromotedType::Int => PromotedColumn::Int(self.numbers(column)?),
            PromotedType::Double => PromotedColumn::Double(self.numbers(column)?),
        })
    }
}

/// Typed, the columns of [`HIT_COLUMNS`].
#[derive(Clone, Copy, Debug)]
pub(super) struct HitColumns<'a> {
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    pub(super) parent_span_id: &'a FixedSizeBinaryArray,
    start: &'a PrimitiveArray<TimestampNanosecondType>,
    duration: &'a PrimitiveArray<Int64Type>,
    pub(super) service: Dictionary<'a, StringArray>,
    pub(super) name: Dictionary<'a, StringArray>,
    pub(super) kind: &'a PrimitiveArray<Int32Type>,
    pub(super) status: &'a PrimitiveArray<Int32Type>,
}

/// The columns that a hit is made of, in ascending order.
pub(super) const HIT_COLUMNS: [usize; 9] = [
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::START_TIME,
    column::DURATION_NANO,
    column::SERVICE,
    column::NAME,
    column::KIND,
    column::STATUS_CODE,
];

impl<'a> HitColumns<'a> {
    pub(super) fn of(columns: &Columns<'a>) -> Result<Self, ColumnError> {
        Ok(Self {
            trace_id: columns.ids(column::TRACE_ID)?,
            span_id: columns.ids(column::SPAN_ID)?,
            parent_span_id: columns.ids(column::PARENT_SPAN_ID)?,
            start: columns.numbers(column::START_TIME)?,
            duration: columns.numbers(column::DURATION_NANO)?,
            service: columns.dictionary_of_texts(column::SERVICE)?,
            name: columns.dictionary_of_texts(column::NAME)?,
            kind: columns.numbers(column::KIND)?,
            status: columns.numbers(column::STATUS_CODE)?,
        })
    }

    pub(super) fn trace_id(&self, row: usize) -> TraceId {
        TraceId(id(self.trace_id, row))
    }

    pub(super) fn span_id(&self, row: usize) -> SpanId {
        SpanId(id(self.span_id, row))
    }

    /// None for a root, also for one that came with a parent of zeroes.
    pub(super) fn parent_span_id(&self, row: usize) -> Option<SpanId> {
        let is_there = self.parent_span_id.is_valid(row);
        is_there.then(|| SpanId(id(self.parent_span_id, row))).filter(|id| id.is_valid())
    }

    pub(super) fn start(&self, row: usize) -> UnixNanos {
        UnixNanos(self.start.value(row).cast_unsigned())
    }

    pub(super) fn end(&self, row: usize) -> UnixNanos {
        let duration = self.duration.value(row).cast_unsigned();
        UnixNanos(self.start(row).0.wrapping_add(duration))
    }

    /// OTLP's number of the status; 0 where there is none.
    pub(super) fn status(&self, row: usize) -> i32 {
        if self.status.is_valid(row) { self.status.value(row) } else { 0 }
    }
}

/// The id in a row of a column of the id's width.
pub(super) fn id<const N: usize>(ids: &FixedSizeBinaryArray, row: usize) -> [u8; N] {
    let mut id = [0; N];
    id.copy_from_slice(ids.value(row));
    id
}

/// Counts of attributes, events and links that the sender left out, and flags.
pub(super) type Counts<'a> = &'a PrimitiveArray<UInt32Type>;
