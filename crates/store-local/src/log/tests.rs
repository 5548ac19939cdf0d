//! The log on a disk that fails in every way.

mod damage;
mod faults;
mod format;
mod power;

use super::{Durability, Log, LogOptions, Replay, ReplayedFrame};
use crate::disk::simulated::SimulatedDisk;
use bytes::Bytes;
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::{Signal, UnixNanos};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type TestLog = Log<u64, u64>;

/// When all requests of these tests came.
const RECEIVED: UnixNanos = UnixNanos(7);

/// Segments small enough that there are many.
fn options() -> LogOptions {
    LogOptions { segment_bytes: 2_000, group_delay: Duration::ZERO, ..LogOptions::default() }
}

/// A directory with a disk that can fail. The sink gives back the payload.
struct Place {
    dir: tempfile::TempDir,
    disk: SimulatedDisk,
}

impl Place {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), 1)
    }

    fn at(dir: tempfile::TempDir, seed: u64) -> Self {
        let disk = SimulatedDisk::new(dir.path(), seed).unwrap();
        Self { dir, disk }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self, options: LogOptions, watermark: u64) -> (TestLog, Replay) {
        self.try_open(options, watermark).unwrap()
    }

    fn try_open(
        &self,
        options: LogOptions,
        watermark: u64,
    ) -> Result<(TestLog, Replay), StoreError> {
        let disk = Arc::new(self.disk.clone());
        Log::open(disk, self.path(), options, watermark, |_, payload| payload)
    }

    /// A log that has nothing to replay.
    fn begin(&self, options: LogOptions) -> TestLog {
        let (log, mut replay) = self.open(options, 0);
        assert!(replay.next().is_none());
        log
    }

    /// The segments' files, in order.
    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join("log")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn append(log: &TestLog, payload: u64, length: usize) -> Result<u64, StoreError> {
    wait(log.append(Signal::Traces, RECEIVED, request(payload, length), payload))
}

/// Bytes that tell which request they are.
fn request(payload: u64, length: usize) -> Bytes {
    let mut bytes = vec![payload as u8; length.max(8)];
    bytes[..8].copy_from_slice(&payload.to_le_bytes());
    bytes.into()
}

fn payload_of(frame: &ReplayedFrame) -> u64 {
    let payload = u64::from_le_bytes(frame.bytes[..8].try_into().unwrap());
    assert_eq!(frame.bytes, request(payload, frame.bytes.len()), "the bytes are those that came");
    payload
}

/// The payloads of the frames that come back, whose sequences have to be in order.
fn replayed(replay: &mut Replay) -> Vec<u64> {
    let frames: Vec<ReplayedFrame> = replay.map(Result::unwrap).collect();
    assert!(frames.is_sorted_by(|one, next| one.sequence < next.sequence));
    frames.iter().map(payload_of).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind
}

#[test]
fn what_is_acknowledged_comes_back_after_the_watermark() {
    let place = Place::new();
    let log = place.begin(options());
    for payload in 1..=100 {
        assert_eq!(append(&log, payload, 100).unwrap(), payload);
    }
    assert_eq!(log.last_sequence(), 100);
    assert!(place.files().len() > 3, "there are several segments");
    assert_eq!(log.bytes(), place.disk.bytes());
    drop(log);
    for watermark in [0, 1, 50, 99, 100, 120] {
        let (log, mut replay) = place.open(options(), watermark);
        assert_eq!(replayed(&mut replay), (watermark + 1..=100).collect::<Vec<_>>());
        assert_eq!((&replay.report().damaged, replay.report().torn_bytes), (&vec![], 0));
        assert_eq!(log.last_sequence(), watermark.max(100));
    }
    let (log, mut replay) = place.open(options(), 120);
    assert_eq!(append(&log, 121, 10).unwrap(), 121);
    drop((log, replay.next()));
    let (_log, mut replay) = place.open(options(), 0);
    let frames: Vec<_> = replay.by_ref().map(Result::unwrap).collect();
    assert_eq!(frames.last().unwrap().sequence, 121, "sequences go on after the watermark");
    let checked = Replay::open(Arc::new(place.disk.clone()), place.path(), 0).unwrap();
    assert_eq!(checked.map(Result::unwrap).collect::<Vec<_>>(), frames);
}

#[test]
fn flushed_segments_go_and_the_others_stay() {
    let place = Place::new();
    let log = place.begin(options());
    for payload in 1..=100 {
        append(&log, payload, 100).unwrap();
    }
    let before = place.files().len();
    log.remove_through(50).unwrap();
    let after = place.files().len();
    assert!(after < before && after > 1, "{before} {after}");
    // The one that is written to is ended, so that it can go the next time.
    log.remove_through(100).unwrap();
    assert_eq!(place.files().len(), 1);
    append(&log, 101, 100).unwrap();
    log.remove_through(100).unwrap();
    assert_eq!(place.files(), [place.path().join("log/00000000000000000101.log")]);
    drop(log);
    let (log, mut replay) = place.open(options(), 100);
    assert_eq!(replayed(&mut replay), [101]);
    log.remove_through(101).unwrap();
    assert_eq!((place.files().len(), log.bytes()), (0, 0));
}

#[test]
fn memory_writes_nothing_and_replays_what_is_there() {
    let place = Place::new();
    let log = place.begin(options());
    append(&log, 1, 10).unwrap();
    drop(log);
    let files = place.files();
    let memory = LogOptions { durability: Durability::Memory, ..options() };
    let (log, mut replay) = place.open(memory, 0);
    assert_eq!(replayed(&mut replay), [1]);
    assert_eq!(append(&log, 2, 10).unwrap(), 2);
    assert_eq!(log.last_sequence(), 2);
    drop(log);
    assert_eq!(place.files(), files);
    let fresh = Place::new();
    append(&fresh.begin(memory), 1, 10).unwrap();
    assert_eq!(std::fs::read_dir(fresh.path()).unwrap().count(), 0);
}

#[test]
fn os_syncs_at_the_end_only() {
    let place = Place::new();
    let log = place.begin(LogOptions { durability: Durability::Os, ..LogOptions::default() });
    for payload in 1..=10 {
        append(&log, payload, 100).unwrap();
    }
    assert_eq!(place.disk.counts().syncs, 0);
    log.close().unwrap();
    assert_eq!(place.disk.counts().syncs, 1);
    let (_log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay).len(), 10);
}

#[test]
fn a_closed_log_has_written_all_and_takes_no_more() {
    let place = Place::new();
    let log = place.begin(options());
    let queued: Vec<_> = (1..=50)
        .map(|payload| log.append(Signal::Logs, RECEIVED, request(payload, 50), payload))
        .collect();
    log.close().unwrap();
    for (payload, answer) in (1..).zip(queued) {
        assert_eq!(wait(answer).unwrap(), payload);
    }
    assert_eq!(kind(append(&log, 51, 1)), StoreErrorKind::Unavailable);
    assert_eq!(log.last_sequence(), 50);
    log.close().unwrap();
}

#[test]
fn a_request_that_nobody_waits_for_is_written_all_the_same() {
    let place = Place::new();
    let log = place.begin(options());
    drop(log.append(Signal::Metrics, RECEIVED, request(1, 10), 1));
    drop(log);
    let (_log, mut replay) = place.open(options(), 0);
    let frame = replay.next().unwrap().unwrap();
    assert_eq!((frame.sequence, frame.signal), (1, Signal::Metrics));
}
