//! Removing data because somebody says so.

use super::LocalStore;
use super::append::index_of;
use crate::catalog::{FileEntry, FileId};
use carafe_store::StoreError;
use carafe_telemetry::{Signal, UnixNanos};
use std::collections::HashSet;
use std::sync::Arc;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Files.
    pub files: u64,
    /// What they took.
    pub bytes: u64,
    /// Items, by signal in the order of [`Signal::ALL`].
    pub items: [u64; 3],
}

impl LocalStore {
    /// Removes the data of `signal`, or of all signals, in files whose items are all from
    /// before `before`, or in all files. Recent data is written to files first. A file with
    /// items of both sides of `before` stays.
    ///
    /// Spans that were removed are remembered until the store is closed: if they are sent
    /// again before, they are taken for duplicates.
    ///
    /// # Errors
    /// When recent data cannot be written, or the catalog.
    pub fn clear_blocking(
        &self,
        signal: Option<Signal>,
        before: Option<UnixNanos>,
    ) -> Result<Cleared, StoreError> {
        self.flush_blocking()?;
        let shared = &self.shared;
        // A merge under way would bring back what is removed meanwhile.
        let _alone = shared.maintenance.lock();
        let state = Arc::clone(&shared.state.read());
        let goes = |entry: &&FileEntry| {
            signal.is_none_or(|signal| entry.file.signal == signal)
                && before.is_none_or(|before| entry.file.extent.end < before)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = state.entries().partition(goes);
        let mut cleared = Cleared::default();
        for FileEntry { file, .. } in &gone {
            cleared.files += 1;
            cleared.bytes += file.data_bytes + file.side_bytes;
            cleared.items[index_of(file.signal)] += file.rows;
        }
        let ids: Vec<FileId> = gone.iter().map(|entry| entry.id).collect();
        let spans = kept.iter().filter(|entry| entry.file.signal == Signal::Traces);
        let oldest = spans.map(|entry| entry.file.extent.start).min().unwrap_or(UnixNanos::now());
        shared.catalog.evicted(&ids, [0; 3], oldest)?;
        let ids: HashSet<FileId> = ids.into_iter().collect();
        drop(state);
        shared.change(|state| state.retire(&ids));
        shared.remove_unused()?;
        Ok(cleared)
    }
}
