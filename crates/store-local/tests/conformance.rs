//! The embedded store passes the suite that every store passes, with its data in memory, in
//! files, merged, and after it was opened again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use carafe_store::Store;
use carafe_store::conformance::{self, Settle};
use carafe_store_local::log::Durability;
use carafe_store_local::{LocalConfig, LocalStore};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The stores of a test, and their directories.
#[derive(Clone, Default)]
struct Stores {
    directories: Arc<Mutex<Vec<tempfile::TempDir>>>,
    open: Arc<Mutex<Vec<Weak<LocalStore>>>>,
}

impl Stores {
    /// A new store, in a directory that lives as long as this.
    fn open(&self, tune: fn(&mut LocalConfig)) -> Arc<LocalStore> {
        // In memory where that is possible: the suite makes thousands of files, and waiting for
        // a disk each time proves nothing here.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let directory = tempfile::tempdir_in(directory).unwrap();
        let store = self.open_at(directory.path().into(), tune);
        self.directories.lock().push(directory);
        store
    }

    fn open_at(&self, directory: PathBuf, tune: fn(&mut LocalConfig)) -> Arc<LocalStore> {
        let mut config = LocalConfig::new(directory);
        // The suite's data is of 2026, and stays so.
        config.retention_age = None;
        config.maintenance = false;
        // Hundreds of stores: what survives a loss of power is tested elsewhere.
        config.log.durability = Durability::Os;
        tune(&mut config);
        let store = LocalStore::open(config).unwrap();
        self.open.lock().push(Arc::downgrade(&store));
        store
    }

    /// The embedded store behind `store`, whose only other reference it drops.
    fn local(&self, store: Arc<dyn Store>) -> Arc<LocalStore> {
        let stores = self.open.lock();
        let mut known = stores.iter().filter_map(Weak::upgrade);
        known.find(|known| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&store))).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_recent_data() {
    let stores = Stores::default();
    conformance::run(|| stores.open(|_| {}), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_many_small_files() {
    let stores = Stores::default();
    let tune = |config: &mut LocalConfig| config.flush_bytes = 300_000;
    let known = stores.clone();
    let settle: Settle = Arc::new(move |store| {
        let store = known.local(store);
        Box::pin(async move {
            store.flush_blocking().unwrap();
            store as Arc<dyn Store>
        })
    });
    conformance::run_with(|| stores.open(tune), settle, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_after_it_was_opened_again() {
    let stores = Stores::default();
    let known = stores.clone();
    let settle: Settle = Arc::new(move |store| {
        let (store, known) = (known.local(store), known.clone());
        Box::pin(async move {
            let directory = store.directory().to_owned();
            // Without closing it: the log has everything.
            drop(store);
            known.open_at(directory, |_| {}) as Arc<dyn Store>
        })
    });
    conformance::run_with(|| stores.open(|_| {}), settle, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_when_files_are_merged() {
    let stores = Stores::default();
    let tune = |config: &mut LocalConfig| config.flush_bytes = 200_000;
    let known = stores.clone();
    let settle: Settle = Arc::new(move |store| {
        let (store, known) = (known.local(store), known.clone());
        Box::pin(async move {
            store.flush_blocking().unwrap();
            store.merge_all_blocking().unwrap();
            let directory = store.directory().to_owned();
            store.close().await.unwrap();
            drop(store);
            known.open_at(directory, |_| {}) as Arc<dyn Store>
        })
    });
    conformance::run_with(|| stores.open(tune), settle, &[]).await;
}
