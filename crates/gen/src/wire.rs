//! Writes protobuf into one buffer, messages within messages included.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// Appends fields of a message to a buffer. What a field's default would be is written too;
/// callers leave defaults out, as proto3 does.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

/// How many bytes a varint takes.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

impl Writer {
    #[inline]
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    #[inline]
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(crate) fn delimited(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, DELIMITED);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// A message as a field. `guess` is about how long it gets: where the length takes as
    /// many bytes as that of `guess`, nothing has to be moved.
    #[inline]
    pub(crate) fn message(&mut self, field: u32, guess: usize, write: impl FnOnce(&mut Self)) {
        self.tag(field, DELIMITED);
        let at = self.bytes.len();
        let reserved = varint_len(guess as u64);
        self.bytes.extend_from_slice(&[0; 10][..reserved]);
        write(self);
        let length = self.bytes.len() - at - reserved;
        let needed = varint_len(length as u64);
        if needed != reserved {
            let end = self.bytes.len();
            if needed > reserved {
                self.bytes.resize(end + needed - reserved, 0);
            }
            self.bytes.copy_within(at + reserved..end, at + needed);
            self.bytes.truncate(at + needed + length);
        }
        let mut left = length;
        for place in &mut self.bytes[at..at + needed - 1] {
            *place = left as u8 | 0x80;
            left >>= 7;
        }
        self.bytes[at + needed - 1] = left as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Sample {
        #[prost(bytes = "vec", tag = "1")]
        bytes: Vec<u8>,
        #[prost(uint64, tag = "2")]
        uint: u64,
        #[prost(fixed64, tag = "3")]
        long: u64,
        #[prost(fixed32, tag = "4")]
        short: u32,
        #[prost(message, repeated, tag = "20")]
        inner: Vec<Sample>,
    }

    fn sample() -> impl Strategy<Value = Sample> {
        let leaf =
            (prop::collection::vec(any::<u8>(), 1..300), 1..u64::MAX, 1..u64::MAX, 1..u32::MAX)
                .prop_map(|(bytes, uint, long, short)| Sample {
                    bytes,
                    uint,
                    long,
                    short,
                    inner: vec![],
                });
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop::collection::vec(inner, 0..5).prop_map(|inner| Sample {
                bytes: vec![1],
                uint: 2,
                long: 3,
                short: 4,
                inner,
            })
        })
    }

    fn write(writer: &mut Writer, sample: &Sample, guess: usize) {
        writer.delimited(1, &sample.bytes);
        writer.uint(2, sample.uint);
        writer.fixed64(3, sample.long);
        writer.fixed32(4, sample.short);
        for inner in &sample.inner {
            writer.message(20, guess, |writer| write(writer, inner, guess));
        }
    }

    proptest! {
        #[test]
        fn writes_what_prost_writes(sample in sample(), guess in 0..100_000_usize) {
            let mut writer = Writer::default();
            write(&mut writer, &sample, guess);
            prop_assert_eq!(writer.bytes, sample.encode_to_vec());
        }
    }
}
