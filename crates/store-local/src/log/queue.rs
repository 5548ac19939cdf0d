//! What waits to be written: bounded, and taken in groups.

use carafe_store::{StoreError, StoreErrorKind};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Something that takes up room in the queue.
pub(super) trait HasBytes {
    /// How much.
    fn bytes(&self) -> u64;
}

/// When a group is large enough, and how long it may wait for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grouping {
    pub bytes: u64,
    pub delay: Duration,
}

struct Waiting<T> {
    items: VecDeque<(Instant, T)>,
    bytes: u64,
    is_closed: bool,
}

pub(super) struct Queue<T> {
    limit_bytes: u64,
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
}

impl<T> Queue<T> {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let waiting = Waiting { items: VecDeque::new(), bytes: 0, is_closed: false };
        Self { limit_bytes, waiting: Mutex::new(waiting), arrived: Condvar::new() }
    }

    /// Nothing more comes in; what is in is still given out.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Nothing more comes in, and what is in goes unanswered.
    pub(super) fn close_and_clear(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        let left = std::mem::take(&mut waiting.items);
        drop(waiting);
        drop(left);
    }

    /// The group with these bytes is dealt with.
    pub(super) fn done(&self, bytes: u64) {
        let mut waiting = self.waiting.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }
}

impl<T: HasBytes> Queue<T> {
    /// Refused when it is closed, or full: an item that is larger than the limit has to find
    /// the queue empty.
    pub(super) fn push(&self, item: T) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the store is closed"));
        }
        let bytes = waiting.bytes.saturating_add(item.bytes());
        if bytes > self.limit_bytes && waiting.bytes > 0 {
            return Err(StoreError::new(
                StoreErrorKind::Full,
                format!(
                    "{} bytes wait for the log already, the limit is {}; hint: send again later, \
                     or more slowly",
                    waiting.bytes, self.limit_bytes
                ),
            ));
        }
        waiting.bytes = bytes;
        waiting.items.push_back((Instant::now(), item));
        self.arrived.notify_one();
        Ok(())
    }

    /// The next group, in order; `None` once it is closed and empty. The group's bytes count
    /// until [`Self::done`].
    ///
    /// A lone item goes at once. Several wait for as many as the group before had, since
    /// those who were answered then may be about to come again.
    pub(super) fn group(&self, grouping: Grouping, last_count: usize) -> Option<Vec<T>> {
        let mut waiting = self.waiting.lock();
        while waiting.items.is_empty() {
            if waiting.is_closed {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
        while let Some((arrived, _)) = waiting.items.front() {
            let count = waiting.items.len();
            let is_enough = count == 1 || count >= last_count || waiting.bytes >= grouping.bytes;
            let until = *arrived + grouping.delay;
            if is_enough
                || waiting.is_closed
                || self.arrived.wait_until(&mut waiting, until).timed_out()
            {
                break;
            }
        }
        let mut bytes = 0;
        let mut count = 0;
        for (_, item) in &waiting.items {
            if bytes >= grouping.bytes {
                break;
            }
            bytes += item.bytes();
            count += 1;
        }
        Some(waiting.items.drain(..count).map(|(_, item)| item).collect())
    }
}
