//! One process at a time in a data directory.
//!
//! The lock is the operating system's, on a file: it goes with the process, however that
//! ends. What stands in the file is for people, and for those who want to reach the holder.

use crate::disk::{Disk, RealDisk, disk_error};
use carafe_store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::macros::format_description;

/// The file's name in the data directory.
pub const LOCK_FILE: &str = "LOCK";

/// What is read of the file: far more than is ever written to it.
const READ_LIMIT_BYTES: u64 = 65_536;

/// Who holds a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// What it is, as `carafe up`.
    pub program: String,
    /// Since when, in seconds since the Unix epoch.
    pub since_s: u64,
    /// Where it listens; empty until it does.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// The right to use a data directory; given back when it is dropped.
#[derive(Debug)]
pub struct DirLock {
    file: File,
    path: PathBuf,
    holder: Holder,
}

impl DirLock {
    /// Takes the directory, which is made when it is not there, readable by its owner only.
    /// `program` is what others are told, as `carafe up`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] when another process has it, naming that, or when the
    /// file system does not let us.
    pub fn acquire(dir: &Path, program: &str) -> Result<Self, StoreError> {
        RealDisk.create_dir_all(dir).map_err(|error| disk_error("cannot create", dir, error))?;
        let path = dir.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| disk_error("cannot open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(dir, Self::holder(dir))),
            Err(TryLockError::Error(error)) => return Err(disk_error("cannot lock", &path, error)),
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let holder = Holder {
            pid: std::process::id(),
            program: program.to_owned(),
            since_s: since.as_secs(),
            addresses: Vec::new(),
        };
        let mut lock = Self { file, path, holder };
        lock.write()?;
        Ok(lock)
    }

    /// Tells others where this process listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_addresses(&mut self, addresses: Vec<String>) -> Result<(), StoreError> {
        self.holder.addresses = addresses;
        self.write()
    }

    /// Who has the directory at this moment; none where nobody has. Whoever tries to take it
    /// just then is told that it is taken.
    pub fn current(dir: &Path) -> Option<Holder> {
        let file = File::open(dir.join(LOCK_FILE)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Self::holder(dir),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// What stands in the lock's file: the holder while there is one, else the last one.
    pub fn holder(dir: &Path) -> Option<Holder> {
        let mut text = Vec::new();
        let file = File::open(dir.join(LOCK_FILE)).ok()?;
        file.take(READ_LIMIT_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.replace().map_err(|error| disk_error("cannot write", &self.path, error))
    }

    fn replace(&mut self) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self.holder)?;
        text.push(b'\n');
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)
    }
}

fn taken(dir: &Path, holder: Option<Holder>) -> StoreError {
    let dir = dir.display();
    let who = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!(
            "the data directory {dir} is used by {who}; hint: stop it, or choose another with \
             --data-dir"
        ),
    )
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({})", self.pid, self.program)?;
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        let since = i64::try_from(self.since_s).ok().map(OffsetDateTime::from_unix_timestamp);
        if let Some(Ok(since)) = since
            && let Ok(since) = since.format(format)
        {
            write!(f, ", since {since}")?;
        }
        if !self.addresses.is_empty() {
            write!(f, ", at {}", self.addresses.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn the_second_one_is_told_who_holds_it() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("new/data");
        let mut lock = DirLock::acquire(&dir, "carafe up").unwrap();
        lock.set_addresses(vec!["127.0.0.1:4317".to_owned()]).unwrap();
        let error = DirLock::acquire(&dir, "carafe run").unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        let who = format!("is used by process {} (carafe up), since 20", std::process::id());
        assert!(error.message.contains(&who), "{error}");
        assert!(error.message.contains(" UTC, at 127.0.0.1:4317; hint: stop it"), "{error}");
        assert_eq!(DirLock::current(&dir), DirLock::holder(&dir));
        drop(lock);
        assert_eq!(DirLock::current(&dir), None);
        let last = DirLock::holder(&dir).unwrap();
        assert_eq!(last.program, "carafe up");
        let _lock = DirLock::acquire(&dir, "carafe run").unwrap();
        assert_eq!(DirLock::holder(&dir).unwrap().program, "carafe run");
    }

    #[test]
    fn what_stands_in_the_file_does_not_matter() {
        for text in ["", "{\"pid\":", "not of ours, and longer than what will be written\n\n\n\n"] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(LOCK_FILE), text).unwrap();
            let lock = DirLock::acquire(dir.path(), "carafe up").unwrap();
            assert_eq!(DirLock::holder(dir.path()), Some(lock.holder.clone()));
            fs::write(dir.path().join(LOCK_FILE), text).unwrap();
            let error = DirLock::acquire(dir.path(), "carafe up").unwrap_err();
            assert!(error.message.contains("is used by another process; hint"), "{error}");
        }
    }

    const HOLD: &str = "CARAFE_TEST_HOLD";

    /// Not a test by itself: the process that the test below kills.
    #[test]
    fn hold_until_killed() {
        let Some(dir) = std::env::var_os(HOLD) else { return };
        let _lock = DirLock::acquire(Path::new(&dir), "carafe up").unwrap();
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn a_holder_that_was_killed_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lock::tests::hold_until_killed", "--nocapture"])
            .env(HOLD, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_held = || DirLock::holder(dir.path()).is_some_and(|holder| holder.pid == other.id());
        while !is_held() {
            assert!(Instant::now() < deadline, "the other process takes no lock");
            std::thread::sleep(Duration::from_millis(5));
        }
        let error = DirLock::acquire(dir.path(), "carafe up").unwrap_err();
        assert!(error.message.contains(&format!("process {} (carafe up)", other.id())), "{error}");
        // SIGKILL: nothing of it runs any more.
        other.kill().unwrap();
        other.wait().unwrap();
        let lock = DirLock::acquire(dir.path(), "carafe up").unwrap();
        assert_eq!(lock.holder.pid, std::process::id());
    }
}
