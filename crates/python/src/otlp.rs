//! Writes OTLP messages in protobuf, field by field, into one buffer. Field numbers are those of
//! opentelemetry-proto 1.x; they stand at the places of use.

use crate::capi;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple,
};

/// How deep lists and maps in a value may nest; deeper ones are left empty.
pub(crate) const DEPTH_LIMIT: usize = 16;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Appends fields to a buffer.
pub(crate) struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
    /// Bytes that a text or byte string may have; longer ones are cut.
    text_limit: usize,
}

impl<'a> Writer<'a> {
    /// Appends to `buffer`.
    #[inline]
    pub(crate) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer, text_limit: usize::MAX }
    }

    /// As [`Writer::new`], cutting texts at that many bytes.
    pub(crate) fn with_text_limit(buffer: &'a mut Vec<u8>, text_limit: usize) -> Self {
        Self { buffer, text_limit }
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    #[inline]
    fn tag(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    /// An unsigned number or an enum; 0 is the default and not written.
    #[inline]
    pub(crate) fn uint(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value);
        }
    }

    /// A `fixed64`.
    #[inline]
    pub(crate) fn fixed64(&mut self, field: u64, value: u64) {
        self.tag(field, FIXED64);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32`; 0 is the default and not written.
    #[inline]
    pub(crate) fn fixed32(&mut self, field: u64, value: u32) {
        if value != 0 {
            self.tag(field, FIXED32);
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Bytes or a string, also empty ones.
    #[inline]
    pub(crate) fn bytes(&mut self, field: u64, value: &[u8]) {
        let value = if value.len() > self.text_limit { cut(value, self.text_limit) } else { value };
        self.tag(field, LENGTH);
        self.varint(value.len() as u64);
        self.buffer.extend_from_slice(value);
    }

    /// A string; the empty one is the default and not written.
    #[inline]
    pub(crate) fn string(&mut self, field: u64, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// A message, whose length is put before it once it is known.
    #[inline]
    pub(crate) fn message(&mut self, field: u64, write: impl FnOnce(&mut Writer<'_>)) {
        self.tag(field, LENGTH);
        let start = self.buffer.len();
        self.buffer.push(0);
        write(self);
        let length = self.buffer.len() - start - 1;
        if length < 0x80 {
            self.buffer[start] = length as u8;
        } else {
            self.insert_length(start, length as u64);
        }
    }

    /// Replaces the one byte that was kept for a length by a longer varint.
    fn insert_length(&mut self, start: usize, mut length: u64) {
        let mut varint = [0; 10];
        let mut count = 0;
        while length >= 0x80 {
            varint[count] = length as u8 | 0x80;
            length >>= 7;
            count += 1;
        }
        varint[count] = length as u8;
        self.buffer.splice(start..=start, varint[..=count].iter().copied());
    }

    /// A `double`, also 0: in a oneof its presence counts.
    #[inline]
    pub(crate) fn double(&mut self, field: u64, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    /// A `KeyValue` with a text.
    #[inline]
    pub(crate) fn string_attribute(&mut self, field: u64, key: &str, value: &str) {
        self.message(field, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, |any| any.bytes(1, value.as_bytes()));
        });
    }

    /// A `KeyValue` with a whole number.
    #[inline]
    pub(crate) fn int_attribute(&mut self, field: u64, key: &str, value: i64) {
        self.message(field, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, |any| any.int_value(value));
        });
    }

    /// `AnyValue.int_value`, also 0.
    #[inline]
    pub(crate) fn int_value(&mut self, value: i64) {
        self.tag(3, VARINT);
        self.varint(value.cast_unsigned());
    }

    /// `AnyValue.bool_value`, also false.
    #[inline]
    pub(crate) fn bool_value(&mut self, value: bool) {
        self.tag(2, VARINT);
        self.buffer.push(value.into());
    }

    /// A `string` from a Python `str`; lone surrogates become question marks.
    #[inline]
    pub(crate) fn text(&mut self, field: u64, object: &Bound<'_, PyAny>) {
        match capi::utf8(object) {
            Some(text) => self.bytes(field, text.as_bytes()),
            None => self.bytes(field, &replaced_utf8(object)),
        }
    }

    /// The content of an `AnyValue`. Runs no Python code: types without a place in OTLP are left
    /// empty, as are `None` and what is nested too deeply.
    pub(crate) fn any_value(&mut self, object: &Bound<'_, PyAny>) {
        self.any_value_at(object, 0);
    }

    fn any_value_at(&mut self, object: &Bound<'_, PyAny>, depth: usize) {
        if object.is_instance_of::<PyString>() {
            self.text(1, object);
        } else if let Ok(value) = object.cast::<PyBool>() {
            self.bool_value(value.is_true());
        } else if object.is_instance_of::<PyInt>() {
            match object.extract::<i64>() {
                Ok(value) => self.int_value(value),
                // Beyond 64 bits: its digits.
                Err(_) => self.bytes(1, &decimal(object)),
            }
        } else if let Ok(value) = object.cast::<PyFloat>() {
            self.double(4, value.value());
        } else if depth < DEPTH_LIMIT {
            self.container(object, depth + 1);
        }
    }

    fn container(&mut self, object: &Bound<'_, PyAny>, depth: usize) {
        let element = |list: &mut Writer<'_>, element: Bound<'_, PyAny>| {
            list.message(1, |any| any.any_value_at(&element, depth));
        };
        if let Ok(values) = object.cast::<PyTuple>() {
            self.message(5, |list| values.iter().for_each(|value| element(list, value)));
        } else if let Ok(values) = object.cast::<PyList>() {
            self.message(5, |list| values.iter().for_each(|value| element(list, value)));
        } else if let Ok(values) = object.cast::<PyDict>() {
            self.message(6, |list| {
                for (key, value) in
                    values.iter().filter(|(key, _)| key.is_instance_of::<PyString>())
                {
                    list.message(1, |pair| {
                        pair.text(1, &key);
                        pair.message(2, |any| any.any_value_at(&value, depth));
                    });
                }
            });
        } else if let Ok(value) = object.cast::<PyBytes>() {
            self.bytes(7, value.as_bytes());
        } else if let Ok(value) = object.cast::<PyByteArray>() {
            self.bytes(7, &value.to_vec());
        }
    }
}

/// The first bytes of a text, up to the start of a character.
#[cold]
fn cut(text: &[u8], limit: usize) -> &[u8] {
    let is_start = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (limit.saturating_sub(3)..=limit).rev().find(is_start).unwrap_or(limit);
    text.get(..end).unwrap_or(text)
}

#[cold]
fn replaced_utf8(object: &Bound<'_, PyAny>) -> Vec<u8> {
    // The method of `str`: a class derived from it may have another, of the app's.
    let encode = object.py().get_type::<PyString>().getattr("encode");
    let encoded = encode.and_then(|encode| encode.call1((object, "utf-8", "replace")));
    encoded.and_then(|bytes| bytes.extract::<Vec<u8>>()).unwrap_or_default()
}

#[cold]
fn decimal(object: &Bound<'_, PyAny>) -> Vec<u8> {
    // The method of `int`: a class derived from it may have another, of the app's.
    let repr = object.py().get_type::<PyInt>().getattr("__repr__");
    let text = repr.and_then(|repr| repr.call1((object,)));
    text.map(|text| text.to_string().into_bytes()).unwrap_or_default()
}
