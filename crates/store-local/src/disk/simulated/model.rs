//! What a disk remembers: synced state, and changes that it may or may not have made.

use crate::disk::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A disk writes as much at once, or nothing of it.
const SECTOR_BYTES: usize = 512;

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Default)]
struct FileModel {
    synced: Vec<u8>,
    changes: Vec<Change>,
    visible_length: usize,
}

/// A change of the names in a directory; each is made as a whole or not at all.
enum NameChange {
    Dir(PathBuf),
    Add(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

impl NameChange {
    fn is_in(&self, dir: &Path) -> bool {
        let is_there = |path: &Path| path.parent() == Some(dir);
        match self {
            Self::Dir(path) | Self::Add(path, _) | Self::Remove(path) => is_there(path),
            Self::Rename(from, to, _) => is_there(from) || is_there(to),
        }
    }
}

/// Names that survive.
#[derive(Clone, Default)]
struct Names {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, u64>,
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Dir(path) => drop(self.dirs.insert(path.clone())),
            NameChange::Add(path, id) => drop(self.files.insert(path.clone(), *id)),
            NameChange::Remove(path) => drop(self.files.remove(path)),
            NameChange::Rename(from, to, id) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *id);
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Model {
    files: BTreeMap<u64, FileModel>,
    visible: BTreeMap<PathBuf, u64>,
    synced: Names,
    changes: Vec<NameChange>,
    next_id: u64,
}

impl Model {
    /// Everything below `root`, as synced.
    pub(super) fn adopt(root: &Path) -> io::Result<Self> {
        let mut model = Self::default();
        let mut left = vec![root.to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(&dir)? {
                let path = entry?.path();
                if path.is_dir() {
                    model.synced.dirs.insert(path.clone());
                    left.push(path);
                } else {
                    let synced = fs::read(&path)?;
                    let visible_length = synced.len();
                    let file = FileModel { synced, visible_length, ..FileModel::default() };
                    let id = model.enter(file);
                    model.visible.insert(path.clone(), id);
                    model.synced.files.insert(path, id);
                }
            }
        }
        Ok(model)
    }

    fn enter(&mut self, file: FileModel) -> u64 {
        self.next_id += 1;
        self.files.insert(self.next_id, file);
        self.next_id
    }

    pub(super) fn add_dir(&mut self, path: &Path) {
        self.changes.push(NameChange::Dir(path.to_owned()));
    }

    pub(super) fn add_file(&mut self, path: &Path) -> u64 {
        let id = self.enter(FileModel::default());
        self.visible.insert(path.to_owned(), id);
        self.changes.push(NameChange::Add(path.to_owned(), id));
        id
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let Some(id) = self.visible.remove(from) else { return };
        self.visible.insert(to.to_owned(), id);
        self.changes.push(NameChange::Rename(from.to_owned(), to.to_owned(), id));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.visible.remove(path);
        self.changes.push(NameChange::Remove(path.to_owned()));
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in self.changes.extract_if(.., |change| change.is_in(dir)) {
            self.synced.apply(&change);
        }
        self.drop_unreachable();
    }

    /// Forgets the bytes of files that neither the program nor a loss can bring back.
    fn drop_unreachable(&mut self) {
        let pending = self.changes.iter().filter_map(|change| match change {
            NameChange::Add(_, id) | NameChange::Rename(_, _, id) => Some(*id),
            NameChange::Dir(_) | NameChange::Remove(_) => None,
        });
        let named = self.visible.values().chain(self.synced.files.values()).copied();
        let reachable: BTreeSet<u64> = named.chain(pending).collect();
        self.files.retain(|id, _| reachable.contains(id));
    }

    pub(super) fn visible_bytes(&self) -> u64 {
        let files = self.visible.values().filter_map(|id| self.files.get(id));
        files.map(|file| file.visible_length as u64).sum()
    }

    pub(super) fn write(&mut self, id: u64, bytes: &[u8]) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.changes.push(Change::Write { at: file.visible_length, bytes: bytes.to_vec() });
        file.visible_length += bytes.len();
    }

    pub(super) fn truncate(&mut self, id: u64, length: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        file.changes.push(Change::Truncate(length));
        file.visible_length = length;
    }

    pub(super) fn sync(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        for change in file.changes.drain(..) {
            match change {
                Change::Write { at, bytes } => put(&mut file.synced, at, &bytes),
                Change::Truncate(length) => file.synced.truncate(length),
            }
        }
        file.synced.resize(file.visible_length, 0);
    }

    /// A failed sync: what was to be kept is kept or lost now, for good.
    pub(super) fn forget(&mut self, id: u64, random: &mut Random) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.synced = file.after_loss(random);
        file.changes.clear();
    }

    /// Writes what is below `root` to `target`, as a loss of power leaves it.
    pub(super) fn after_loss(
        &self,
        random: &mut Random,
        root: &Path,
        target: &Path,
    ) -> io::Result<()> {
        let mut names = self.synced.clone();
        let luck = random.below(4);
        for change in &self.changes {
            if luck == 0 || (luck != 1 && random.below(2) == 0) {
                names.apply(change);
            }
        }
        // In order: a directory comes after the one that holds it.
        let mut there = BTreeSet::from([root.to_owned()]);
        for dir in &names.dirs {
            if dir.parent().is_some_and(|above| there.contains(above)) {
                fs::create_dir_all(moved(dir, root, target))?;
                there.insert(dir.clone());
            }
        }
        for (path, id) in &names.files {
            let file = self.files.get(id);
            if let (Some(file), Some(dir)) = (file, path.parent())
                && there.contains(dir)
            {
                fs::write(moved(path, root, target), file.after_loss(random))?;
            }
        }
        Ok(())
    }
}

fn moved(path: &Path, root: &Path, target: &Path) -> PathBuf {
    target.join(path.strip_prefix(root).unwrap_or(path))
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    let end = at + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(new);
}

impl FileModel {
    fn after_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        match random.below(4) {
            // Nothing of it was written.
            0 => {}
            // All of it was, up to some byte.
            1 => {
                let all: usize = self.changes.iter().map(Change::cost).sum();
                let mut left = random.below(all + 1);
                for change in &self.changes {
                    change.apply_first(left, &mut bytes);
                    left = left.saturating_sub(change.cost());
                }
            }
            2 => self.changes.iter().for_each(|change| change.apply_first(usize::MAX, &mut bytes)),
            // Sectors were written in any order, and not all of them.
            _ => {
                for change in &self.changes {
                    change.apply_some(random, &mut bytes);
                }
            }
        }
        bytes
    }
}

impl Change {
    fn cost(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::Truncate(_) => 1,
        }
    }

    fn apply_first(&self, limit: usize, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } if limit > 0 => {
                put(file, *at, &bytes[..bytes.len().min(limit)]);
            }
            Self::Truncate(length) if limit > 0 => file.truncate(*length),
            Self::Write { .. } | Self::Truncate(_) => {}
        }
    }

    fn apply_some(&self, random: &mut Random, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let mut from = 0;
                while from < bytes.len() {
                    let sector_end = (at + from + 1).next_multiple_of(SECTOR_BYTES) - at;
                    let to = sector_end.min(bytes.len());
                    if random.below(2) == 0 {
                        put(file, at + from, &bytes[from..to]);
                    }
                    from = to;
                }
            }
            Self::Truncate(length) if random.below(2) == 0 => file.truncate(*length),
            Self::Truncate(_) => {}
        }
    }
}
