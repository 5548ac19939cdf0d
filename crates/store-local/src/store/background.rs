//! The threads that write files, merge them, and remove what is old.

use super::Shared;
use super::append::Payload;
use crate::faults::Faults;
use crate::log::Log;
use carafe_store::{StoreError, StoreErrorKind};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often the flusher looks at the age of recent data.
const FLUSH_TICK: Duration = Duration::from_millis(200);
/// How long it waits after a failure.
const FLUSH_RETRY: Duration = Duration::from_secs(1);

/// What the threads wait for.
#[derive(Default)]
pub(super) struct Wake {
    state: Mutex<WakeState>,
    changed: Condvar,
}

#[derive(Default)]
struct WakeState {
    is_stopping: bool,
    has_work: bool,
}

impl Wake {
    /// Something waits to be flushed.
    pub(super) fn flusher(&self) {
        self.state.lock().has_work = true;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Waits for `time`, or until it is told to stop or, where `for_work`, that there is work.
    fn wait(&self, time: Duration, for_work: bool) {
        let mut state = self.state.lock();
        let idle = |state: &mut WakeState| !(state.is_stopping || for_work && state.has_work);
        self.changed.wait_while_for(&mut state, idle, time);
        if for_work {
            state.has_work = false;
        }
    }
}

/// The threads of an open store.
pub(super) struct Background {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Background {
    pub(super) fn start(
        shared: &Arc<Shared>,
        log: &Arc<Log<Payload, ()>>,
    ) -> Result<Self, StoreError> {
        let background = Self { shared: Arc::clone(shared), threads: Mutex::default() };
        let (flusher, log) = (Arc::clone(shared), Arc::clone(log));
        background.spawn("carafe-flush", move || flush_until_stopped(&flusher, &log))?;
        if shared.config.maintenance {
            let shared = Arc::clone(shared);
            background.spawn("carafe-merge", move || maintain_until_stopped(&shared))?;
        }
        Ok(background)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|error| {
            let message = format!("cannot start the thread {name}: {error}");
            StoreError::new(StoreErrorKind::Unavailable, message)
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Ends the threads at the next good moment, and waits for that.
    pub(super) fn stop(&self) {
        self.shared.wake.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

fn flush_until_stopped(shared: &Shared, log: &Log<Payload, ()>) {
    let mut faults = Faults::new("writing recent data to files");
    while !shared.wake.is_stopping() {
        shared.rotate_older_than(shared.config.flush_age);
        let works = faults.report(flush_all(shared, log).as_ref());
        shared.wake.wait(if works { FLUSH_TICK } else { FLUSH_RETRY }, works);
    }
}

/// Writes all that waits to be written.
pub(super) fn flush_all(shared: &Shared, log: &Log<Payload, ()>) -> Result<(), StoreError> {
    while let Some(sequence) = shared.flush_oldest()? {
        log.remove_through(sequence)?;
    }
    Ok(())
}

fn maintain_until_stopped(shared: &Shared) {
    let mut faults = Faults::new("maintenance of the store's files");
    while !shared.wake.is_stopping() {
        faults.report(shared.maintain().as_ref());
        shared.wake.wait(shared.config.maintenance_interval, false);
    }
}
