//! A disk that is full, and has room again later.

use crate::items::{self, Ledger};
use crate::{blocking, directory};
use carafe_store::{Store, StoreErrorKind};
use carafe_store_local::disk::random::Random;
use carafe_store_local::disk::simulated::{Faults, SimulatedDisk};
use carafe_store_local::{LocalConfig, LocalStore};
use std::path::Path;
use std::sync::Arc;

fn config(root: &Path) -> LocalConfig {
    let mut config = LocalConfig::new(root.join("data"));
    config.log.segment_bytes = 20_000;
    config.flush_bytes = 50_000;
    config.retention_age = None;
    config.retention_bytes = None;
    config.maintenance = false;
    config
}

/// Appends until it is refused; with what.
async fn fill(store: &LocalStore, random: &mut Random, ledger: &mut Ledger) -> StoreErrorKind {
    loop {
        let request = ledger.request(random);
        match store.append(request.batch).await {
            Ok(_) => ledger.acknowledge(request.items),
            Err(error) => {
                assert!(error.message.contains("; hint: "), "{error}");
                return error.kind;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_without_a_restart() {
    let root = directory();
    let disk = SimulatedDisk::new(root.path(), 1).unwrap();
    let mut random = Random::new(1);
    let mut ledger = Ledger::default();
    let open = || LocalStore::open_on(Arc::new(disk.clone()), config(root.path())).unwrap();
    let store = open();
    for capacity in [200_000, 400_000, 600_000] {
        disk.set_faults(Faults { capacity_bytes: Some(capacity), ..Faults::default() });
        // Twice: it stays so.
        for _ in 0..2 {
            assert_eq!(fill(&store, &mut random, &mut ledger).await, StoreErrorKind::Full);
        }
        let flush = Arc::clone(&store);
        if let Err(error) = blocking(move || flush.flush_blocking()).await {
            assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
        }
        ledger.compare(items::everything(&*store).await, "while it is full");
    }
    disk.set_faults(Faults::default());
    for _ in 0..20 {
        let request = ledger.request(&mut random);
        store.append(request.batch).await.unwrap();
        ledger.acknowledge(request.items);
    }
    let flush = Arc::clone(&store);
    blocking(move || flush.flush_blocking()).await.unwrap();
    ledger.compare(items::everything(&*store).await, "with room again");
    store.close().await.unwrap();
    drop(store);
    let store = open();
    ledger.compare(items::everything(&*store).await, "opened again");
    items::find_traces(&*store, &ledger, "opened again").await;
    store.close().await.unwrap();
}
