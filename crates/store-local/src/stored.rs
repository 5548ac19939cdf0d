//! Files of the catalog as sources: opened when they are first needed, left out when they
//! turn out to be damaged, removed when nobody reads them any more.

use crate::budget::Budget;
use crate::catalog::FileEntry;
use crate::files::FileAccess;
use crate::files::checked::Checked;
use crate::files::metadata::MetadataCache;
use crate::shelf::{DATA, SIDE, Shelf};
use crate::source::{LogSource, MetricSource, Scan, SpanHit, SpanSource, Want};
use crate::spans::SpanFile;
use carafe_store::{
    LogQuery, LogRecord, MetricQuery, PointRecord, SeriesPoints, SpanFilter, SpanRecord,
    StoreError, StoreErrorKind, TimeRange,
};
use carafe_telemetry::TraceId;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A file of one kind that can be opened.
pub trait Openable: Send + Sync + Sized {
    /// Opens the file from its two parts.
    fn open(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        footers: &Arc<MetadataCache>,
    ) -> Result<Self, StoreError>;
}

/// What all files of a store share.
pub struct Library {
    /// Where they lie.
    pub shelf: Arc<dyn Shelf>,
    /// What is to be done with them.
    pub chores: Chores,
    /// The footers of those that were read lately.
    pub footers: Arc<MetadataCache>,
}

/// What readers leave to be done, for whoever looks after the files.
#[derive(Debug, Default)]
pub struct Chores {
    damaged: Mutex<Vec<(FileEntry, StoreError)>>,
    unused: Mutex<Vec<String>>,
}

impl Chores {
    /// Takes the files that were found to be damaged, with what is wrong with them.
    pub fn take_damaged(&self) -> Vec<(FileEntry, StoreError)> {
        std::mem::take(&mut self.damaged.lock())
    }

    /// Takes the paths of files that are not in the catalog and that nobody reads any more.
    pub fn take_unused(&self) -> Vec<String> {
        std::mem::take(&mut self.unused.lock())
    }
}

/// A file of the catalog.
pub struct Stored<F> {
    entry: FileEntry,
    library: Arc<Library>,
    file: OnceLock<Arc<F>>,
    is_damaged: AtomicBool,
    is_retired: AtomicBool,
}

impl<F: Openable> Stored<F> {
    /// The file of a catalog entry. Does not open it.
    pub fn new(entry: FileEntry, library: Arc<Library>) -> Self {
        Self {
            entry,
            library,
            file: OnceLock::new(),
            is_damaged: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
        }
    }

    /// The file, opened. None where it is damaged.
    ///
    /// # Errors
    /// When it cannot be read for another reason.
    pub fn open(&self) -> Result<Option<Arc<F>>, StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(file) = self.file.get() {
            return Ok(Some(Arc::clone(file)));
        }
        let path = &self.entry.file.path;
        let open = || {
            let Library { shelf, footers, .. } = &*self.library;
            let data = shelf.open(&format!("{path}.{DATA}"))?;
            let side = shelf.open(&format!("{path}.{SIDE}"))?;
            F::open(Arc::new(Checked::new(data, Arc::clone(&side))), side, footers)
        };
        match open() {
            Ok(file) => Ok(Some(Arc::clone(self.file.get_or_init(|| Arc::new(file))))),
            Err(error) => self.unless_damaged(error).map(|()| None),
        }
    }

    /// Takes note of damage; other errors are given back.
    pub fn unless_damaged(&self, error: StoreError) -> Result<(), StoreError> {
        if error.kind != StoreErrorKind::Corrupt {
            return Err(error);
        }
        if !self.is_damaged.swap(true, Ordering::Relaxed) {
            self.library.chores.damaged.lock().push((self.entry.clone(), error));
        }
        Ok(())
    }
}

impl<F> Stored<F> {
    /// Its entry.
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// Says that it is no longer in the catalog: it is removed once nobody reads it.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }
}

impl<F> Drop for Stored<F> {
    fn drop(&mut self) {
        if self.is_retired.load(Ordering::Relaxed) {
            let path = std::mem::take(&mut self.entry.file.path);
            self.library.chores.unused.lock().push(path);
        }
    }
}

/// Begins a scan when it is first asked for something, and ends it where the file turns out
/// to be damaged: the rest of the data is still served.
struct Guarded<'a, F, T, B> {
    stored: &'a Stored<F>,
    begin: Option<B>,
    scan: Option<Scan<'a, T>>,
}

impl<'a, F, T, B> Iterator for Guarded<'a, F, T, B>
where
    F: Openable,
    B: FnOnce(&'a F) -> Scan<'a, T>,
{
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(begin) = self.begin.take() {
            match self.stored.open() {
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
                // The file lives in `stored`, which outlives the scan.
                Ok(Some(_)) => self.scan = self.stored.file.get().map(|file| begin(file)),
            }
        }
        match self.scan.as_mut()?.next()? {
            Ok(item) => Some(Ok(item)),
            Err(error) => {
                self.scan = None;
                self.stored.unless_damaged(error).err().map(Err)
            }
        }
    }
}

impl<F: Openable> Stored<F> {
    fn guarded<'a, T: 'a>(
        &'a self,
        begin: impl FnOnce(&'a F) -> Scan<'a, T> + Send + 'a,
    ) -> Scan<'a, T> {
        Box::new(Guarded { stored: self, begin: Some(begin), scan: None })
    }

    /// What `read` makes of the file, or nothing where it is damaged.
    pub fn or_default<T: Default>(
        &self,
        read: impl FnOnce(&F) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(file) = self.open()? else { return Ok(T::default()) };
        read(&file).or_else(|error| self.unless_damaged(error).map(|()| T::default()))
    }
}

impl Openable for SpanFile {
    fn open(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        footers: &Arc<MetadataCache>,
    ) -> Result<Self, StoreError> {
        Self::open(data, side, Arc::clone(footers))
    }
}

impl<F: Openable + SpanSource> SpanSource for Stored<F> {
    fn extent(&self) -> TimeRange {
        self.entry.file.extent
    }

    fn scan<'a>(
        &'a self,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Scan<'a, SpanHit> {
        self.guarded(move |file| file.scan(filter, want, budget))
    }

    fn traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
        out: &mut Vec<SpanRecord>,
    ) -> Result<(), StoreError> {
        self.or_default(|file| file.traces(ids, budget, out))
    }
}

impl<F: Openable + LogSource> LogSource for Stored<F> {
    fn extent(&self) -> TimeRange {
        self.entry.file.extent
    }

    fn scan<'a>(&'a self, query: &'a LogQuery, budget: &'a Budget) -> Scan<'a, LogRecord> {
        self.guarded(move |file| file.scan(query, budget))
    }
}

impl<F: Openable + MetricSource> MetricSource for Stored<F> {
    fn extent(&self) -> TimeRange {
        self.entry.file.extent
    }

    fn select(
        &self,
        query: &MetricQuery,
        budget: &Budget,
    ) -> Result<Vec<SeriesPoints>, StoreError> {
        self.or_default(|file| file.select(query, budget))
    }

    fn scan<'a>(&'a self, range: TimeRange, budget: &'a Budget) -> Scan<'a, PointRecord> {
        self.guarded(move |file| file.scan(range, budget))
    }
}
