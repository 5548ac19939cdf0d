//! The small pieces that roll-ups are encoded with: variable-length integers as protobuf's,
//! and texts with their length before them.

use carafe_store::Histogram;
use carafe_telemetry::UnixNanos;
use prost::encoding::decode_varint;
pub(crate) use prost::encoding::encode_varint as put_varint;

pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_varint(text.len() as u64, out);
    out.extend(text.as_bytes());
}

/// Takes pieces off the front of some bytes. None where the next piece is something else; what
/// is left then is of no use.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        decode_varint(&mut self.rest).ok()
    }

    pub(crate) fn time(&mut self) -> Option<UnixNanos> {
        self.varint().map(UnixNanos)
    }

    /// A number of pieces, each of which takes at least one byte.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.count()?;
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn histogram(&mut self) -> Option<Histogram> {
        Histogram::decode(&mut self.rest)
    }

    pub(crate) fn merge_into(&mut self, histogram: &mut Histogram) -> Option<()> {
        histogram.merge_encoded(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_round_trip(number: u64, text: String) {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            put_text(&text, &mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!((reader.varint(), reader.text()), (Some(number), Some(&*text)));
            prop_assert!(reader.is_empty());
            let torn = &bytes[..bytes.len() - 1];
            let mut reader = Reader::new(torn);
            prop_assert!(reader.varint().is_none() || reader.text().is_none());
        }
    }
}
