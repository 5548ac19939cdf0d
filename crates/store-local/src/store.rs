//! The embedded store: what ties log, recent data, files and queries together.

mod append;
mod attributes;
mod background;
mod clear;
mod flushing;
mod graph;
mod maintenance;
mod open;
mod queries;
mod red;
mod services;
mod stats;

use crate::calls::Calls;
use crate::catalog::Catalog;
use crate::config::LocalConfig;
use crate::lock::DirLock;
use crate::log::Log;
use crate::state::State;
use crate::stored::Library;
use append::Payload;
use background::{Background, Wake};
use carafe_store::{StoreError, StoreErrorKind, TailHub};
pub use clear::Cleared;
use parking_lot::{Mutex, RwLock};
use services::FileTotals;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Keeps telemetry in a data directory. What was acknowledged is there after a crash.
pub struct LocalStore {
    shared: Arc<Shared>,
    log: Arc<Log<Payload, ()>>,
    background: Background,
    lock: Mutex<DirLock>,
}

/// What appends, queries and the background threads share.
struct Shared {
    config: LocalConfig,
    catalog: Catalog,
    library: Arc<Library>,
    /// Replaced as a whole; held only to do that, or to clone it.
    state: RwLock<Arc<State>>,
    /// Changes together with `state`, and is locked first.
    calls: RwLock<Calls>,
    /// Held while something is inserted into the active memtable, or that is replaced.
    insert: Mutex<()>,
    /// Held while a memtable is written to files: one after the other, oldest first.
    flush: Mutex<()>,
    /// Held while files are merged or removed.
    maintenance: Mutex<()>,
    tail: TailHub,
    counts: Counts,
    /// Told when there is room for recent data again.
    room: Notify,
    wake: Wake,
    /// What the files add up to by service.
    totals: Mutex<FileTotals>,
    /// Items that retention removed, by signal.
    evicted: Mutex<[u64; 3]>,
    /// Files that were set aside.
    set_aside: AtomicU64,
    /// Queries that run at once.
    queries: Arc<Semaphore>,
}

/// Counters since the store was opened.
#[derive(Default)]
struct Counts {
    rejected: AtomicU64,
    duplicates: AtomicU64,
    appended: [AtomicU64; 3],
}

impl LocalStore {
    /// Writes all recent data to files and ends the threads. Later appends are refused;
    /// queries still work.
    ///
    /// # Errors
    /// When the data could not be written. It is in the log, and nothing is lost.
    pub async fn close(self: &Arc<Self>) -> Result<(), StoreError> {
        let store = Arc::clone(self);
        let closed = tokio::task::spawn_blocking(move || store.close_blocking()).await;
        closed.map_err(|error| {
            StoreError::new(StoreErrorKind::Internal, format!("closing the store failed: {error}"))
        })?
    }

    /// As [`close`](Self::close), where it may block.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_blocking(&self) -> Result<(), StoreError> {
        let logged = self.log.close();
        self.background.stop();
        self.flush_blocking()?;
        self.shared.set_damaged_aside()?;
        self.shared.remove_unused()?;
        logged
    }

    /// Writes all recent data to files now.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn flush_blocking(&self) -> Result<(), StoreError> {
        self.shared.rotate_older_than(Duration::ZERO);
        background::flush_all(&self.shared, &self.log)
    }

    /// Merges files and removes what is old, as far as there is something to do.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn maintain_blocking(&self) -> Result<(), StoreError> {
        self.shared.maintain()
    }

    /// Merges the files of each window, and windows that are over, whether that is worth it
    /// yet or not.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn merge_all_blocking(&self) -> Result<(), StoreError> {
        self.shared.merge_all()
    }

    /// Tells processes that find the data directory taken where this one listens.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn set_addresses(&self, addresses: Vec<String>) -> Result<(), StoreError> {
        self.lock.lock().set_addresses(addresses)
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.shared.config.directory
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        // What is not in files is in the log.
        self.background.stop();
    }
}
