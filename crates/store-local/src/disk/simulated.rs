//! A disk whose power can fail, that can be full, and whose syncs can fail.
//!
//! What the program sees is in real files below a directory of the test's, so that readers
//! which know nothing of the simulation work too. What would survive is kept beside it: for
//! each file the synced bytes and the changes since, for each directory the synced names and
//! the changes since. [`SimulatedDisk::power_loss`] writes a directory as it could be found
//! after the power came back: of what was not synced, anything may be there or not.

mod model;

use super::{Disk, DiskFile, RealDisk};
use crate::disk::random::Random;
use model::Model;
use parking_lot::Mutex;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `write` on files.
    pub writes: u64,
    /// Successful syncs of files.
    pub syncs: u64,
}

/// What shall go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// All files together may not become larger than this.
    pub capacity_bytes: Option<u64>,
    /// So many of the next syncs of files fail, and forget what they should have kept.
    pub failing_syncs: u32,
    /// So many of the next truncations fail.
    pub failing_truncations: u32,
    /// After so many changes of files and names the power is off, and all that is tried then
    /// fails. What was acknowledged by then has to survive.
    pub power_off_after: Option<u64>,
    /// So many of the next writes fail with an input/output error, halfway.
    pub failing_writes: u32,
}

struct State {
    model: Model,
    faults: Faults,
    counts: Counts,
    random: Random,
}

/// See the module. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

impl SimulatedDisk {
    /// The disk of all that is below `root`, which is safe as it is. `seed` decides what a
    /// failed sync loses.
    pub fn new(root: &Path, seed: u64) -> io::Result<Self> {
        let model = Model::adopt(root)?;
        let (faults, counts) = (Faults::default(), Counts::default());
        let state = State { model, faults, counts, random: Random::new(seed) };
        Ok(Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Bytes of all files that the program sees.
    pub fn bytes(&self) -> u64 {
        self.state.lock().model.visible_bytes()
    }

    /// Whether the power is off: after so many changes as [`Faults::power_off_after`] says.
    pub fn is_off(&self) -> bool {
        self.state.lock().faults.power_off_after == Some(0)
    }

    /// Writes what could be found if the power failed now, or when it did, to the empty
    /// directory `target`; the same seed gives the same.
    pub fn power_loss(&self, seed: u64, target: &Path) -> io::Result<()> {
        let state = self.state.lock();
        state.model.after_loss(&mut Random::new(seed), &self.root, target)
    }
}

impl State {
    /// One step towards the loss of power.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.faults.power_off_after {
            None => Ok(()),
            Some(0) => Err(broken()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        RealDisk.create_dir(path)?;
        state.model.add_dir(path);
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.step()?;
        let file = RealDisk.create(path)?;
        let id = state.model.add_file(path);
        Ok(Box::new(SimulatedFile { id, file, state: Arc::clone(&self.state) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        RealDisk.rename(from, to)?;
        state.model.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        RealDisk.remove(path)?;
        state.model.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        state.model.sync_dir(path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let _state = self.state.lock();
        RealDisk.list(path)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }
}

struct SimulatedFile {
    id: u64,
    file: Box<dyn DiskFile>,
    state: Arc<Mutex<State>>,
}

fn take_one(count: &mut u32) -> bool {
    let is_some = *count > 0;
    *count = count.saturating_sub(1);
    is_some
}

/// `EIO`, as a broken disk gives it.
fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.step()?;
        state.counts.writes += 1;
        let used = state.model.visible_bytes();
        let room = state.faults.capacity_bytes.map_or(u64::MAX, |all| all.saturating_sub(used));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let fails = take_one(&mut state.faults.failing_writes);
        let taken =
            &bytes[..bytes.len().min(room).min(if fails { bytes.len() / 2 } else { bytes.len() })];
        if taken.is_empty() && !bytes.is_empty() {
            return Err(if fails { broken() } else { io::ErrorKind::StorageFull.into() });
        }
        self.file.write_all(taken)?;
        state.model.write(self.id, taken);
        // A real write that takes a part gives its error with the next call; here with this.
        if fails { Err(broken()) } else { Ok(taken.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        let State { model, faults, counts, random } = &mut *state;
        if take_one(&mut faults.failing_syncs) {
            model.forget(self.id, random);
            return Err(broken());
        }
        counts.syncs += 1;
        model.sync(self.id);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step()?;
        if take_one(&mut state.faults.failing_truncations) {
            return Err(broken());
        }
        self.file.truncate(length)?;
        state.model.truncate(self.id, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(disk: &SimulatedDisk, seed: u64, name: &str) -> Option<Vec<u8>> {
        let target = tempfile::tempdir().unwrap();
        disk.power_loss(seed, target.path()).unwrap();
        std::fs::read(target.path().join(name)).ok()
    }

    #[test]
    fn what_is_synced_is_there_and_the_rest_is_anything() {
        let root = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(root.path(), 1).unwrap();
        let dir = root.path().join("log");
        disk.create_dir(&dir).unwrap();
        let mut file = disk.create(&dir.join("a")).unwrap();
        file.write_all(&[1; 1_000]).unwrap();
        file.sync_data().unwrap();
        let seeds = || 0..64;
        let there =
            |name: &'static str| seeds().filter_map(|seed| found(&disk, seed, name)).count();
        assert!((1..64).contains(&there("log/a")), "neither name is synced");
        disk.sync_dir(&dir).unwrap();
        assert!((1..64).contains(&there("log/a")), "the directory's own name is not synced");
        disk.sync_dir(root.path()).unwrap();
        assert_eq!(there("log/a"), 64);

        file.write_all(&[2; 2_000]).unwrap();
        let images: Vec<_> = seeds().filter_map(|seed| found(&disk, seed, "log/a")).collect();
        assert!(images.iter().all(|image| image[..1_000] == [1; 1_000] && image.len() <= 3_000));
        let has = |what: &dyn Fn(&[u8]) -> bool| images.iter().any(|image| what(image));
        assert!(has(&|image| image.len() == 1_000), "dropped");
        assert!(has(&|image| image[1_000..] == [2; 2_000]), "kept");
        assert!(has(&|image| (1_001..3_000).contains(&image.len())), "torn");
        assert!(has(&|image| image.len() > 1_000 && image[1_000..].contains(&0)), "reordered");
        assert_eq!(found(&disk, 7, "log/a"), found(&disk, 7, "log/a"), "a seed is a seed");
    }

    #[test]
    fn all_new_directories_are_safe_at_once() {
        let root = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(root.path(), 1).unwrap();
        let dir = root.path().join("files/traces");
        disk.create_dir_all(&dir).unwrap();
        disk.create(&dir.join("a")).unwrap();
        disk.sync_dir(&dir).unwrap();
        assert!((0..32).all(|seed| found(&disk, seed, "files/traces/a").is_some()));
    }

    #[test]
    fn a_failed_sync_may_lose_what_a_later_one_seems_to_keep() {
        let lost = (0..32).filter(|seed| {
            let root = tempfile::tempdir().unwrap();
            let disk = SimulatedDisk::new(root.path(), *seed).unwrap();
            let mut file = disk.create(&root.path().join("a")).unwrap();
            disk.sync_dir(root.path()).unwrap();
            file.write_all(b"one").unwrap();
            disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
            assert!(file.sync_data().is_err());
            file.write_all(b"two").unwrap();
            file.sync_data().unwrap();
            let image = found(&disk, 1, "a").unwrap();
            assert_eq!(&image[3..], b"two");
            image[..3] != *b"one"
        });
        assert!((1..32).contains(&lost.count()));
    }

    #[test]
    fn a_full_disk_takes_a_part_and_has_room_again_later() {
        let root = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(root.path(), 1).unwrap();
        disk.set_faults(Faults { capacity_bytes: Some(10), ..Faults::default() });
        let path = root.path().join("a");
        let mut file = disk.create(&path).unwrap();
        let error = file.write_all(&[1; 11]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((disk.bytes(), disk.read(&path, 99).unwrap().len()), (10, 10));
        file.truncate(4).unwrap();
        file.write_all(&[2; 6]).unwrap();
        assert_eq!(disk.read(&path, 99).unwrap(), [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
        disk.remove(&path).unwrap();
        assert_eq!(disk.bytes(), 0);
    }
}
