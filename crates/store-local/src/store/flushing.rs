//! Memtables on their way to files.

use super::Shared;
use crate::flush::Flush;
use crate::state::State;
use carafe_store::StoreError;
use carafe_telemetry::UnixNanos;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::Duration;

impl Shared {
    /// Ends the active memtable and begins another. The guard is of [`Shared::insert`].
    pub(super) fn rotate(&self, _guard: &MutexGuard<'_, ()>) {
        let mut state = self.state.write();
        if state.active.sequences().is_none() {
            return;
        }
        let mut next = State::clone(&state);
        next.flushing.push(std::mem::take(&mut next.active));
        *state = Arc::new(next);
        drop(state);
        self.wake.flusher();
    }

    /// Ends the active memtable where it is older than `age`.
    pub(super) fn rotate_older_than(&self, age: Duration) {
        let guard = self.insert.lock();
        if self.state.read().active.age() >= age {
            self.rotate(&guard);
        }
    }

    /// Writes the oldest memtable that waits for it. The last log frame that is in files now;
    /// none where nothing waits.
    pub(super) fn flush_oldest(&self) -> Result<Option<u64>, StoreError> {
        let _one_at_a_time = self.flush.lock();
        let state = Arc::clone(&self.state.read());
        let Some(memtable) = state.flushing.first() else { return Ok(None) };
        // What waits has at least one frame.
        let Some(sequences) = memtable.sequences() else { return Ok(None) };
        let flushed = {
            let calls = self.calls.read();
            let flush = Flush {
                memtable,
                sequences,
                recent: state.memtables().map(|memtable| Arc::clone(&memtable.spans)).collect(),
                calls: &calls,
                shelf: &*self.library.shelf,
                now: UnixNanos::now(),
            };
            self.catalog.intends(&flush.paths())?;
            flush.run()?
        };
        let entries = self.catalog.flushed(sequences.1, &flushed.files, &flushed.late_calls)?;
        let mut calls = self.calls.write();
        for (span, parent) in flushed.spans.newest_first().zip(&flushed.parents) {
            calls.flushed(&span, parent);
        }
        self.change(|state| {
            state.flushing.retain(|other| !Arc::ptr_eq(other, memtable));
            state.add(entries, &self.library);
        });
        drop(calls);
        self.room.notify_waiters();
        Ok(Some(sequences.1))
    }

    /// Makes a new state of the present one.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.write();
        let mut next = State::clone(&state);
        change(&mut next);
        *state = Arc::new(next);
    }
}
