//! What files there are: a SQLite database, one transaction for each change.
//!
//! It is the only truth about files: a file that is not in it does not exist, whatever is in
//! the directory, and directories are never listed to find data.

mod late_calls;
mod rows;
mod schema;

use crate::calls::{Call, CallSums};
use crate::window::Window;
use carafe_store::{StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::{Signal, UnixNanos};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the database in the data directory.
pub const CATALOG_FILE: &str = "catalog.sqlite";

/// How long a look from outside waits for a change under way.
const PEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// A file of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub i64);

/// A data file and its side file, as they are about to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// What is in it.
    pub signal: Signal,
    /// The window that all its items are in.
    pub window: Window,
    /// Its place below the store's root, without the extension; unique.
    pub path: String,
    /// Items.
    pub rows: u64,
    /// Size of the data file.
    pub data_bytes: u64,
    /// Size of the side file.
    pub side_bytes: u64,
    /// The earliest and the latest item.
    pub extent: TimeRange,
    /// The first log frame that it has items of.
    pub first_sequence: u64,
    /// The last one.
    pub last_sequence: u64,
    /// Different traces that its items belong to, about; 0 for data points.
    pub traces: u64,
    /// How often its items have been merged; 0 for what was flushed.
    pub generation: u32,
    /// When it was written, in seconds since the epoch.
    pub created_seconds: u64,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its number.
    pub id: FileId,
    /// What it is.
    pub file: NewFile,
}

/// A file that is set aside because it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideFile {
    /// What it is.
    pub file: NewFile,
    /// What is wrong with it.
    pub reason: String,
}

/// Counters that outlive the process; by signal, in the order of [`Signal::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Items that retention removed.
    pub evicted: [u64; 3],
}

/// What the catalog holds when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Files to be read.
    pub files: Vec<FileEntry>,
    /// Files that are set aside.
    pub aside: Vec<AsideFile>,
    /// The last log frame whose items are in files, 0 for none.
    pub watermark: u64,
    /// Counters.
    pub counters: Counters,
    /// Paths of files that may be on disk, and are not part of the store.
    pub garbage: Vec<String>,
}

/// The open database.
pub struct Catalog {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Catalog {
    /// Opens the catalog in `directory`, which exists, and makes it when it is not there. An
    /// error where it is damaged, or of a version that this program does not know.
    pub fn open(directory: &Path) -> Result<(Self, Contents), StoreError> {
        let path = directory.join(CATALOG_FILE);
        let opened = Connection::open(&path).and_then(|mut connection| {
            schema::configure(&connection)?;
            let version = schema::migrate(&mut connection)?;
            Ok((connection, version))
        });
        let (mut connection, version) = opened.map_err(|error| fault(&path, error))?;
        check_version(&path, version)?;
        let contents = read(&mut connection).map_err(|error| fault(&path, error))?;
        Ok((Self { path, connection: Mutex::new(connection) }, contents))
    }

    /// Reads the catalog in `directory` while another process may have it, and changes nothing.
    pub fn peek(directory: &Path) -> Result<Contents, StoreError> {
        let path = directory.join(CATALOG_FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(PEEK_TIMEOUT)?;
            let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((connection, version))
        });
        let (mut connection, version) = opened.map_err(|error| fault(&path, error))?;
        check_version(&path, version)?;
        read(&mut connection).map_err(|error| fault(&path, error))
    }

    /// Says that files are about to be written at these paths, so that they are found and
    /// removed when this process does not live to enter them.
    pub fn intends(&self, paths: &[String]) -> Result<(), StoreError> {
        self.change(|transaction| {
            paths.iter().try_for_each(|path| rows::add_garbage(transaction, path))
        })
    }

    /// Says that these files, which are not in the catalog, are gone from the disk.
    pub fn removed(&self, paths: &[String]) -> Result<(), StoreError> {
        self.change(|transaction| {
            paths.iter().try_for_each(|path| rows::remove_garbage(transaction, path))
        })
    }

    /// Enters what was flushed: from now on the log is needed only after `watermark`.
    /// `late_calls` are of spans in older files, whose callers came only now.
    pub fn flushed(
        &self,
        watermark: u64,
        files: &[NewFile],
        late_calls: &[Call],
    ) -> Result<Vec<FileEntry>, StoreError> {
        self.change(|transaction| {
            rows::set_watermark(transaction, watermark)?;
            late_calls::add(transaction, late_calls)?;
            rows::insert_files(transaction, files)
        })
    }

    /// Replaces files by what they were merged into. The old ones are garbage from then on.
    pub fn replaced(&self, old: &[FileId], new: &[NewFile]) -> Result<Vec<FileEntry>, StoreError> {
        self.change(|transaction| {
            rows::remove_files(transaction, old)?;
            rows::insert_files(transaction, new)
        })
    }

    /// Removes files whose time has come, with `evicted` items in them; garbage from then on.
    /// Calls before `oldest` go with them.
    pub fn evicted(
        &self,
        old: &[FileId],
        evicted: [u64; 3],
        oldest: UnixNanos,
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            rows::count(transaction, "evicted", evicted)?;
            late_calls::remove_before(transaction, oldest)?;
            rows::remove_files(transaction, old)
        })
    }

    /// Keeps the times of late calls before `recent` only to ten seconds.
    pub fn round_late_calls(&self, recent: UnixNanos) -> Result<(), StoreError> {
        self.change(|transaction| late_calls::round(transaction, recent))
    }

    /// Adds up the late calls in `range`.
    pub fn late_calls(&self, range: TimeRange, sums: &mut CallSums) -> Result<(), StoreError> {
        late_calls::sum(&self.connection.lock(), range, sums)
            .map_err(|error| fault(&self.path, error))
    }

    /// Sets a file aside: it stays on disk and is not read any more.
    pub fn set_aside(&self, id: FileId, reason: &str) -> Result<(), StoreError> {
        self.change(|transaction| rows::set_aside(transaction, id, reason))
    }

    /// Reads everything again.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        read(&mut self.connection.lock()).map_err(|error| fault(&self.path, error))
    }

    /// Asks SQLite whether the database is sound; its findings, none where it is.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        rows::integrity(&self.connection.lock()).map_err(|error| fault(&self.path, error))
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.lock();
        let outcome = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            });
        outcome.map_err(|error| fault(&self.path, error))
    }
}

fn check_version(path: &Path, version: i64) -> Result<(), StoreError> {
    if version == schema::VERSION {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Corrupt,
        format!(
            "{} has format {version}, and this program reads format {}; hint: use the program \
             that wrote it, or another --data-dir",
            path.display(),
            schema::VERSION
        ),
    ))
}

fn read(connection: &mut Connection) -> rusqlite::Result<Contents> {
    let transaction = connection.transaction()?;
    Ok(Contents {
        files: rows::files(&transaction)?,
        aside: rows::aside(&transaction)?,
        watermark: rows::watermark(&transaction)?,
        counters: rows::counters(&transaction)?,
        garbage: rows::garbage(&transaction)?,
    })
}

fn fault(path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    let hint = match kind {
        StoreErrorKind::Full => "; hint: make room on the disk",
        StoreErrorKind::Corrupt => {
            "; hint: the data files are not touched by this, see the chapter on repair in \
             docs/store.md"
        }
        _ => "",
    };
    StoreError {
        kind,
        message: format!("the catalog {}: {error}{hint}", path.display()),
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
