//! The file format of side indexes: sections, then a directory with a checksum for each
//! 4 KiB of them, then a footer. A part of a section is read and checked without the rest.

use crate::files::{self, FileAccess};
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"CARAFIDX";

/// The version of the format that is written and the newest that is read.
pub const VERSION: u32 = 1;

/// What one checksum covers: as much as the operating system reads at once anyway.
const CHUNK_BYTES: usize = 4096;

/// Length and CRC-32C of the directory, version, magic.
const FOOTER_BYTES: usize = 20;

/// Number, zero, offset, length; the checksums follow.
const ENTRY_BYTES: usize = 20;

/// Read at once when a file is opened: most directories fit.
const TAIL_BYTES: u64 = 16 << 10;

/// The largest section.
pub const MAX_SECTION_BYTES: usize = 1 << 30;

/// What a section holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Section {
    /// A bloom table of trace ids by row group.
    TraceBlooms = 1,
    /// A bloom table of `key=value` by row group.
    TagBlooms = 2,
    /// A bloom table of log tokens by page.
    Tokens = 3,
    /// The series of a metrics file.
    Series = 4,
    /// Requests, errors and durations over time.
    Rollup = 5,
    /// Calls between services over time.
    Edges = 6,
    /// Attribute keys and their most frequent values.
    Keys = 7,
    /// Sums by service, operation and kind.
    Totals = 8,
    /// Checksums of the Parquet file.
    Checksums = 9,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TraceBlooms,
        Self::TagBlooms,
        Self::Tokens,
        Self::Series,
        Self::Rollup,
        Self::Edges,
        Self::Keys,
        Self::Totals,
        Self::Checksums,
    ];
}

/// Collects sections and writes them.
#[derive(Debug, Default)]
pub struct SideFileWriter {
    sections: BTreeMap<Section, Vec<u8>>,
}

impl SideFileWriter {
    /// No sections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section; in place of the one of the same kind, where there is one.
    pub fn add(&mut self, section: Section, bytes: Vec<u8>) {
        self.sections.insert(section, bytes);
    }

    /// Writes the file; how many bytes it has. An error of kind `InvalidInput` where a
    /// section is longer than [`MAX_SECTION_BYTES`].
    pub fn finish(self, mut out: impl Write) -> io::Result<u64> {
        let mut directory = Vec::new();
        let mut offset = 0_u64;
        for (section, bytes) in self.sections {
            if bytes.len() > MAX_SECTION_BYTES {
                let message = format!("a section of {} bytes is too long", bytes.len());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            directory.extend((section as u16).to_le_bytes());
            directory.extend([0; 2]);
            directory.extend(offset.to_le_bytes());
            directory.extend((bytes.len() as u64).to_le_bytes());
            for chunk in bytes.chunks(CHUNK_BYTES) {
                directory.extend(crc32c::crc32c(chunk).to_le_bytes());
            }
            out.write_all(&bytes)?;
            offset += bytes.len() as u64;
        }
        let length = directory.len() as u32;
        let checksum = crc32c::crc32c(&directory);
        directory.extend(length.to_le_bytes());
        directory.extend(checksum.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(MAGIC);
        out.write_all(&directory)?;
        Ok(offset + directory.len() as u64)
    }
}

/// A side file, of which only the directory was read.
#[derive(Debug)]
pub struct SideFile {
    access: Arc<dyn FileAccess>,
    entries: BTreeMap<u16, Entry>,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    len: u64,
    /// Of each chunk.
    checksums: Vec<u32>,
}

impl SideFile {
    /// Reads and checks the directory. An error of kind `Corrupt`, which names the file,
    /// where it is damaged, or written by a newer version.
    pub fn open(access: Arc<dyn FileAccess>) -> Result<Self, StoreError> {
        let len = access.len();
        if len < FOOTER_BYTES as u64 {
            return Err(files::corrupt(access.name(), format_args!("{len} bytes are too few")));
        }
        let tail_len = len.min(TAIL_BYTES);
        let tail = access.read(len - tail_len, tail_len as usize)?;
        let (rest, mut footer) = tail.split_at(tail.len().saturating_sub(FOOTER_BYTES));
        if footer.len() < FOOTER_BYTES || footer[FOOTER_BYTES - MAGIC.len()..] != MAGIC {
            return Err(files::corrupt(
                access.name(),
                format_args!("it does not end like a side file"),
            ));
        }
        let (size, checksum, version) =
            (footer.get_u32_le(), footer.get_u32_le(), footer.get_u32_le());
        if version == 0 || version > VERSION {
            return Err(files::corrupt(
                access.name(),
                format_args!("version {version} is not known"),
            ));
        }
        let before = len - FOOTER_BYTES as u64;
        let Some(sections_len) = before.checked_sub(size.into()) else {
            return Err(files::corrupt(access.name(), format_args!("a directory of {size} bytes")));
        };
        let directory = match rest.len().checked_sub(size as usize) {
            Some(at) => tail.slice(at..rest.len()),
            None => access.read(sections_len, size as usize)?,
        };
        if crc32c::crc32c(&directory) != checksum {
            return Err(files::corrupt(access.name(), format_args!("its directory is damaged")));
        }
        match read_directory(directory, sections_len) {
            Some(entries) => Ok(Self { access, entries }),
            None => {
                Err(files::corrupt(access.name(), format_args!("its directory makes no sense")))
            }
        }
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        self.access.name()
    }

    /// The length of a section; none where the file does not have it.
    pub fn section_len(&self, section: Section) -> Option<u64> {
        self.entry(section).map(|entry| entry.len)
    }

    /// A section, read and checked; none where the file does not have it.
    pub fn section(&self, section: Section) -> Result<Option<Bytes>, StoreError> {
        let Some(entry) = self.entry(section) else { return Ok(None) };
        self.read_entry(entry, 0, entry.len as usize).map(Some)
    }

    /// `len` bytes of a section from `offset`; only what is around them is read and checked.
    /// An error of kind `Corrupt` where the section does not have so many.
    pub fn read(&self, section: Section, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let entry = self.entry(section);
        match entry.filter(|entry| offset.saturating_add(len as u64) <= entry.len) {
            Some(entry) => self.read_entry(entry, offset, len),
            None => Err(self.corrupt(section, "is too short")),
        }
    }

    /// Reads and checks every section.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.entries.values().try_for_each(|entry| {
            (0..entry.len).step_by(CHUNK_BYTES << 8).try_for_each(|offset| {
                let len = (entry.len - offset).min((CHUNK_BYTES as u64) << 8);
                self.read_entry(entry, offset, len as usize).map(drop)
            })
        })
    }

    /// The error of a section whose checksums are right and whose content is not.
    pub fn corrupt(&self, section: Section, what: &str) -> StoreError {
        files::corrupt(self.name(), format_args!("section {section:?} {what}"))
    }

    fn entry(&self, section: Section) -> Option<&Entry> {
        self.entries.get(&(section as u16))
    }

    fn read_entry(&self, entry: &Entry, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let first = offset as usize / CHUNK_BYTES;
        let skip = offset as usize % CHUNK_BYTES;
        let from = first * CHUNK_BYTES;
        let whole = (skip + len).next_multiple_of(CHUNK_BYTES).min(entry.len as usize - from);
        let bytes = self.access.read(entry.offset + from as u64, whole)?;
        let sound = bytes.len() == whole
            && bytes
                .chunks(CHUNK_BYTES)
                .zip(&entry.checksums[first..])
                .all(|(chunk, checksum)| crc32c::crc32c(chunk) == *checksum);
        if !sound {
            let at = entry.offset + from as u64;
            return Err(files::corrupt(
                self.name(),
                format_args!("{whole} bytes at {at} are damaged"),
            ));
        }
        Ok(bytes.slice(skip..skip + len))
    }
}

/// None where the sections do not fill the `sections_len` bytes before the directory, or are
/// not in order of their numbers.
fn read_directory(mut directory: Bytes, sections_len: u64) -> Option<BTreeMap<u16, Entry>> {
    let mut entries = BTreeMap::new();
    let mut end = 0_u64;
    while directory.has_remaining() {
        if directory.remaining() < ENTRY_BYTES {
            return None;
        }
        let number = directory.get_u16_le();
        let reserved = directory.get_u16_le();
        let (offset, len) = (directory.get_u64_le(), directory.get_u64_le());
        let in_order = entries.last_key_value().is_none_or(|(last, _)| *last < number);
        if reserved != 0 || offset != end || len > MAX_SECTION_BYTES as u64 || !in_order {
            return None;
        }
        end += len;
        let chunks = (len as usize).div_ceil(CHUNK_BYTES);
        if directory.remaining() < chunks * 4 {
            return None;
        }
        let checksums = (0..chunks).map(|_| directory.get_u32_le()).collect();
        entries.insert(number, Entry { offset, len, checksums });
    }
    (end == sections_len).then_some(entries)
}

#[cfg(test)]
mod tests;
