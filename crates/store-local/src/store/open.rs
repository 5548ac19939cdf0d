//! Opening a data directory.

use super::append::Payload;
use super::background::{Background, Wake};
use super::{Counts, LocalStore, Shared};
use crate::budget::{Budget, QueryLimits};
use crate::calls::Calls;
use crate::catalog::{Catalog, Contents};
use crate::config::LocalConfig;
use crate::disk::{Disk, RealDisk};
use crate::files::metadata::MetadataCache;
use crate::lock::DirLock;
use crate::log::{Log, Replay};
use crate::shelf::{DATA, FILES_DIR, LocalShelf, SIDE, Shelf};
use crate::source::{SpanHit, SpanSource, Want};
use crate::state::State;
use crate::stored::{Chores, Library};
use carafe_store::{SpanFilter, StoreError, TailHub};
use carafe_telemetry::Batch;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// What the footers of Parquet files may take in memory.
const FOOTER_BYTES: usize = 64 << 20;
/// How long opening may take to remember spans of files.
const REMEMBER_TIME: Duration = Duration::from_millis(500);
/// Queries that run at once; more wait. Each may hold as much as its limits allow.
const MAX_QUERIES: usize = 8;

impl LocalStore {
    /// Opens the data directory, which no other process may have open, and makes it where it
    /// is not there. Everything that was acknowledged is visible when this returns.
    ///
    /// # Errors
    /// When another process has it open, when it cannot be read or written, or when its
    /// catalog is damaged or newer than this program. Damaged data is no error: it is said
    /// and set aside.
    pub fn open(config: LocalConfig) -> Result<Arc<Self>, StoreError> {
        Self::open_on(Arc::new(RealDisk), config)
    }

    /// Opens the data directory of some disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(disk: Arc<dyn Disk>, config: LocalConfig) -> Result<Arc<Self>, StoreError> {
        let directory = config.directory.clone();
        let lock = DirLock::acquire(&directory, &config.program)?;
        let (catalog, contents) = Catalog::open(&directory)?;
        let shelf: Arc<dyn Shelf> =
            Arc::new(LocalShelf::new(Arc::clone(&disk), directory.join(FILES_DIR)));
        remove_garbage(&catalog, &*shelf, &contents.garbage)?;
        for aside in &contents.aside {
            tracing::warn!("{} is set aside: {}", aside.file.path, aside.reason);
        }
        let options = config.log;
        let watermark = contents.watermark;
        let shared = Arc::new(Shared::new(config, catalog, contents, shelf));
        let sink = Arc::clone(&shared);
        let (log, replay) =
            Log::open(disk, &directory, options, watermark, move |sequence, payload| {
                sink.insert(sequence, payload)
            })?;
        let log = Arc::new(log);
        shared.remember_newest();
        shared.replay(replay)?;
        let background = Background::start(&shared, &log)?;
        Ok(Arc::new(Self { shared, log, background, lock: Mutex::new(lock) }))
    }
}

/// Removes files that were being written, or removed, when the process ended.
fn remove_garbage(
    catalog: &Catalog,
    shelf: &dyn Shelf,
    garbage: &[String],
) -> Result<(), StoreError> {
    if garbage.is_empty() {
        return Ok(());
    }
    for path in garbage {
        shelf.remove(&format!("{path}.{DATA}"))?;
        shelf.remove(&format!("{path}.{SIDE}"))?;
    }
    catalog.removed(garbage)
}

impl Shared {
    fn new(
        config: LocalConfig,
        catalog: Catalog,
        contents: Contents,
        shelf: Arc<dyn Shelf>,
    ) -> Self {
        let footers = Arc::new(MetadataCache::new(FOOTER_BYTES));
        let library = Arc::new(Library { shelf, chores: Chores::default(), footers });
        let mut state = State::empty();
        state.add(contents.files, &library);
        Self {
            calls: RwLock::new(Calls::new(config.remembered_spans())),
            config,
            catalog,
            library,
            state: RwLock::new(Arc::new(state)),
            insert: Mutex::new(()),
            flush: Mutex::new(()),
            maintenance: Mutex::new(()),
            tail: TailHub::default(),
            counts: Counts::default(),
            room: Notify::new(),
            wake: Wake::default(),
            totals: Mutex::default(),
            evicted: Mutex::new(contents.counters.evicted),
            set_aside: AtomicU64::new(contents.aside.len() as u64),
            queries: Arc::new(Semaphore::new(MAX_QUERIES)),
        }
    }

    /// Remembers the newest spans of files, as if they had just been flushed: what a client
    /// sends again, and calls by them, are known for what they are.
    fn remember_newest(&self) {
        let mut files = self.state.read().spans.clone();
        files.sort_by_key(|file| std::cmp::Reverse(file.entry().file.extent.end));
        let budget = Budget::new(QueryLimits { time: REMEMBER_TIME, ..QueryLimits::default() });
        let filter = SpanFilter::default();
        let hits = files.iter().flat_map(|file| file.scan(&filter, Want::Hits, &budget));
        // A file that cannot be read, or no more time: then fewer are remembered. Half of what
        // can be, so that none of them is forgotten for the others.
        let hits = hits.map_while(Result::ok).take(self.config.remembered_spans() / 2);
        let hits: Vec<SpanHit> = hits.collect();
        self.calls.write().remember(&hits);
    }

    /// Takes in what was in the log and not in files.
    fn replay(&self, mut replay: Replay) -> Result<(), StoreError> {
        for frame in &mut replay {
            let frame = frame?;
            let batch = Batch { signal: frame.signal, bytes: frame.bytes };
            // As it was read when it came.
            let (payload, _, _) = Payload::read(batch, &self.rules(frame.received))?;
            self.insert(frame.sequence, payload);
        }
        for damage in &replay.report().damaged {
            tracing::error!("the log is damaged: {damage}");
        }
        let more = replay.report().more_damage;
        if more > 0 {
            tracing::error!("the log is damaged in {more} more places");
        }
        Ok(())
    }
}
