//! Attributes and their values.

use super::wire::{Messages, Reader, delimited, fixed64, tags, varint};
use super::{ITEM_DEPTH, REQUEST_DEPTH, ViewError, check};
use crate::otlp::{AnyValue, ArrayValue, KeyValueList, any_value::Value};
use crate::value;
use prost::Message;
use std::borrow::Cow;

/// An `AnyValue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueView<'a> {
    /// No value: absent, or present and empty.
    Empty,
    /// A string.
    Str(&'a str),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// The bytes of an `ArrayValue` message.
    Array(&'a [u8]),
    /// The bytes of a `KeyValueList` message.
    Map(&'a [u8]),
    /// An index into the table of strings that profiles have.
    Strindex(i32),
}

impl<'a> ValueView<'a> {
    /// The decoded value.
    pub fn to_owned(&self) -> AnyValue {
        let value = match *self {
            Self::Empty => return AnyValue { value: None },
            Self::Str(text) => Value::StringValue(text.to_owned()),
            Self::Bool(flag) => Value::BoolValue(flag),
            Self::Int(number) => Value::IntValue(number),
            Self::Double(number) => Value::DoubleValue(number),
            Self::Bytes(bytes) => Value::BytesValue(bytes.to_vec()),
            Self::Array(list) => Value::ArrayValue(ArrayValue::decode(list).unwrap_or_default()),
            Self::Map(list) => Value::KvlistValue(KeyValueList::decode(list).unwrap_or_default()),
            Self::Strindex(index) => Value::StringValueStrindex(index),
        };
        AnyValue { value: Some(value) }
    }

    /// The text form of the value, see [`value::text`].
    pub fn text(&self) -> Cow<'a, str> {
        match *self {
            Self::Empty => Cow::Borrowed(""),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            _ => Cow::Owned(value::text(&self.to_owned()).into_owned()),
        }
    }

    /// Reads an `AnyValue` over this one: as a oneof, of which the last field counts.
    #[inline]
    pub(super) fn merge(&mut self, bytes: &'a [u8]) -> Result<(), ViewError> {
        const STRING: u32 = delimited(1);
        const BOOL: u32 = varint(2);
        const INT: u32 = varint(3);
        const DOUBLE: u32 = fixed64(4);
        const ARRAY: u32 = delimited(5);
        const MAP: u32 = delimited(6);
        const BYTES: u32 = delimited(7);
        const STRINDEX: u32 = varint(8);
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            *self = match reader.key()? {
                STRING => Self::Str(reader.text()?),
                BOOL => Self::Bool(reader.varint()? != 0),
                INT => Self::Int(reader.varint()? as i64),
                DOUBLE => Self::Double(f64::from_bits(reader.fixed64()?)),
                ARRAY => Self::Array(reader.bytes()?),
                MAP => Self::Map(reader.bytes()?),
                BYTES => Self::Bytes(reader.bytes()?),
                STRINDEX => Self::Strindex(reader.varint()? as i32),
                key => {
                    reader.unknown(key, const { tags(1, 8) }, REQUEST_DEPTH)?;
                    continue;
                }
            };
        }
        Ok(())
    }
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyValueView<'a> {
    /// The `KeyValue` message.
    pub bytes: &'a [u8],
    /// Its key.
    pub key: &'a str,
    /// An index into the table of strings that profiles have; 0 elsewhere.
    pub key_strindex: i32,
    /// Its value.
    pub value: ValueView<'a>,
}

impl<'a> KeyValueView<'a> {
    /// Reads and checks one `KeyValue`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        check::key_value(bytes, ITEM_DEPTH - 1)?;
        Self::read(bytes)
    }

    /// Reads one that was checked before.
    #[inline]
    fn read(bytes: &'a [u8]) -> Result<Self, ViewError> {
        const KEY: u32 = delimited(1);
        const VALUE: u32 = delimited(2);
        const STRINDEX: u32 = varint(3);
        let mut view = Self { bytes, key: "", key_strindex: 0, value: ValueView::Empty };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                KEY => view.key = reader.text()?,
                VALUE => view.value.merge(reader.bytes()?)?,
                STRINDEX => view.key_strindex = reader.varint()? as i32,
                key => reader.unknown(key, const { tags(1, 3) }, REQUEST_DEPTH)?,
            }
        }
        Ok(view)
    }
}

/// Attributes in their order.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(Messages<'a>);

impl<'a> Attributes<'a> {
    /// Those that `message` has in the field `tag`.
    pub(super) fn new(message: &'a [u8], tag: u32) -> Self {
        Self(Messages::new(message, delimited(tag)))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = KeyValueView<'a>;

    #[inline]
    fn next(&mut self) -> Option<KeyValueView<'a>> {
        KeyValueView::read(self.0.next()?).ok()
    }
}

/// The value of the first attribute named `key`, also where that is empty.
pub fn find<'a>(mut attributes: Attributes<'a>, key: &str) -> Option<ValueView<'a>> {
    attributes.find(|kv| kv.key == key).map(|kv| kv.value)
}
