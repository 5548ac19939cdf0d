//! Looking after the files: merging, retention, damage, what nobody needs any more.

use super::Shared;
use super::append::index_of;
use crate::catalog::{FileEntry, FileId};
use crate::compact::{self, Merge};
use crate::logs::{merge_logs, write_logs};
use crate::metrics::{MetricMerge, write_metrics};
use crate::shelf::{DATA, SIDE};
use crate::spans::{merge_spans, write_spans};
use crate::state::Files;
use crate::stored::{Openable, Stored};
use crate::writing::Planned;
use carafe_store::StoreError;
use carafe_telemetry::{Signal, UnixNanos};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// For how long the times of calls that were found late are exact.
const EXACT_CALLS: Duration = Duration::from_secs(3_600);

impl Shared {
    /// Does all that is to be done now.
    pub(super) fn maintain(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        self.set_damaged_aside()?;
        let now = UnixNanos::now();
        self.expire(now)?;
        let recent = now.0.saturating_sub(EXACT_CALLS.as_nanos() as u64);
        self.catalog.round_late_calls(UnixNanos(recent))?;
        while !self.wake.is_stopping() && self.merge_once(UnixNanos::now())? {
            self.set_damaged_aside()?;
            self.remove_unused()?;
        }
        self.remove_unused()
    }

    /// Takes files that turned out to be damaged out of what is served.
    pub(super) fn set_damaged_aside(&self) -> Result<(), StoreError> {
        for (entry, error) in self.library.chores.take_damaged() {
            let path = &entry.file.path;
            tracing::error!(
                "{path}: {error}; set aside, the rest is served; hint: carafe store verify"
            );
            self.catalog.set_aside(entry.id, &error.to_string())?;
            self.set_aside.fetch_add(1, Ordering::Relaxed);
            self.change(|state| state.forget(&HashSet::from([entry.id])));
        }
        Ok(())
    }

    /// Removes files that are in the catalog no more and that nobody reads.
    pub(super) fn remove_unused(&self) -> Result<(), StoreError> {
        let paths = self.library.chores.take_unused();
        if paths.is_empty() {
            return Ok(());
        }
        for path in &paths {
            self.library.shelf.remove(&format!("{path}.{DATA}"))?;
            self.library.shelf.remove(&format!("{path}.{SIDE}"))?;
        }
        self.catalog.removed(&paths)
    }

    /// Removes what is too old, and the oldest of what is too much.
    pub(super) fn expire(&self, now: UnixNanos) -> Result<(), StoreError> {
        let (age, bytes) = (self.config.retention_age, self.config.retention_bytes);
        let state = Arc::clone(&self.state.read());
        let entries: Vec<FileEntry> = state.entries().cloned().collect();
        let expired = compact::expired(&entries, now, age, bytes);
        if expired.is_empty() {
            return Ok(());
        }
        let ids: HashSet<FileId> = expired.iter().copied().collect();
        let (gone, kept): (Vec<_>, Vec<_>) = entries.iter().partition(|e| ids.contains(&e.id));
        let mut evicted = [0; 3];
        for entry in gone {
            evicted[index_of(entry.file.signal)] += entry.file.rows;
        }
        let oldest = kept.iter().map(|entry| entry.file.extent.start).min().unwrap_or(now);
        self.catalog.evicted(&expired, evicted, oldest)?;
        for (sum, evicted) in self.evicted.lock().iter_mut().zip(evicted) {
            *sum += evicted;
        }
        self.retire(&ids);
        Ok(())
    }

    fn retire(&self, ids: &HashSet<FileId>) {
        self.change(|state| state.retire(ids));
    }

    /// Merges as if nothing had been flushed for long.
    pub(super) fn merge_all(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        let long = compact::SETTLED.as_nanos() as u64;
        let later = UnixNanos(UnixNanos::now().0.saturating_add(2 * long));
        while self.merge_once(later)? {
            self.set_damaged_aside()?;
        }
        self.remove_unused()
    }

    /// Merges the files that most need it. Whether there were any.
    pub(super) fn merge_once(&self, now: UnixNanos) -> Result<bool, StoreError> {
        let state = Arc::clone(&self.state.read());
        let entries: Vec<FileEntry> = state.entries().cloned().collect();
        let Some(merge) = compact::next_merge(&entries, now) else { return Ok(false) };
        let Some(planned) = planned(&merge) else { return Ok(false) };
        let ids: HashSet<FileId> = merge.files.iter().map(|entry| entry.id).collect();
        self.catalog.intends(&[planned.path()])?;
        let written = match merge.signal {
            Signal::Traces => {
                let Some(files) = open_all(&state.spans, &ids)? else { return Ok(true) };
                let spans = merge_spans(files.iter().map(|file| &**file))?;
                planned.write(&*self.library.shelf, |out| write_spans(spans, out))
            }
            Signal::Logs => {
                let Some(files) = open_all(&state.logs, &ids)? else { return Ok(true) };
                planned.write(&*self.library.shelf, |out| write_logs(merge_logs(&files), out))
            }
            Signal::Metrics => {
                let Some(files) = open_all(&state.metrics, &ids)? else { return Ok(true) };
                let merge = MetricMerge::new(&files)?;
                planned.write(&*self.library.shelf, |out| write_metrics(merge.points()?, out))
            }
        }?;
        let old: Vec<FileId> = ids.iter().copied().collect();
        let new = self.catalog.replaced(&old, &[written])?;
        self.change(|state| {
            state.retire(&ids);
            state.add(new, &self.library);
        });
        Ok(true)
    }
}

fn planned(merge: &Merge) -> Option<Planned> {
    let files = || merge.files.iter().map(|entry| &entry.file);
    let first = files().map(|file| file.first_sequence).min()?;
    let last = files().map(|file| file.last_sequence).max()?;
    let generation = files().map(|file| file.generation).max()? + 1;
    Some(Planned {
        signal: merge.signal,
        window: merge.window,
        sequences: (first, last),
        generation,
    })
}

/// Opens files. None where one of them is damaged: it is set aside, and the rest is looked
/// at anew.
fn open_all<F: Openable>(
    files: &Files<F>,
    ids: &HashSet<FileId>,
) -> Result<Option<Vec<Arc<F>>>, StoreError> {
    let chosen = files.iter().filter(|file| ids.contains(&file.entry().id));
    chosen.map(|file| Stored::open(file)).collect()
}
