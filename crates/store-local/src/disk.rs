//! The file operations that durability depends on, so that a test can cut the power between
//! any two of them.
//!
//! Only what must survive goes through here: the log, the Parquet files and their side files.
//! The catalog keeps its own discipline (SQLite, `synchronous=FULL`).

use carafe_store::{StoreError, StoreErrorKind};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

#[cfg(any(test, feature = "simulation"))]
pub mod random;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;

/// A place for files. Nothing is safe before it is synced: bytes by
/// [`DiskFile::sync_data`], names by [`Disk::sync_dir`] of the directory that holds them.
pub trait Disk: Send + Sync {
    /// Makes one directory, readable by its owner only; an error when it is there. Its name is
    /// safe once the directory above it is synced.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it, and their names safe where they are new: all that
    /// will be synced within hangs on them. No error when it is there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        // Of a relative name.
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        let created = self.create_dir(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound if parent != Path::new(".") => {
                self.create_dir_all(parent)?;
                self.create_dir(path)
            }
            _ => Err(error),
        });
        match created {
            Ok(()) => self.sync_dir(parent),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a new, empty file to be written at its end; an error when it is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in one step; replaces what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory safe.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a directory, in no order; none when it is not there.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// The first `limit` bytes of a file.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
}

/// A file that grows at its end. `write` may take a part, as ever; after an error the end is
/// unknown until [`DiskFile::truncate`].
pub trait DiskFile: Write + Send {
    /// Makes all bytes, and the length, safe. After an error what was written since the last
    /// success is lost, even when a later call succeeds: Linux marks the pages as clean.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file off; the next write goes there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile(fs::File);

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl DiskFile for RealFile {
    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // In append mode a write after a truncation goes to the new end.
        let file = fs::OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len().min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The error of a file operation: [`StoreErrorKind::Full`] when there is no room,
/// [`StoreErrorKind::Unavailable`] otherwise, since the next try may find the disk well.
/// `doing` is what did not work, as in `cannot write`.
pub fn disk_error(doing: &str, path: &Path, error: io::Error) -> StoreError {
    let path = path.display();
    let (kind, hint) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (StoreErrorKind::Full, "make room on the disk, or keep less with --retention-size")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (StoreErrorKind::Unavailable, "let this user write there, or choose another --data-dir")
        }
        _ => (StoreErrorKind::Unavailable, "look at the disk's health in the system's log"),
    };
    let message = format!("{doing} {path}: {error}; hint: {hint}");
    StoreError { kind, message, source: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_at_its_end_also_after_a_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("deep/log");
        assert_eq!(RealDisk.list(&log).unwrap(), Vec::<String>::new());
        RealDisk.create_dir_all(&log).unwrap();
        RealDisk.create_dir_all(&log).unwrap();
        let path = log.join("a");
        let mut file = RealDisk.create(&path).unwrap();
        file.write_all(b"one two").unwrap();
        file.truncate(4).unwrap();
        file.write_all(b"three").unwrap();
        file.sync_data().unwrap();
        RealDisk.sync_dir(&log).unwrap();
        assert_eq!(RealDisk.read(&path, 100).unwrap(), b"one three");
        assert_eq!(RealDisk.read(&path, 3).unwrap(), b"one");
        assert!(RealDisk.create(&path).is_err(), "an existing file is never taken over");
        RealDisk.rename(&path, &log.join("b")).unwrap();
        assert_eq!(RealDisk.list(&log).unwrap(), ["b"]);
        RealDisk.remove(&log.join("b")).unwrap();
        assert_eq!(RealDisk.list(&log).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_full_disk_is_not_a_broken_one() {
        // 28 is ENOSPC, 122 is EDQUOT, 5 is EIO.
        for (code, kind) in [
            (28, StoreErrorKind::Full),
            (122, StoreErrorKind::Full),
            (5, StoreErrorKind::Unavailable),
        ] {
            let io = io::Error::from_raw_os_error(code);
            let error = disk_error("cannot write", Path::new("/data/log/1.log"), io);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains("/data/log/1.log"), "{error}");
            assert!(error.message.contains("; hint: "), "{error}");
        }
    }
}
