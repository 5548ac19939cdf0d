//! Files below a local directory.

use super::{NewFile, Shelf};
use crate::disk::{Disk, DiskFile, disk_error};
use crate::files::{FileAccess, LocalFile};
use carafe_store::StoreError;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// A directory of files.
pub struct LocalShelf {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Directories that are known to be there and safe.
    made: Mutex<HashSet<PathBuf>>,
}

impl LocalShelf {
    /// The files below `root`, which is made when it is needed.
    pub fn new(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Self {
        Self { disk, root: root.into(), made: Mutex::default() }
    }

    /// Makes the directories above `path`, and their names safe.
    fn make_parents(&self, path: &Path) -> Result<(), StoreError> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if self.made.lock().contains(parent) {
            return Ok(());
        }
        let make = || {
            self.disk.create_dir_all(parent)?;
            // From above the new directory to above the root: each holds the name of the one
            // before.
            let above = self.root.parent();
            for directory in parent.ancestors().skip(1) {
                self.disk.sync_dir(directory)?;
                if Some(directory) == above {
                    break;
                }
            }
            Ok(())
        };
        make().map_err(|error| disk_error("cannot make the directory", parent, error))?;
        self.made.lock().insert(parent.to_owned());
        Ok(())
    }
}

struct LocalNewFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: BufWriter<Box<dyn DiskFile>>,
    bytes: u64,
}

impl Write for LocalNewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for LocalNewFile {
    fn finish(mut self: Box<Self>) -> Result<u64, StoreError> {
        let mut finish = || {
            self.file.flush()?;
            self.file.get_mut().sync_data()?;
            self.path.parent().map_or(Ok(()), |parent| self.disk.sync_dir(parent))
        };
        finish().map_err(|error| disk_error("cannot write", &self.path, error))?;
        Ok(self.bytes)
    }
}

impl Shelf for LocalShelf {
    fn create(&self, path: &str) -> Result<Box<dyn NewFile>, StoreError> {
        let path = self.root.join(path);
        self.make_parents(&path)?;
        let file = self.disk.create(&path);
        let file = file.map_err(|error| disk_error("cannot make", &path, error))?;
        let file = BufWriter::with_capacity(WRITE_BYTES, file);
        Ok(Box::new(LocalNewFile { disk: Arc::clone(&self.disk), path, file, bytes: 0 }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileAccess>, StoreError> {
        Ok(Arc::new(LocalFile::open(&self.root.join(path), path)?))
    }

    fn remove(&self, path: &str) -> Result<(), StoreError> {
        let path = self.root.join(path);
        // Synced, because nobody knows of a file whose removal was entered and then lost.
        let remove = || {
            self.disk.remove(&path)?;
            path.parent().map_or(Ok(()), |parent| self.disk.sync_dir(parent))
        };
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|error| disk_error("cannot remove", &path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn what_was_finished_can_be_opened_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = LocalShelf::new(Arc::new(RealDisk), directory.path());
        let mut file = shelf.create("traces/600/a.parquet").unwrap();
        file.write_all(b"content").unwrap();
        assert_eq!(file.finish().unwrap(), 7);
        let access = shelf.open("traces/600/a.parquet").unwrap();
        assert_eq!(access.read(0, 7).unwrap(), "content");
        shelf.remove("traces/600/a.parquet").unwrap();
        shelf.remove("traces/600/a.parquet").unwrap();
        assert_eq!(access.read(3, 2).unwrap(), "te", "who has it open can go on");
        assert!(shelf.open("traces/600/a.parquet").is_err());
    }

    #[test]
    fn a_name_is_used_once() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = LocalShelf::new(Arc::new(RealDisk), directory.path());
        shelf.create("a").unwrap().finish().unwrap();
        let error = shelf.create("a").err().unwrap();
        assert!(error.to_string().starts_with("cannot make "), "{error}");
    }
}
