//! A bounded queue in front of a consumer, for senders that must not wait.

use crate::{Consumer, DropReason, NodeCounters, Refusal, RefusalKind};
use carafe_telemetry::{Batch, Signal};
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The limits of a queue. What waits and what a worker is sending both count: together they
/// are the memory that the queue can hold. A batch beyond a limit is refused and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Batches, at least 1. The Collector's default: 1,000.
    pub max_batches: usize,
    /// Bytes of all batches. 64 MiB.
    pub max_bytes: usize,
    /// Batches sent at the same time, at least 1. The Collector's default: 10.
    pub workers: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { max_batches: 1_000, max_bytes: 64 << 20, workers: 10 }
    }
}

/// What a queue holds now, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Batches waiting or being sent.
    pub batches: usize,
    /// Their bytes.
    pub bytes: usize,
    /// [`QueueConfig::max_batches`].
    pub max_batches: usize,
    /// [`QueueConfig::max_bytes`].
    pub max_bytes: usize,
}

/// What could not be delivered before the shutdown deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Batches lost.
    pub batches: usize,
    /// Spans, data points and log records in them.
    pub items: u64,
}

/// A bounded queue with its own workers. Dropping it stops the workers at once;
/// [`Queue::shutdown`] lets them finish.
pub struct Queue {
    sender: QueueSender,
    workers: JoinSet<()>,
}

/// The entrance of a [`Queue`], for as many senders as there are.
#[derive(Clone)]
pub struct QueueSender {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    config: QueueConfig,
    counters: Arc<NodeCounters>,
    state: Mutex<State>,
    /// One permit per waiting batch; closed when shutdown begins.
    waiting: Semaphore,
    undelivered: AtomicBool,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    held: Held,
    closed: bool,
    /// Set at the first drop, cleared when half of the queue is free again: the two
    /// moments of which people are told.
    dropping: bool,
    dropped_since: u64,
}

/// Waiting or being sent.
#[derive(Clone, Copy, Default)]
struct Held {
    batches: usize,
    bytes: usize,
    items: [u64; 3],
}

struct Entry {
    batch: Batch,
    items: u64,
}

impl Queue {
    /// Starts the workers, which give each batch to `consumer` and count what becomes of it.
    /// `name` stands in messages. Must be called within a Tokio runtime.
    pub fn start(
        name: impl Into<String>,
        consumer: impl Consumer + 'static,
        config: QueueConfig,
        counters: Arc<NodeCounters>,
    ) -> Self {
        let shared = Arc::new(Shared {
            name: name.into(),
            config,
            counters,
            state: Mutex::default(),
            waiting: Semaphore::new(0),
            undelivered: AtomicBool::new(false),
        });
        let consumer = Arc::new(consumer);
        let mut workers = JoinSet::new();
        for _ in 0..shared.config.workers.max(1) {
            workers.spawn(work(Arc::clone(&shared), Arc::clone(&consumer)));
        }
        Self { sender: QueueSender { shared }, workers }
    }

    /// An entrance that others can keep; it refuses once shutdown has begun.
    pub fn sender(&self) -> QueueSender {
        self.sender.clone()
    }

    /// See [`QueueSender::try_send`].
    pub fn try_send(&self, batch: Batch) -> Result<(), Refusal> {
        self.sender.try_send(batch)
    }

    /// See [`QueueSender::stats`].
    pub fn stats(&self) -> QueueStats {
        self.sender.stats()
    }

    /// Takes nothing more, sends what is there, and stops the workers, at `deadline` from now
    /// at the latest. What is left then is counted as dropped, said and returned. Cancel a
    /// [`crate::Retry`] behind the queue first, or its waits use up the deadline.
    pub async fn shutdown(mut self, deadline: Duration) -> Leftover {
        let shared = Arc::clone(&self.sender.shared);
        shared.state.lock().closed = true;
        shared.waiting.close();
        let drained = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, drained).await.is_err() {
            self.workers.shutdown().await;
        }

        let held = {
            let mut state = shared.state.lock();
            state.entries.clear();
            std::mem::take(&mut state.held)
        };
        for signal in Signal::ALL {
            let items = held.items[signal as usize];
            shared.counters.drop_items(DropReason::Deadline, signal, items);
        }
        let left = Leftover { batches: held.batches, items: held.items.iter().sum() };
        if left.batches > 0 {
            let seconds = deadline.as_secs_f64();
            tracing::warn!(
                "{}: {} items in {} batches could not be delivered within {seconds:.1} s and are lost",
                shared.name,
                left.items,
                left.batches
            );
        }
        left
    }
}

impl QueueSender {
    /// Queues the batch without waiting, or refuses it: `Exhausted` when a limit is reached,
    /// `TooLarge` when the batch alone is over it, `Unavailable` after shutdown has begun. A
    /// refused batch is counted as dropped.
    pub fn try_send(&self, batch: Batch) -> Result<(), Refusal> {
        let shared = &*self.shared;
        let (signal, bytes) = (batch.signal, batch.bytes.len());
        let items = batch.items().unwrap_or(0);
        shared.counters.received.add(signal, items);
        let mut state = shared.state.lock();
        match shared.room(&state, bytes) {
            Ok(()) => {
                state.held.batches += 1;
                state.held.bytes += bytes;
                state.held.items[signal as usize] += items;
                state.entries.push_back(Entry { batch, items });
                drop(state);
                shared.counters.accepted.add(signal, items);
                shared.waiting.add_permits(1);
                Ok(())
            }
            Err((reason, refusal)) => {
                let full = reason == DropReason::QueueFull;
                let first = full && !state.dropping;
                if full {
                    state.dropping = true;
                    state.dropped_since += items;
                }
                drop(state);
                shared.counters.refused.add(signal, items);
                shared.counters.drop_items(reason, signal, items);
                if first {
                    tracing::warn!("{}: {refusal}; data is dropped until it drains", shared.name);
                }
                Err(refusal)
            }
        }
    }

    /// What the queue holds now.
    pub fn stats(&self) -> QueueStats {
        let held = self.shared.state.lock().held;
        QueueStats {
            batches: held.batches,
            bytes: held.bytes,
            max_batches: self.shared.config.max_batches,
            max_bytes: self.shared.config.max_bytes,
        }
    }
}

impl Shared {
    fn room(&self, state: &State, bytes: usize) -> Result<(), (DropReason, Refusal)> {
        let full = |what| {
            let refusal = Refusal::new(RefusalKind::Exhausted, format!("queue full: {what}"));
            Err((DropReason::QueueFull, refusal))
        };
        if state.closed {
            let refusal = Refusal::new(RefusalKind::Unavailable, "shutting down");
            return Err((DropReason::ShuttingDown, refusal));
        }
        if bytes > self.config.max_bytes {
            let limit = self.config.max_bytes;
            let message = format!("a batch of {bytes} bytes, limit {limit} bytes");
            return Err((DropReason::QueueFull, Refusal::new(RefusalKind::TooLarge, message)));
        }
        if state.held.batches >= self.config.max_batches.max(1) {
            return full(format!("limit {} batches", self.config.max_batches));
        }
        if state.held.bytes.saturating_add(bytes) > self.config.max_bytes {
            let held = state.held.bytes;
            return full(format!(
                "{bytes} bytes more than the {held} it holds, limit {} bytes",
                self.config.max_bytes
            ));
        }
        Ok(())
    }

    /// Takes a finished batch off the books and says so when drops have ended.
    fn release(&self, signal: Signal, bytes: usize, items: u64) {
        let mut state = self.state.lock();
        state.held.batches -= 1;
        state.held.bytes -= bytes;
        state.held.items[signal as usize] -= items;
        let half_free = state.held.batches <= self.config.max_batches / 2
            && state.held.bytes <= self.config.max_bytes / 2;
        if state.dropping && half_free {
            state.dropping = false;
            let dropped = std::mem::take(&mut state.dropped_since);
            drop(state);
            tracing::info!("{}: queue takes data again; {dropped} items were dropped", self.name);
        }
    }
}

async fn work(shared: Arc<Shared>, consumer: Arc<impl Consumer>) {
    loop {
        // A closed semaphore means shutdown: the workers then empty the queue without permits.
        if let Ok(permit) = shared.waiting.acquire().await {
            permit.forget();
        }
        let Some(Entry { batch, items }) = shared.state.lock().entries.pop_front() else {
            return;
        };
        let (signal, bytes) = (batch.signal, batch.bytes.len());
        // A consumer that panics must not take the worker with it.
        let answer = AssertUnwindSafe(consumer.consume(batch)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Refusal::new(
                RefusalKind::Internal,
                "the exporter panicked; this is a bug in carafe",
            ))
        });
        let counters = &shared.counters;
        match answer {
            Ok(accepted) => {
                let rejected = accepted.rejected_items.min(items);
                counters.sent.add(signal, items - rejected);
                counters.drop_items(DropReason::Rejected, signal, rejected);
                if shared.undelivered.swap(false, Ordering::Relaxed) {
                    tracing::info!("{}: data is delivered again", shared.name);
                }
            }
            Err(refusal) => {
                counters.send_failed.add(signal, items);
                counters.drop_items(DropReason::Refused, signal, items);
                if !shared.undelivered.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{}: {items} items of {signal} are lost: {refusal}",
                        shared.name
                    );
                }
            }
        }
        shared.release(signal, bytes, items);
    }
}

#[cfg(test)]
mod tests;
