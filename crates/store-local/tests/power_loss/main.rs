//! The whole store on a disk whose power fails between any two of its changes: what was
//! acknowledged is there once, whatever the disk had not been told to keep is there or not,
//! and nothing is called damaged.
//!
//! The catalog is a real SQLite database beside the simulated disk; what it has committed is
//! taken as durable, as `synchronous=FULL` promises.
//!
//! `CARAFE_POWER_SEEDS=1000..2000` runs other seeds than the usual ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod full;
mod items;

use carafe_store::Store;
use carafe_store_local::LocalStore;
use carafe_store_local::catalog::Catalog;
use carafe_store_local::config::LocalConfig;
use carafe_store_local::disk::random::Random;
use carafe_store_local::disk::simulated::{Faults, SimulatedDisk};
use items::Ledger;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const SEEDS: Range<u64> = 0..12;
/// Times that the power fails on the same data.
const LOSSES: u64 = 3;
/// Changes of the disk until the power fails, at most.
const STEPS: usize = 700;
/// Requests of one run, should the power stay on.
const BURSTS: usize = 200;

/// With a data directory in it, since the lock makes that on the real disk, and syncs it
/// there. In memory where that is possible: otherwise the real disk makes it slow.
pub(crate) fn directory() -> TempDir {
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    root
}

/// A store that does in seconds what others do in hours.
fn config(root: &Path, random: &mut Random) -> LocalConfig {
    let mut config = LocalConfig::new(root.join("data"));
    config.log.segment_bytes = 2_000 + random.below(40_000) as u64;
    config.log.group_delay = Duration::ZERO;
    config.flush_bytes = 5_000 + random.below(100_000) as u64;
    config.flush_age = Duration::from_secs(3_600);
    config.retention_age = None;
    config.retention_bytes = None;
    // Called by hand, so that it happens often.
    config.maintenance = false;
    config
}

fn faults(random: &mut Random) -> Faults {
    let one_in = |random: &mut Random, limit| u32::from(random.below(limit) == 0);
    Faults {
        capacity_bytes: None,
        power_off_after: Some(random.below(STEPS) as u64),
        failing_syncs: one_in(random, 4),
        failing_truncations: one_in(random, 4),
        failing_writes: one_in(random, 4),
    }
}

/// Stores, flushes and merges until the power is off.
async fn run(root: &Path, disk: &SimulatedDisk, random: &mut Random, ledger: &mut Ledger) {
    let config = config(root, random);
    disk.set_faults(faults(random));
    let Ok(store) = LocalStore::open_on(Arc::new(disk.clone()), config) else { return };
    for _ in 0..BURSTS {
        if disk.is_off() {
            break;
        }
        let requests: Vec<_> = (0..1 + random.below(6)).map(|_| ledger.request(random)).collect();
        let appends = requests.into_iter().map(|request| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { (store.append(request.batch).await.is_ok(), request.items) })
        });
        for append in appends.collect::<Vec<_>>() {
            let (is_acknowledged, items) = append.await.unwrap();
            if is_acknowledged {
                ledger.acknowledge(items);
            }
        }
        // A broken disk makes these fail; what was acknowledged is safe all the same.
        let store = Arc::clone(&store);
        match random.below(12) {
            0 => drop(blocking(move || store.flush_blocking()).await),
            1 => drop(blocking(move || store.merge_all_blocking()).await),
            _ => {}
        }
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// The directory as it is found when the power is back.
fn after_loss(root: &Path, disk: &SimulatedDisk, seed: u64) -> TempDir {
    let after = directory();
    disk.power_loss(seed, after.path()).unwrap();
    let data = root.join("data");
    let target = after.path().join("data");
    for part in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        // As it was when the disk was last adopted.
        drop(fs::remove_file(target.join(part)));
        if data.join(part).exists() {
            fs::copy(data.join(part), target.join(part)).unwrap();
        }
    }
    after
}

/// Opens what is left and compares it with what was acknowledged.
async fn check(root: &Path, disk: &SimulatedDisk, ledger: &mut Ledger, what: &str) {
    let config = LocalConfig {
        retention_age: None,
        retention_bytes: None,
        maintenance: false,
        ..LocalConfig::new(root.join("data"))
    };
    let store = LocalStore::open_on(Arc::new(disk.clone()), config).unwrap();
    let found = items::everything(&*store).await;
    ledger.compare(found, what);
    items::find_traces(&*store, ledger, what).await;
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.set_aside_files, 0, "{what}: a loss of power damages nothing");
    store.close().await.unwrap();
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("CARAFE_POWER_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("a range of seeds, as 0..100");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = 0;
    let mut files = Files::default();
    for seed in seeds() {
        let mut random = Random::new(seed);
        let mut ledger = Ledger::default();
        let mut root = directory();
        let mut disk = SimulatedDisk::new(root.path(), seed).unwrap();
        for loss in 0..LOSSES {
            let what = format!("seed {seed}, loss {loss}");
            runtime.block_on(run(root.path(), &disk, &mut random, &mut ledger));
            let after = after_loss(root.path(), &disk, seed * LOSSES + loss);
            root = after;
            disk = SimulatedDisk::new(root.path(), seed).unwrap();
            runtime.block_on(check(root.path(), &disk, &mut ledger, &what));
        }
        acknowledged += ledger.acknowledged();
        files.add(&root.path().join("data"));
    }
    println!("{acknowledged} items acknowledged, at the end {files:?}");
    assert!(acknowledged > 0 && files.flushed > 0 && files.merged > 0);
    assert_eq!(files.unknown, 0, "nobody would ever remove these");
}

/// What the stores consist of.
#[derive(Debug, Default)]
struct Files {
    flushed: usize,
    merged: usize,
    /// On disk, and not in the catalog.
    unknown: usize,
}

impl Files {
    fn add(&mut self, data: &Path) {
        let (_catalog, contents) = Catalog::open(data).unwrap();
        let merged = contents.files.iter().filter(|entry| entry.file.generation > 0).count();
        self.merged += merged;
        self.flushed += contents.files.len() - merged;
        // Each has its data and its side file.
        self.unknown += count_files(&data.join("files")) - 2 * contents.files.len();
    }
}

fn count_files(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let count = |entry: fs::DirEntry| match entry.path() {
        path if path.is_dir() => count_files(&path),
        _ => 1,
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}
