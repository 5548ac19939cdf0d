//! The write-ahead log: what makes an acknowledgement true.
//!
//! Requests are written in groups, and each group is synced once before any of it is
//! acknowledged. One thread writes; it also hands each request to the sink, in order, so that
//! what is acknowledged is visible, and what is visible survives.
//!
//! A segment is a file of frames ([`segment`], [`frame`]). After a crash [`Replay`] gives the
//! frames after the catalog's watermark; [`Log::remove_through`] removes segments when all
//! that is in them has been flushed.

pub mod frame;
mod plan;
mod queue;
mod replay;
pub mod segment;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

pub use replay::{DAMAGE_LIMIT, Damage, DamagedPart, Replay, ReplayReport, ReplayedFrame};
pub use segments::{ASIDE_DIR, LOG_DIR, Segments};
pub use writer::Durability;

use crate::disk::{Disk, disk_error};
use crate::faults::Faults;
use bytes::Bytes;
use carafe_store::{StoreError, StoreErrorKind};
use carafe_telemetry::{Signal, UnixNanos};
use frame::{FRAME_HEADER_BYTES, FRAME_LIMIT_BYTES};
use parking_lot::Mutex;
use plan::Plan;
use queue::{Grouping, HasBytes, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use writer::{Entry, Writer};

/// The most that a segment may be set to hold: offsets within it have 32 bits.
const SEGMENT_LIMIT_BYTES: u64 = 1 << 30;

/// The most that a group may be set to hold, for the same reason.
const GROUP_LIMIT_BYTES: u64 = 256 << 20;

/// How a log behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// When a request counts as safe.
    pub durability: Durability,
    /// How long the first of several requests waits for more; a lone one never waits.
    pub group_delay: Duration,
    /// A group of this size waits no longer. One group can be larger by one request.
    pub group_bytes: u64,
    /// A segment of this size is ended and a new one begun.
    pub segment_bytes: u64,
    /// What may wait to be written; more is refused with [`StoreErrorKind::Full`]. A larger
    /// request has to find the queue empty.
    pub queue_bytes: u64,
}

impl Default for LogOptions {
    /// Fsync; 2 ms or 1 MiB; segments of 64 MiB; 64 MiB waiting.
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            group_delay: Duration::from_millis(2),
            group_bytes: 1 << 20,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
        }
    }
}

struct Pending<P, R> {
    signal: Signal,
    received: UnixNanos,
    bytes: Bytes,
    payload: P,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<P, R> HasBytes for Pending<P, R> {
    fn bytes(&self) -> u64 {
        (self.bytes.len() + FRAME_HEADER_BYTES) as u64
    }
}

/// The log of a store. `P` is what the sink gets with each request, `R` what it makes of it
/// and the caller of [`Log::append`] receives.
pub struct Log<P, R> {
    disk: Arc<dyn Disk>,
    queue: Arc<Queue<Pending<P, R>>>,
    segments: Arc<Segments>,
    last_sequence: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl<P: Send + 'static, R: Send + 'static> Log<P, R> {
    /// Opens the log in `data_dir`, of which everything up to `watermark` is in Parquet files.
    ///
    /// `sink` runs on the log's own thread, once for each request that is safe, in the order
    /// of their sequences. The replay has to be read to its end before anything is flushed.
    /// With [`Durability::Memory`] nothing is written, but what is there is replayed.
    ///
    /// # Errors
    /// When the directory cannot be read or written, or was written by a newer version.
    /// Damage is no error: it is in the replay's report.
    pub fn open(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        options: LogOptions,
        watermark: u64,
        sink: impl FnMut(u64, P) -> R + Send + 'static,
    ) -> Result<(Self, Replay), StoreError> {
        let log_dir = data_dir.join(LOG_DIR);
        if options.durability != Durability::Memory {
            disk.create_dir_all(&log_dir)
                .and_then(|()| disk.sync_dir(data_dir))
                .map_err(|error| disk_error("cannot create", &log_dir, error))?;
        }
        let plan = Plan::new(&*disk, data_dir, watermark)?;
        let segment_bytes = options.segment_bytes.min(SEGMENT_LIMIT_BYTES);
        let segments = Arc::new(Segments::new(data_dir, plan.sealed, segment_bytes / 8));
        let writer = Writer::new(
            Arc::clone(&disk),
            data_dir,
            Arc::clone(&segments),
            (options.durability, segment_bytes),
            plan.previous,
            plan.next_sequence,
        );
        let replay = Replay::new(
            Arc::clone(&disk),
            Arc::clone(&segments),
            watermark,
            plan.parts,
            plan.torn_bytes,
            plan.missing,
        );
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let last_sequence = Arc::new(AtomicU64::new(plan.next_sequence - 1));
        let committer = Committer {
            queue: Arc::clone(&queue),
            writer,
            last_sequence: Arc::clone(&last_sequence),
            sink,
            options,
            faults: Faults::new("writing to the log"),
        };
        let thread = std::thread::Builder::new()
            .name("carafe-log".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| disk_error("cannot start the thread of", &log_dir, error))?;
        let thread = Mutex::new(Some(thread));
        Ok((Self { disk, queue, segments, last_sequence, thread }, replay))
    }

    /// Queues a request at once; resolves when it is safe and the sink has run. It is written
    /// also when nobody waits for that.
    ///
    /// # Errors
    /// [`StoreErrorKind::Full`] when the queue or the disk is full,
    /// [`StoreErrorKind::Unavailable`] when the disk fails or the log is closed,
    /// [`StoreErrorKind::InvalidData`] beyond [`FRAME_LIMIT_BYTES`]. After
    /// [`StoreErrorKind::Internal`] the request is safe, but the sink failed.
    pub fn append(
        &self,
        signal: Signal,
        received: UnixNanos,
        bytes: Bytes,
        payload: P,
    ) -> impl Future<Output = Result<R, StoreError>> + Send + use<P, R> {
        let (reply, answer) = oneshot::channel();
        let queued = if bytes.len() > FRAME_LIMIT_BYTES {
            Err(writer::too_long(bytes.len(), FRAME_LIMIT_BYTES))
        } else {
            self.queue.push(Pending { signal, received, bytes, payload, reply })
        };
        async move {
            queued?;
            answer.await.unwrap_or_else(|_| {
                Err(StoreError::new(StoreErrorKind::Unavailable, "the log has stopped"))
            })
        }
    }

    /// The sequence of the last request that the sink was given, or that was there before.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Ordering::Acquire)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Removes the segments that hold nothing after `sequence`; those that were found damaged
    /// go to [`ASIDE_DIR`].
    ///
    /// # Errors
    /// When a file cannot be removed; the next call tries again.
    pub fn remove_through(&self, sequence: u64) -> Result<(), StoreError> {
        self.segments.remove_through(&*self.disk, sequence)
    }
}

impl<P, R> Log<P, R> {
    /// Writes what is queued, syncs it, and ends the thread. Blocks; later appends are refused.
    ///
    /// # Errors
    /// When the last sync fails.
    pub fn close(&self) -> Result<(), StoreError> {
        self.queue.close();
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| {
            Err(StoreError::new(StoreErrorKind::Internal, "the log's thread has panicked"))
        })
    }
}

impl<P, R> Drop for Log<P, R> {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the log was not closed cleanly");
        }
    }
}

/// However the thread ends, nobody waits for it any more.
struct CloseAtEnd<'a, P, R>(&'a Queue<Pending<P, R>>);

impl<P, R> Drop for CloseAtEnd<'_, P, R> {
    fn drop(&mut self) {
        self.0.close_and_clear();
    }
}

/// The log's thread.
struct Committer<P, R, S> {
    queue: Arc<Queue<Pending<P, R>>>,
    writer: Writer,
    last_sequence: Arc<AtomicU64>,
    sink: S,
    options: LogOptions,
    faults: Faults,
}

impl<P, R, S: FnMut(u64, P) -> R> Committer<P, R, S> {
    fn run(mut self) -> Result<(), StoreError> {
        let queue = Arc::clone(&self.queue);
        let _closer = CloseAtEnd(&queue);
        let LogOptions { group_bytes, group_delay, .. } = self.options;
        let grouping = Grouping { bytes: group_bytes.min(GROUP_LIMIT_BYTES), delay: group_delay };
        let buffer_bytes = usize::try_from(grouping.bytes.saturating_mul(4)).unwrap_or(usize::MAX);
        let mut last_count = 0;
        while let Some(group) = self.queue.group(grouping, last_count) {
            last_count = group.len();
            let bytes = group.iter().map(HasBytes::bytes).sum();
            self.commit(group);
            self.writer.trim(buffer_bytes);
            self.queue.done(bytes);
        }
        self.writer.finish()
    }

    fn commit(&mut self, group: Vec<Pending<P, R>>) {
        let entries: Vec<Entry<'_>> = group
            .iter()
            .map(|pending| Entry {
                signal: pending.signal,
                received: pending.received,
                bytes: &pending.bytes,
            })
            .collect();
        let written = self.writer.write(&entries);
        self.faults.report(written.as_ref());
        match written {
            Ok(first) => {
                for (sequence, pending) in (first..).zip(group) {
                    let Pending { payload, reply, .. } = pending;
                    let sink = AssertUnwindSafe(|| (self.sink)(sequence, payload));
                    let made = catch_unwind(sink).map_err(|_| {
                        let message = format!("request {sequence} is in the log, but not visible");
                        StoreError::new(StoreErrorKind::Internal, message)
                    });
                    self.last_sequence.store(sequence, Ordering::Release);
                    // Who does not wait any more needs no answer.
                    drop(reply.send(made));
                }
            }
            Err(error) => {
                for pending in group {
                    drop(pending.reply.send(Err(writer::same(&error))));
                }
            }
        }
        debug_assert!(self.last_sequence.load(Ordering::Relaxed) <= self.writer.last_sequence());
    }
}
