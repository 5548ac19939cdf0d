//! Where the store's files lie: a directory, or a bucket.

mod local;

use crate::files::FileAccess;
use carafe_store::StoreError;
use std::io::Write;
use std::sync::Arc;

pub use local::LocalShelf;

/// The directory of the files, below the data directory.
pub const FILES_DIR: &str = "files";
/// The extension of data files.
pub const DATA: &str = "parquet";
/// The extension of side files.
pub const SIDE: &str = "idx";

/// Keeps files that are written once. Paths are relative, with `/` between their parts.
pub trait Shelf: Send + Sync {
    /// Begins a file. It is there, and safe, once it is finished.
    fn create(&self, path: &str) -> Result<Box<dyn NewFile>, StoreError>;

    /// Opens a file that was finished.
    fn open(&self, path: &str) -> Result<Arc<dyn FileAccess>, StoreError>;

    /// Removes a file. No error where it is not there.
    fn remove(&self, path: &str) -> Result<(), StoreError>;
}

/// A file that is being written. Dropped without being finished, it may or may not be there.
pub trait NewFile: Write + Send {
    /// Makes the file safe; what it takes.
    fn finish(self: Box<Self>) -> Result<u64, StoreError>;
}
