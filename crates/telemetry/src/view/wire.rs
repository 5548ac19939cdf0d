//! Protobuf's encoding: keys, numbers and lengths, read from a slice.

use super::ViewError;
use std::str;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const START_GROUP: u32 = 3;
const END_GROUP: u32 = 4;
const FIXED32: u32 = 5;

/// The key of a varint field.
pub(super) const fn varint(tag: u32) -> u32 {
    tag << 3 | VARINT
}

/// The key of a 64-bit field.
pub(super) const fn fixed64(tag: u32) -> u32 {
    tag << 3 | FIXED64
}

/// The key of a string, bytes or message field.
pub(super) const fn delimited(tag: u32) -> u32 {
    tag << 3 | LENGTH_DELIMITED
}

/// The key of a 32-bit field.
pub(super) const fn fixed32(tag: u32) -> u32 {
    tag << 3 | FIXED32
}

/// The field numbers that a message knows, as bits.
pub(super) const fn tags(first: u32, last: u32) -> u32 {
    (u32::MAX >> (31 - last)) & !((1 << first) - 1)
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, ViewError> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ViewError> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (at * 7);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if at == 9 && byte > 1 {
                    return Err(ViewError::Varint);
                }
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { ViewError::Truncated } else { ViewError::Varint })
    }

    /// Field number and wire type in one, as they are encoded. Neither is checked: the known
    /// ones are compared whole, the others go to [`Self::unknown`].
    #[inline]
    pub(super) fn key(&mut self) -> Result<u32, ViewError> {
        u32::try_from(self.varint()?).map_err(|_| ViewError::Key)
    }

    #[inline]
    pub(super) fn fixed64(&mut self) -> Result<u64, ViewError> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn fixed32(&mut self) -> Result<u32, ViewError> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ViewError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(ViewError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    /// A length and as many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ViewError> {
        let length = usize::try_from(self.varint()?).map_err(|_| ViewError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ViewError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, ViewError> {
        str::from_utf8(self.bytes()?).map_err(|_| ViewError::Utf8)
    }

    /// The bytes of a message in a message within which `depth` more may be.
    #[inline]
    pub(super) fn message(&mut self, depth: u32) -> Result<&'a [u8], ViewError> {
        if depth == 0 {
            return Err(ViewError::Depth);
        }
        self.bytes()
    }

    /// Skips a field whose key is none of those that the message expects; `known` are the
    /// numbers of its own fields, which come here only in a wrong shape.
    #[cold]
    pub(super) fn unknown(&mut self, key: u32, known: u32, depth: u32) -> Result<(), ViewError> {
        let tag = key >> 3;
        if tag < 32 && known >> tag & 1 == 1 && key & 7 <= FIXED32 {
            return Err(ViewError::WireType);
        }
        self.skip(key, depth)
    }

    /// Skips the field of `key`.
    pub(super) fn skip(&mut self, key: u32, depth: u32) -> Result<(), ViewError> {
        if key >> 3 == 0 {
            return Err(ViewError::Key);
        }
        if depth == 0 {
            return Err(ViewError::Depth);
        }
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LENGTH_DELIMITED => self.bytes().map(drop),
            START_GROUP => loop {
                let inner = self.key()?;
                if inner & 7 != END_GROUP {
                    self.skip(inner, depth - 1)?;
                } else if inner == key - START_GROUP + END_GROUP {
                    return Ok(());
                } else {
                    return Err(ViewError::Group);
                }
            },
            END_GROUP => Err(ViewError::Group),
            FIXED32 => self.fixed32().map(drop),
            _ => Err(ViewError::Key),
        }
    }
}

/// The stretch of a message from the first to the last field of one kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Stretch {
    start: usize,
    end: usize,
}

impl Stretch {
    /// Takes in a field that starts and ends with so many bytes of `whole` left.
    #[inline]
    pub(super) fn add(&mut self, whole: &[u8], left_before: usize, left_after: usize) {
        if self.end == 0 {
            self.start = whole.len() - left_before;
        }
        self.end = whole.len() - left_after;
    }

    pub(super) fn of<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        &whole[self.start..self.end]
    }
}

/// The sub-messages of one field, in their order. Ends early where the bytes are damaged.
#[derive(Clone, Debug)]
pub(super) struct Messages<'a> {
    reader: Reader<'a>,
    key: u32,
}

impl<'a> Messages<'a> {
    pub(super) fn new(bytes: &'a [u8], key: u32) -> Self {
        Self { reader: Reader::new(bytes), key }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.reader.is_empty() {
            let key = self.reader.key().ok()?;
            if key == self.key {
                return self.reader.bytes().ok();
            }
            self.reader.skip(key, super::REQUEST_DEPTH).ok()?;
        }
        None
    }
}
