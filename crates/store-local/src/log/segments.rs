//! The segments that are on disk: which may go, and what becomes of damaged ones.

use crate::disk::{Disk, disk_error};
use carafe_store::StoreError;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};

/// Where the segments are, in the data directory.
pub const LOG_DIR: &str = "log";
/// Where damaged files go, in the data directory.
pub const ASIDE_DIR: &str = "aside";

const EXTENSION: &str = ".log";

/// The name of the segment that begins with this sequence: its 20 digits, so that names sort
/// as sequences do.
pub(super) fn file_name(first_sequence: u64) -> String {
    format!("{first_sequence:020}{EXTENSION}")
}

/// The first sequence of the segment with this name.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(EXTENSION)?;
    let is_exact = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_exact.then(|| digits.parse().ok()).flatten()
}

/// A segment that is not written to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its name.
    pub first_sequence: u64,
    /// No frame in it has a higher one.
    pub last_sequence: u64,
    /// Its length.
    pub bytes: u64,
    /// Whether it goes aside rather than away.
    pub is_damaged: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// In order.
    sealed: Vec<Sealed>,
    /// Bytes and last sequence of the one that is being written.
    active: Option<(u64, u64)>,
    /// Whether the active one shall be sealed before the next group.
    must_seal: bool,
}

/// The segments of a log; shared by the writer, the replay and whoever removes them.
#[derive(Debug)]
pub struct Segments {
    data_dir: PathBuf,
    /// A smaller active segment is not sealed just to be removed.
    seal_bytes: u64,
    known: Mutex<Known>,
}

impl Segments {
    /// The segments under `data_dir`; `sealed` is in order.
    pub fn new(data_dir: &Path, sealed: Vec<Sealed>, seal_bytes: u64) -> Self {
        let known = Mutex::new(Known { sealed, ..Known::default() });
        Self { data_dir: data_dir.to_owned(), seal_bytes, known }
    }

    /// Where the segment that begins with this sequence is.
    pub fn path(&self, first_sequence: u64) -> PathBuf {
        self.data_dir.join(LOG_DIR).join(file_name(first_sequence))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        let known = self.known.lock();
        let active = known.active.map_or(0, |(bytes, _)| bytes);
        known.sealed.iter().map(|segment| segment.bytes).sum::<u64>() + active
    }

    /// Keeps the file of a damaged segment when its time has come.
    pub fn mark_damaged(&self, first_sequence: u64) {
        let mut known = self.known.lock();
        let of_it = known.sealed.iter_mut().find(|sealed| sealed.first_sequence == first_sequence);
        if let Some(sealed) = of_it {
            sealed.is_damaged = true;
        }
    }

    /// Tells the size of the segment that is being written.
    pub(super) fn set_active(&self, bytes: u64, last_sequence: u64) {
        self.known.lock().active = Some((bytes, last_sequence));
    }

    /// The active segment is not written to any more.
    pub(super) fn seal(&self, sealed: Sealed) {
        let mut known = self.known.lock();
        known.sealed.push(sealed);
        known.active = None;
        known.must_seal = false;
    }

    /// Whether the active segment shall be sealed before the next group.
    pub(super) fn must_seal(&self) -> bool {
        self.known.lock().must_seal
    }

    /// Removes the segments that hold nothing after `sequence`. Those that were found damaged
    /// are kept in [`ASIDE_DIR`].
    pub fn remove_through(&self, disk: &dyn Disk, sequence: u64) -> Result<(), StoreError> {
        let mut known = self.known.lock();
        known.must_seal |=
            known.active.is_some_and(|(bytes, last)| last <= sequence && bytes >= self.seal_bytes);
        let count = known.sealed.partition_point(|segment| segment.last_sequence <= sequence);
        let mut gone = known.sealed.drain(..count).collect::<Vec<_>>().into_iter();
        drop(known);
        while let Some(segment) = gone.next() {
            if let Err(error) = self.dispose(disk, &segment) {
                let left = std::iter::once(segment).chain(gone);
                self.known.lock().sealed.splice(0..0, left);
                return Err(error);
            }
        }
        Ok(())
    }

    fn dispose(&self, disk: &dyn Disk, segment: &Sealed) -> Result<(), StoreError> {
        let path = self.path(segment.first_sequence);
        let done = if segment.is_damaged {
            let aside = self.data_dir.join(ASIDE_DIR);
            disk.create_dir_all(&aside)
                .and_then(|()| disk.sync_dir(&self.data_dir))
                .and_then(|()| disk.rename(&path, &aside.join(file_name(segment.first_sequence))))
                .and_then(|()| disk.sync_dir(&aside))
        } else {
            disk.remove(&path)
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(disk_error("cannot remove", &path, error))
            }
            _ => Ok(()),
        }
    }
}
