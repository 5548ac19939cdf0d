//! Checks of attributes and values, at any depth, without reading them.

use super::ViewError;
use super::wire::{Reader, delimited, fixed64, tags, varint};

/// Strings of a message whose bytes are all ASCII need no further check. Senders write short
/// ASCII nearly always, and one look at a whole attribute costs less than one at each string.
#[derive(Clone, Copy)]
struct Text {
    ascii: bool,
}

impl Text {
    fn within(bytes: &[u8]) -> Self {
        Self { ascii: bytes.is_ascii() }
    }

    #[inline]
    fn check(self, reader: &mut Reader<'_>) -> Result<(), ViewError> {
        if self.ascii { reader.bytes().map(drop) } else { reader.text().map(drop) }
    }
}

/// Checks a `KeyValue` that may hold `depth` levels of messages.
#[inline]
pub(super) fn key_value(bytes: &[u8], depth: u32) -> Result<(), ViewError> {
    key_value_within(Text::within(bytes), bytes, depth)
}

#[inline]
fn key_value_within(text: Text, bytes: &[u8], depth: u32) -> Result<(), ViewError> {
    const KEY: u32 = delimited(1);
    const VALUE: u32 = delimited(2);
    const STRINDEX: u32 = varint(3);
    let mut held = Held::Other;
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        match reader.key()? {
            KEY => text.check(&mut reader)?,
            VALUE => {
                let inner = reader.message(depth)?;
                held = value_within(text, held, inner, depth - 1)?;
            }
            STRINDEX => reader.varint().map(drop)?,
            key => reader.unknown(key, const { tags(1, 3) }, depth)?,
        }
    }
    Ok(())
}

/// What the oneof of a value holds so far.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Held {
    /// Nothing, or what the next field replaces.
    #[default]
    Other,
    /// A list, into which a second one would be merged.
    Array,
    /// A map, into which a second one would be merged.
    Map,
}

/// Checks an `AnyValue` that comes after what is `held`; gives what is held then.
pub(super) fn value(held: Held, bytes: &[u8], depth: u32) -> Result<Held, ViewError> {
    value_within(Text::within(bytes), held, bytes, depth)
}

#[inline]
fn value_within(text: Text, mut held: Held, bytes: &[u8], depth: u32) -> Result<Held, ViewError> {
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
        let now = match reader.key()? {
            STRING => text.check(&mut reader).map(|()| Held::Other)?,
            BOOL | INT | STRINDEX => reader.varint().map(|_| Held::Other)?,
            DOUBLE => reader.fixed64().map(|_| Held::Other)?,
            BYTES => reader.bytes().map(|_| Held::Other)?,
            key @ (ARRAY | MAP) => {
                let now = if key == ARRAY { Held::Array } else { Held::Map };
                if held == now {
                    return Err(ViewError::Irregular);
                }
                list(text, now, reader.message(depth)?, depth - 1)?;
                now
            }
            key => {
                reader.unknown(key, const { tags(1, 8) }, depth)?;
                held
            }
        };
        held = now;
    }
    Ok(held)
}

/// Checks an `ArrayValue` or a `KeyValueList`.
fn list(text: Text, kind: Held, bytes: &[u8], depth: u32) -> Result<(), ViewError> {
    const VALUES: u32 = delimited(1);
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        match reader.key()? {
            VALUES => {
                let inner = reader.message(depth)?;
                if kind == Held::Map {
                    key_value_within(text, inner, depth - 1)?;
                } else {
                    value_within(text, Held::Other, inner, depth - 1)?;
                }
            }
            key => reader.unknown(key, const { tags(1, 1) }, depth)?,
        }
    }
    Ok(())
}
