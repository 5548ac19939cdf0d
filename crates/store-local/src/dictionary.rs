//! Columns of values that come again and again.

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Builds a dictionary column of texts or byte strings.
pub struct DictionaryBuilder {
    is_text: bool,
    keys: Vec<i32>,
    nulls: NullBufferBuilder,
    values: Vec<u8>,
    /// Where each value ends, after a zero.
    ends: Vec<i32>,
    by_value: HashTable<i32>,
    hasher: hashbrown::DefaultHashBuilder,
    /// The key of a value by its address, to be checked against the value: most rows refer to
    /// one of few values in memory, and comparing is cheaper than hashing.
    recent: [Recent; RECENT],
}

#[derive(Clone, Copy, Default)]
struct Recent {
    address: usize,
    key: i32,
}

/// How many addresses are remembered.
const RECENT: usize = 64;

/// Shorter values are hashed at once.
const MIN_RECENT_BYTES: usize = 32;

impl DictionaryBuilder {
    /// A column of type `Utf8` or, else, `Binary`.
    pub fn new(values: DataType) -> Self {
        Self {
            is_text: values == DataType::Utf8,
            keys: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            values: Vec::new(),
            ends: vec![0],
            by_value: HashTable::new(),
            hasher: hashbrown::DefaultHashBuilder::default(),
            recent: [Recent::default(); RECENT],
        }
    }

    fn value<'a>(values: &'a [u8], ends: &[i32], key: i32) -> &'a [u8] {
        let key = key as usize;
        &values[ends[key] as usize..ends[key + 1] as usize]
    }

    /// Adds a row. `value` is UTF-8 where the column is of texts; all values of one batch
    /// are together smaller than 2 GiB.
    pub fn push(&mut self, value: &[u8]) {
        let key = match value.len() >= MIN_RECENT_BYTES {
            true => self.key_by_address(value),
            false => self.key(value),
        };
        self.keys.push(key);
        self.nulls.append_non_null();
    }

    /// Adds a row that has no value.
    pub fn push_null(&mut self) {
        self.keys.push(0);
        self.nulls.append_null();
    }

    /// Adds a row that may have a text.
    pub fn push_option(&mut self, value: Option<&str>) {
        match value {
            Some(text) => self.push(text.as_bytes()),
            None => self.push_null(),
        }
    }

    fn key_by_address(&mut self, value: &[u8]) -> i32 {
        let address = value.as_ptr().addr();
        let slot = (address >> 3) % RECENT;
        let recent = self.recent[slot];
        let known = (recent.key as usize) + 1 < self.ends.len() && recent.address == address;
        if known && Self::value(&self.values, &self.ends, recent.key) == value {
            return recent.key;
        }
        let key = self.key(value);
        self.recent[slot] = Recent { address, key };
        key
    }

    fn key(&mut self, value: &[u8]) -> i32 {
        let (values, ends, hasher) = (&mut self.values, &mut self.ends, &self.hasher);
        let hash = hasher.hash_one(value);
        let same = |key: &i32| Self::value(values, ends, *key) == value;
        if let Some(key) = self.by_value.find(hash, same) {
            return *key;
        }
        let key = (ends.len() - 1) as i32;
        values.extend_from_slice(value);
        ends.push(values.len() as i32);
        self.by_value
            .insert_unique(hash, key, |key| hasher.hash_one(Self::value(values, ends, *key)));
        key
    }

    /// The rows so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let values = std::mem::take(&mut self.values);
        self.by_value.clear();
        let keys = std::mem::take(&mut self.keys);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let values: Arc<dyn Array> = match self.is_text {
            true => Arc::new(StringArray::try_new(offsets, values.into(), None)?),
            false => Arc::new(BinaryArray::try_new(offsets, values.into(), None)?),
        };
        let keys = PrimitiveArray::<Int32Type>::try_new(keys.into(), self.nulls.finish())?;
        Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_the_rows_back(
            rows in prop::collection::vec(prop::option::of("[ab]{0,2}|[ab]{32,33}"), 0..40),
            again in prop::collection::vec(prop::option::of("[ab]{0,2}|[ab]{32,33}"), 0..40),
        ) {
            let mut builder = DictionaryBuilder::new(DataType::Utf8);
            for rows in [&rows, &again] {
                rows.iter().for_each(|row| builder.push_option(row.as_deref()));
                let column = builder.finish().unwrap();
                let column = column.as_dictionary::<Int32Type>();
                let column = column.downcast_dict::<StringArray>().unwrap();
                prop_assert!(column.into_iter().eq(rows.iter().map(Option::as_deref)));
            }
        }
    }

    #[test]
    fn equal_values_are_there_once() {
        let mut builder = DictionaryBuilder::new(DataType::Binary);
        let long = [7; 100];
        let same = vec![7; 100];
        for _ in 0..3 {
            builder.push(b"short");
            builder.push(&long);
            builder.push(&same);
        }
        let column = builder.finish().unwrap();
        assert_eq!(column.len(), 9);
        assert_eq!(column.as_dictionary::<Int32Type>().values().len(), 2);
    }
}
