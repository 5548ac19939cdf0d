//! One bloom filter for each group of rows of a file, laid out so that one read asks all.
//!
//! Groups that follow each other and have about as many keys form a run, whose filters have
//! the same number of blocks. A key is in the block of the same number in each of them, and
//! the blocks of that number lie side by side.

use crate::index::bloom::{self, BLOCK_BYTES, Block, BloomBuilder};
use crate::index::group_set::GroupSet;
use crate::index::hash::HashSet64;
use crate::index::side_file::{Section, SideFile};
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use std::sync::Arc;

/// Most different keys of one group that are counted; from then on the group's filter is as
/// large as for so many, and says "perhaps" more often.
pub const MAX_COUNTED_KEYS: usize = 1 << 21;

/// Most groups of one table.
pub const MAX_GROUPS: usize = 1 << 20;

const WORD_BYTES: usize = 4;

/// Makes a table group by group.
#[derive(Debug)]
pub struct BloomTableBuilder {
    bits_per_key: u32,
    max_keys: usize,
    keys: HashSet64,
    /// In place of `keys`, once there are too many.
    crowded: Option<BloomBuilder>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    blocks: u32,
    groups: Vec<BloomBuilder>,
}

impl BloomTableBuilder {
    /// A table without groups, for filters of so many bits for each different key.
    pub fn new(bits_per_key: u32) -> Self {
        Self::with_max_keys(bits_per_key, MAX_COUNTED_KEYS)
    }

    fn with_max_keys(bits_per_key: u32, max_keys: usize) -> Self {
        let keys = HashSet64::default();
        Self { bits_per_key, max_keys, keys, crowded: None, runs: Vec::new() }
    }

    /// Adds a key, by its hash, to the group that is being made; twice is once.
    pub fn insert(&mut self, hash: u64) {
        if let Some(bloom) = &mut self.crowded {
            bloom.insert(hash);
        } else if self.keys.insert(hash) && self.keys.len() == self.max_keys {
            let blocks = bloom::blocks_for(self.max_keys, self.bits_per_key);
            self.crowded = Some(self.take_keys(blocks));
        }
    }

    /// The group has all its keys, the next one begins.
    pub fn end_group(&mut self) {
        let needed = match &self.crowded {
            Some(bloom) => bloom.blocks().len() as u32,
            None => bloom::blocks_for(self.keys.len(), self.bits_per_key),
        };
        // Up to an eighth too small for its keys and down to half empty.
        let fits = |run: &Run| match self.crowded {
            Some(_) => run.blocks == needed,
            None => run.blocks / 2 <= needed && needed <= run.blocks + run.blocks / 8,
        };
        let run = self.runs.pop_if(|run| fits(run));
        let mut run = run.unwrap_or_else(|| Run { blocks: needed, groups: Vec::new() });
        let group = self.crowded.take().unwrap_or_else(|| self.take_keys(run.blocks));
        run.groups.push(group);
        self.runs.push(run);
    }

    fn take_keys(&mut self, blocks: u32) -> BloomBuilder {
        let mut bloom = BloomBuilder::with_blocks(blocks);
        self.keys.drain().for_each(|hash| bloom.insert(hash));
        bloom
    }

    /// The section's bytes. A group that was not ended is left out.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend((self.runs.len() as u32).to_le_bytes());
        for run in &self.runs {
            out.extend((run.groups.len() as u32).to_le_bytes());
            out.extend(run.blocks.to_le_bytes());
        }
        for run in &self.runs {
            for block in 0..run.blocks as usize {
                let blocks = run.groups.iter().map(|group| &group.blocks()[block]);
                blocks.for_each(|block| write_block(block, &mut out));
            }
        }
        out
    }
}

fn write_block(block: &Block, out: &mut Vec<u8>) {
    block.iter().for_each(|word| out.extend(word.to_le_bytes()));
}

/// A table in a side file.
#[derive(Debug)]
pub struct BloomTable {
    side: Arc<SideFile>,
    section: Section,
    runs: Vec<StoredRun>,
    groups: usize,
}

#[derive(Debug)]
struct StoredRun {
    first_group: usize,
    groups: usize,
    blocks: u32,
    offset: u64,
}

impl BloomTable {
    /// The table in a section; none where the file does not have it. Only its head is read.
    pub fn open(side: Arc<SideFile>, section: Section) -> Result<Option<Self>, StoreError> {
        let Some(len) = side.section_len(section) else { return Ok(None) };
        let count = side.read(section, 0, WORD_BYTES)?.get_u32_le() as usize;
        if count > MAX_GROUPS {
            return Err(side.corrupt(section, "has too many runs"));
        }
        let head = side.read(section, WORD_BYTES as u64, count * 2 * WORD_BYTES)?;
        match read_runs(head, len) {
            Some((runs, groups)) => Ok(Some(Self { side, section, runs, groups })),
            None => Err(side.corrupt(section, "is no bloom table")),
        }
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The groups that have the key, perhaps: a set over `groups` groups. An error where the
    /// table has another number of them.
    pub fn row_groups_with(&self, hash: u64, groups: usize) -> Result<GroupSet, StoreError> {
        if groups != self.groups {
            let what = format!("is about {} groups of rows, not {groups}", self.groups);
            return Err(self.side.corrupt(self.section, &what));
        }
        let mut set = GroupSet::all(groups);
        self.narrow(&mut set, hash)?;
        Ok(set)
    }

    /// Takes out of `set` the groups that certainly do not have the key. One read for each
    /// run that is in question.
    pub fn narrow(&self, set: &mut GroupSet, hash: u64) -> Result<(), StoreError> {
        for run in &self.runs {
            let groups = run.first_group..run.first_group + run.groups;
            if !groups.clone().any(|group| set.contains(group)) {
                continue;
            }
            let row = (run.groups * BLOCK_BYTES) as u64;
            let offset = run.offset + u64::from(bloom::block_of(hash, run.blocks)) * row;
            let bytes = self.side.read(self.section, offset, row as usize)?;
            for (group, block) in groups.zip(bytes.as_chunks().0) {
                if !bloom::block_has(block, hash) {
                    set.remove(group);
                }
            }
        }
        Ok(())
    }
}

/// The runs and the number of all groups; none where they do not fill `len` bytes.
fn read_runs(mut head: Bytes, len: u64) -> Option<(Vec<StoredRun>, usize)> {
    let mut runs = Vec::new();
    let mut first_group = 0;
    let mut offset = (WORD_BYTES + head.len()) as u64;
    while head.has_remaining() {
        let (groups, blocks) = (head.get_u32_le() as usize, head.get_u32_le());
        if groups == 0 || groups > MAX_GROUPS || blocks == 0 || blocks > bloom::MAX_BLOCKS {
            return None;
        }
        runs.push(StoredRun { first_group, groups, blocks, offset });
        first_group += groups;
        offset += (groups * BLOCK_BYTES) as u64 * u64::from(blocks);
    }
    (offset == len && first_group <= MAX_GROUPS).then_some((runs, first_group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFile;
    use crate::index::bloom::Bloom;
    use crate::index::side_file::SideFileWriter;
    use carafe_store::StoreErrorKind;
    use proptest::prelude::*;

    fn side(section: Vec<u8>) -> Arc<SideFile> {
        let mut writer = SideFileWriter::new();
        writer.add(Section::TagBlooms, section);
        let mut bytes = Vec::new();
        writer.finish(&mut bytes).unwrap();
        Arc::new(SideFile::open(Arc::new(MemoryFile::new("a.idx", bytes))).unwrap())
    }

    fn table(groups: &[Vec<u64>], bits_per_key: u32) -> BloomTable {
        let mut builder = BloomTableBuilder::new(bits_per_key);
        for keys in groups {
            keys.iter().for_each(|&key| builder.insert(key));
            builder.end_group();
        }
        BloomTable::open(side(builder.finish()), Section::TagBlooms).unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn each_group_answers_as_a_filter_of_its_own(
            groups in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..300), 0..9),
            others in prop::collection::vec(any::<u64>(), 0..50),
            bits_per_key in 1..20_u32,
        ) {
            let table = table(&groups, bits_per_key);
            prop_assert_eq!(table.groups(), groups.len());
            let alone: Vec<_> = groups.iter().enumerate().map(|(group, keys)| {
                let run = table.runs.iter().rfind(|run| run.first_group <= group).unwrap();
                let mut alone = BloomBuilder::with_blocks(run.blocks);
                keys.iter().for_each(|&key| alone.insert(key));
                alone.finish()
            }).collect();
            for &key in groups.iter().flatten().chain(&others) {
                let found = table.row_groups_with(key, groups.len()).unwrap();
                for (group, alone) in alone.iter().enumerate() {
                    let expected = Bloom::new(alone).unwrap().contains(key);
                    prop_assert_eq!(found.contains(group), expected);
                    prop_assert!(expected || !groups[group].contains(&key));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes: Vec<u8>, hash: u64) {
            if let Ok(Some(table)) = BloomTable::open(side(bytes), Section::TagBlooms) {
                let groups = table.groups();
                prop_assert!(table.row_groups_with(hash, groups).is_ok());
            }
        }
    }

    #[test]
    fn groups_of_about_one_size_are_asked_at_once() {
        let sizes = [10_000, 9_000, 11_000, 8_000, 700, 500_u64];
        let groups = sizes.map(|size| (0..size).map(|n| n << 33 | n).collect());
        let table = table(&groups, 12);
        let runs: Vec<_> = table.runs.iter().map(|run| run.groups).collect();
        assert_eq!(runs, [4, 2]);
    }

    #[test]
    fn too_many_keys_make_it_less_sure_not_wrong() {
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut builder = BloomTableBuilder::with_max_keys(12, 1_000);
        let many = 3_000;
        for _ in 0..2 {
            (0..many).for_each(|n| builder.insert(spread(n)));
            builder.end_group();
        }
        builder.insert(1);
        builder.end_group();
        let table = BloomTable::open(side(builder.finish()), Section::TagBlooms).unwrap().unwrap();
        assert_eq!(table.runs.len(), 2);
        for n in 0..many {
            let found = table.row_groups_with(spread(n), 3).unwrap();
            assert!(found.contains(0) && found.contains(1), "{n}");
        }
    }

    #[test]
    fn a_table_about_other_groups_is_no_answer() {
        let table = table(&[vec![1], vec![2]], 12);
        let error = table.row_groups_with(1, 3).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt);
        assert!(error.to_string().contains("a.idx"), "{error}");
        let absent = BloomTable::open(Arc::clone(&table.side), Section::Tokens).unwrap();
        assert!(absent.is_none());
    }
}
