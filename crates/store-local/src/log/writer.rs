//! Writes groups of frames, and gets over failures.

use super::frame::{FRAME_HEADER_BYTES, FrameHead, encode};
use super::segment::{Previous, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::segments::{LOG_DIR, Sealed, Segments, file_name};
use crate::disk::{Disk, DiskFile, disk_error};
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::{Signal, UnixNanos};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// When a request counts as safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives the loss of power.
    #[default]
    Fsync,
    /// When the operating system has it: it survives the end of the process, however that
    /// comes.
    Os,
    /// When it is in this process's memory: nothing is written before the data is flushed.
    Memory,
}

/// One request to be written.
pub(super) struct Entry<'a> {
    pub signal: Signal,
    /// When it was received.
    pub received: UnixNanos,
    pub bytes: &'a [u8],
}

struct Active {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    first_sequence: u64,
    marker: u32,
    /// Length of what was acknowledged; only the header at first.
    end: u64,
}

/// What kind of step failed decides what of the file can still be trusted.
enum Failure {
    /// Bytes are missing at the end; what was synced is as it was.
    Write(StoreError),
    /// What was written since the last sync may be lost whatever later syncs say.
    Sync(StoreError),
}

/// The end of the log. Used by one thread.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    log_dir: PathBuf,
    segments: Arc<Segments>,
    durability: Durability,
    segment_bytes: u64,
    active: Option<Active>,
    /// What the header of the next segment says, but for the end of the active one.
    previous: Previous,
    next_sequence: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        segments: Arc<Segments>,
        (durability, segment_bytes): (Durability, u64),
        previous: Previous,
        next_sequence: u64,
    ) -> Self {
        let log_dir = data_dir.join(LOG_DIR);
        let (active, buffer) = (None, Vec::new());
        Self {
            disk,
            log_dir,
            segments,
            durability,
            segment_bytes,
            active,
            previous,
            next_sequence,
            buffer,
        }
    }

    /// Makes all entries safe, or none; gives the sequence of the first one. Sequences are
    /// never used again, also where this fails.
    pub(super) fn write(&mut self, group: &[Entry<'_>]) -> Result<u64, StoreError> {
        if self.durability == Durability::Memory {
            return Ok(self.take_sequences(group.len()));
        }
        match self.attempt(group) {
            Ok(first) => Ok(first),
            Err(Failure::Write(error)) => {
                self.cut_back();
                Err(error)
            }
            Err(Failure::Sync(_)) => {
                self.seal();
                self.attempt(group).map_err(|failure| {
                    self.seal();
                    let (Failure::Write(error) | Failure::Sync(error)) = failure;
                    error
                })
            }
        }
    }

    fn take_sequences(&mut self, count: usize) -> u64 {
        let first = self.next_sequence;
        self.next_sequence = first.saturating_add(count as u64);
        first
    }

    fn attempt(&mut self, group: &[Entry<'_>]) -> Result<u64, Failure> {
        let first_sequence = self.take_sequences(group.len());
        let bytes: usize = group.iter().map(|entry| entry.bytes.len() + FRAME_HEADER_BYTES).sum();
        if self.active.as_ref().is_some_and(|active| {
            active.end + bytes as u64 > self.segment_bytes || self.segments.must_seal()
        }) {
            self.seal();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin(first_sequence)?,
        };
        self.buffer.clear();
        let group_start = u32::try_from(active.end).unwrap_or(u32::MAX);
        for (sequence, entry) in (first_sequence..).zip(group) {
            let head =
                FrameHead { sequence, group_start, signal: entry.signal, received: entry.received };
            encode(&mut self.buffer, active.marker, head, entry.bytes);
        }
        let done = self.put(&mut *active.file, &active.path, &self.buffer);
        if done.is_ok() {
            active.end += self.buffer.len() as u64;
            self.previous.last_sequence = self.next_sequence - 1;
            self.segments.set_active(active.end, self.previous.last_sequence);
        }
        self.active = Some(active);
        done.map(|()| first_sequence)
    }

    fn put(&self, file: &mut dyn DiskFile, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let write = |error| Failure::Write(disk_error("cannot write", path, error));
        file.write_all(bytes).map_err(write)?;
        if self.durability == Durability::Fsync {
            let sync = |error| Failure::Sync(disk_error("cannot sync", path, error));
            file.sync_data().map_err(sync)?;
        }
        Ok(())
    }

    /// Begins a segment. Its header is safe before any frame is written, so that a loss of
    /// power never leaves frames without one.
    fn begin(&mut self, first_sequence: u64) -> Result<Active, Failure> {
        let path = self.log_dir.join(file_name(first_sequence));
        let file = self.disk.create(&path);
        let mut file =
            file.map_err(|error| Failure::Write(disk_error("cannot create", &path, error)))?;
        // Keyed by the operating system's random numbers; not 0, which a hole is full of.
        let random = RandomState::new().hash_one(first_sequence);
        let marker = u32::try_from(random >> 32).unwrap_or(1).max(1);
        let header = SegmentHeader { marker, first_sequence, previous: self.previous }.encode();
        let done = self.put(&mut *file, &path, &header).and_then(|()| self.sync_names());
        if let Err(failure) = done {
            self.discard(&path);
            return Err(failure);
        }
        Ok(Active { file, path, first_sequence, marker, end: header.len() as u64 })
    }

    fn sync_names(&self) -> Result<(), Failure> {
        if self.durability != Durability::Fsync {
            return Ok(());
        }
        let sync = |error| Failure::Sync(disk_error("cannot sync", &self.log_dir, error));
        self.disk.sync_dir(&self.log_dir).map_err(sync)
    }

    /// Removes a segment from which nothing was acknowledged. If that fails, the header of the
    /// next one, which does not name it, says so.
    fn discard(&self, path: &Path) {
        if let Err(error) = self.disk.remove(path) {
            tracing::debug!(path = %path.display(), %error, "an empty segment stays");
        }
    }

    /// Ends the active segment where it was last acknowledged.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.end <= SEGMENT_HEADER_BYTES as u64 {
            return self.discard(&active.path);
        }
        self.previous.first_sequence = active.first_sequence;
        self.previous.end = active.end;
        self.previous.is_finished = true;
        self.segments.seal(Sealed {
            first_sequence: active.first_sequence,
            last_sequence: self.previous.last_sequence,
            bytes: active.end,
            is_damaged: false,
        });
    }

    /// Takes what a failed write left off the end; leaves the file if that fails.
    fn cut_back(&mut self) {
        let Some(active) = &mut self.active else { return };
        if active.file.truncate(active.end).is_err() {
            self.seal();
        }
    }

    /// Before the end: what only the operating system has so far goes to the disk.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if self.durability != Durability::Os || active.end <= SEGMENT_HEADER_BYTES as u64 {
            return Ok(());
        }
        let cannot = |path: &Path, error| disk_error("cannot sync", path, error);
        active.file.sync_data().map_err(|error| cannot(&active.path, error))?;
        self.disk.sync_dir(&self.log_dir).map_err(|error| cannot(&self.log_dir, error))
    }

    /// Gives a buffer back that has grown beyond `bytes`.
    pub(super) fn trim(&mut self, bytes: usize) {
        if self.buffer.capacity() > bytes {
            self.buffer = Vec::new();
        }
    }

    /// The last sequence that was given.
    pub(super) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }
}

/// The error for each of those whose group failed.
pub(super) fn same(error: &StoreError) -> StoreError {
    StoreError::new(error.kind, error.message.clone())
}

/// A request that no segment can hold.
pub(super) fn too_long(bytes: usize, limit: usize) -> StoreError {
    StoreError::new(
        StoreErrorKind::InvalidData,
        format!("the request has {bytes} bytes, the limit is {limit}; hint: send smaller batches"),
    )
}
