//! Checksums of files, made while they are written and checked with every read.
//!
//! Parquet's own writer leaves none, and a bit that turns over on a disk would give other data
//! without anybody noticing. The checksums lie in the side file, which has its own.

use super::{FileAccess, corrupt};
use crate::index::side_file::{Section, SideFile};
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// What one checksum covers. Pages are about this long.
const CHUNK_BYTES: usize = 16 << 10;

/// Bytes of a checksum: CRC-32C, little endian.
const SUM_BYTES: usize = 4;

/// Passes bytes on, and makes the section [`Section::Checksums`] of them: the length of the
/// file in eight bytes, then a checksum for each 16 KiB.
pub struct Summing<W> {
    out: W,
    len: u64,
    sum: u32,
    sums: Vec<u8>,
}

impl<W: Write> Summing<W> {
    /// Passes bytes on to `out`.
    pub fn new(out: W) -> Self {
        Self { out, len: 0, sum: 0, sums: Vec::new() }
    }

    /// The section, and what the bytes went to.
    pub fn finish(mut self) -> (Vec<u8>, W) {
        if !self.len.is_multiple_of(CHUNK_BYTES as u64) {
            self.sums.extend(self.sum.to_le_bytes());
        }
        ([&self.len.to_le_bytes()[..], &self.sums].concat(), self.out)
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.len as usize % CHUNK_BYTES;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.sum = crc32c::crc32c_append(self.sum, now);
            self.len += now.len() as u64;
            if self.len.is_multiple_of(CHUNK_BYTES as u64) {
                self.sums.extend(self.sum.to_le_bytes());
                self.sum = 0;
            }
            bytes = later;
        }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file whose reads are checked, where its side file has checksums.
#[derive(Debug)]
pub struct Checked {
    file: Arc<dyn FileAccess>,
    side: Arc<dyn FileAccess>,
    /// Once they were needed: none where the side file has none.
    sums: OnceLock<Option<Bytes>>,
}

impl Checked {
    /// Checks `file` against the checksums that `side` has, which is read when it is needed.
    pub fn new(file: Arc<dyn FileAccess>, side: Arc<dyn FileAccess>) -> Self {
        Self { file, side, sums: OnceLock::new() }
    }

    fn sums(&self) -> Result<Option<&Bytes>, StoreError> {
        if let Some(sums) = self.sums.get() {
            return Ok(sums.as_ref());
        }
        let section = SideFile::open(Arc::clone(&self.side))?.section(Section::Checksums)?;
        let sums = section.map(|section| self.fitting(section)).transpose()?;
        Ok(self.sums.get_or_init(|| sums).as_ref())
    }

    /// The checksums, where there are as many as the file needs.
    fn fitting(&self, mut section: Bytes) -> Result<Bytes, StoreError> {
        let (name, len) = (self.file.name(), self.file.len());
        let expected = section.try_get_u64_le().unwrap_or(0);
        if expected != len {
            return Err(corrupt(name, format!("it has {len} of {expected} bytes")));
        }
        let chunks = len.div_ceil(CHUNK_BYTES as u64);
        if section.len() as u64 != chunks * SUM_BYTES as u64 {
            let sums = section.len() / SUM_BYTES;
            return Err(corrupt(self.side.name(), format!("{sums} checksums for {chunks}")));
        }
        Ok(section)
    }
}

impl FileAccess for Checked {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.len());
        let (Some(sums), Some(end)) = (self.sums()?, end) else {
            return self.file.read(offset, len);
        };
        let first = offset / CHUNK_BYTES as u64;
        let from = first * CHUNK_BYTES as u64;
        let to = end.next_multiple_of(CHUNK_BYTES as u64).min(self.len());
        let bytes = self.file.read(from, (to - from) as usize)?;
        let sums = sums.chunks_exact(SUM_BYTES).skip(first as usize);
        for (at, (chunk, sum)) in bytes.chunks(CHUNK_BYTES).zip(sums).enumerate() {
            if crc32c::crc32c(chunk).to_le_bytes() != *sum {
                let at = from + (at * CHUNK_BYTES) as u64;
                return Err(corrupt(self.name(), format!("the checksum at byte {at} is wrong")));
            }
        }
        let skip = (offset - from) as usize;
        Ok(bytes.slice(skip..skip + len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFile;
    use crate::index::side_file::SideFileWriter;
    use carafe_store::StoreErrorKind;
    use proptest::prelude::*;

    fn side(section: Option<Vec<u8>>) -> Arc<dyn FileAccess> {
        let mut writer = SideFileWriter::new();
        section.into_iter().for_each(|section| writer.add(Section::Checksums, section));
        let mut bytes = Vec::new();
        writer.finish(&mut bytes).unwrap();
        Arc::new(MemoryFile::new("a.idx", bytes))
    }

    fn summed(content: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut summing = Summing::new(&mut out);
        content.chunks(piece.max(1)).for_each(|piece| summing.write_all(piece).unwrap());
        let (section, _) = summing.finish();
        assert_eq!(out, content);
        section
    }

    fn checked(content: Vec<u8>, side: Arc<dyn FileAccess>) -> Checked {
        Checked::new(Arc::new(MemoryFile::new("a.parquet", content)), side)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_bit_is_found_where_it_is_read(
            len in 1..60_000_usize,
            piece in 1..40_000_usize,
            place in any::<(prop::sample::Index, prop::sample::Index)>(),
            bit in any::<prop::sample::Index>(),
        ) {
            let content: Vec<u8> = (0..len).map(|n| (n * 7 / 5) as u8).collect();
            let side = side(Some(summed(&content, piece)));
            let (offset, end) = (place.0.index(len), place.1.index(len + 1));
            let range = offset.min(end)..offset.max(end);
            let sound = checked(content.clone(), Arc::clone(&side));
            let read = sound.read(range.start as u64, range.len()).unwrap();
            prop_assert_eq!(&read[..], &content[range.clone()]);

            let bit = bit.index(len * 8);
            let mut damaged = content.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match checked(damaged, side).read(range.start as u64, range.len()) {
                Ok(read) => prop_assert_eq!(&read[..], &content[range]),
                Err(error) => {
                    prop_assert_eq!(error.kind, StoreErrorKind::Corrupt);
                    prop_assert!(error.to_string().contains("a.parquet"));
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_length_is_damaged() {
        let content = vec![1; 40_000];
        let side = side(Some(summed(&content, 1_000)));
        for len in [0, 1, 39_999, 40_001] {
            let error = checked(vec![1; len], Arc::clone(&side)).read(0, 0).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{len}");
        }
        assert_eq!(
            checked(content, side).read(40_000, 1).unwrap_err().kind,
            StoreErrorKind::Corrupt
        );
    }

    #[test]
    fn a_file_without_checksums_is_read_as_it_is() {
        let file = checked(vec![1; 100], side(None));
        assert_eq!(file.read(10, 5).unwrap(), vec![1; 5]);
    }
}
