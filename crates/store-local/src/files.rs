//! Reading the store's immutable files, wherever they lie.
//!
//! A file is written once, under a name that is never used again, and read at random places
//! from then on. [`FileAccess`] is all that the readers of Parquet and side files know of it.

pub mod checked;
pub mod metadata;

use bytes::{Buf, Bytes};
use carafe_store::{StoreError, StoreErrorKind};
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Read-only access to one immutable file.
pub trait FileAccess: Send + Sync + Debug {
    /// The name of the file: no other file of the store has or had it.
    fn name(&self) -> &str;

    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Exactly `len` bytes from `offset`. An error of kind
    /// [`Corrupt`](StoreErrorKind::Corrupt) where the file ends before.
    fn read(&self, offset: u64, len: usize) -> Result<Bytes, StoreError>;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file of the local file system. What is open stays readable after it was removed.
#[derive(Debug)]
pub struct LocalFile {
    name: String,
    file: File,
    len: u64,
}

impl LocalFile {
    /// Opens the file at `path`, to be known as `name`.
    pub fn open(path: &Path, name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|error| io_error(&name, error))?;
        Ok(Self { name, file, len })
    }
}

impl FileAccess for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        check_range(&self.name, self.len, offset, len)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| io_error(&self.name, error))?;
        Ok(bytes.into())
    }
}

/// A file that is in memory.
#[derive(Debug)]
pub struct MemoryFile {
    name: String,
    bytes: Bytes,
}

impl MemoryFile {
    /// `bytes`, to be known as `name`.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl FileAccess for MemoryFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let range = check_range(&self.name, self.len(), offset, len)?;
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }
}

fn check_range(
    name: &str,
    file_len: u64,
    offset: u64,
    len: usize,
) -> Result<std::ops::Range<u64>, StoreError> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= file_len => Ok(offset..end),
        _ => Err(corrupt(name, format!("{len} bytes at {offset} of {file_len} are missing"))),
    }
}

/// The error of a file whose content cannot be what was written.
pub fn corrupt(name: &str, what: impl std::fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("the file {name} is damaged: {what}"))
}

/// The error of a file that the system could not read.
fn io_error(name: &str, error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError {
        kind,
        message: format!("cannot read the file {name}: {error}"),
        source: Some(Box::new(error)),
    }
}

/// A file as Parquet's reader wants it.
#[derive(Clone, Debug)]
pub struct ParquetAccess {
    file: Arc<dyn FileAccess>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl ParquetAccess {
    /// Access to `file`.
    pub fn new(file: Arc<dyn FileAccess>) -> Self {
        Self { file, failure: Arc::default() }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.file.name()
    }

    /// The error of the last read that failed, once: Parquet's reader gives only its text on.
    pub fn take_failure(&self) -> Option<StoreError> {
        self.failure.lock().take()
    }

    fn fail(&self, error: StoreError) -> ParquetError {
        let message = error.to_string();
        *self.failure.lock() = Some(error);
        ParquetError::General(message)
    }
}

impl Length for ParquetAccess {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for ParquetAccess {
    type T = SequentialReader;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(SequentialReader { access: self.clone(), offset: start, chunk: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.file.read(start, length).map_err(|error| self.fail(error))
    }
}

/// Reads a file from some place on, in pieces.
#[derive(Debug)]
pub struct SequentialReader {
    access: ParquetAccess,
    offset: u64,
    chunk: Bytes,
}

/// How much a [`SequentialReader`] reads at once. What it reads are headers of pages.
const SEQUENTIAL_READ_BYTES: u64 = 4 << 10;

impl io::Read for SequentialReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let left = self.access.len().saturating_sub(self.offset);
            let len = left.min(SEQUENTIAL_READ_BYTES);
            self.chunk =
                self.access.get_bytes(self.offset, len as usize).map_err(io::Error::other)?;
            self.offset += len;
        }
        let len = out.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn both(bytes: &[u8]) -> [Arc<dyn FileAccess>; 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let local = LocalFile::open(&path, "files/a").unwrap();
        [Arc::new(local), Arc::new(MemoryFile::new("files/a", bytes.to_vec()))]
    }

    #[test]
    fn reads_what_is_there_and_names_the_file_where_it_is_not() {
        for file in both(b"0123456789") {
            assert_eq!((file.name(), file.len()), ("files/a", 10));
            assert_eq!(file.read(3, 4).unwrap(), "3456");
            assert_eq!(file.read(10, 0).unwrap(), "");
            for (offset, len) in [(0, 11), (10, 1), (11, 0), (u64::MAX, 1), (3, usize::MAX)] {
                let error = file.read(offset, len).unwrap_err();
                assert_eq!(error.kind, StoreErrorKind::Corrupt, "{offset} {len}");
                assert!(error.to_string().contains("files/a"), "{error}");
            }
        }
    }

    #[test]
    fn reads_on_to_the_end() {
        let content: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        for file in both(&content) {
            let mut read = Vec::new();
            ParquetAccess::new(file).get_read(7).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, content[7..]);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = LocalFile::open(Path::new("/nonexistent/file"), "files/b").unwrap_err();
        assert!(error.to_string().starts_with("cannot read the file files/b: "), "{error}");
    }
}
