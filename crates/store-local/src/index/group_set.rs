//! A set of row groups (or pages) of one file.

/// Which of the first `len` groups are in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSet {
    words: Vec<u64>,
    len: usize,
}

impl GroupSet {
    /// None of `len` groups.
    pub fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// All of `len` groups.
    pub fn all(len: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; len.div_ceil(64)], len };
        if let Some(last) = set.words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        set
    }

    /// How many groups there are, in the set or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no group is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many groups are in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether a group is in the set; false beyond the last.
    pub fn contains(&self, group: usize) -> bool {
        self.words.get(group / 64).is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    /// Adds a group; one beyond the last is left out.
    pub fn insert(&mut self, group: usize) {
        if group < self.len {
            self.words[group / 64] |= 1 << (group % 64);
        }
    }

    /// Takes a group out.
    pub fn remove(&mut self, group: usize) {
        if let Some(word) = self.words.get_mut(group / 64) {
            *word &= !(1 << (group % 64));
        }
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// Adds what is in `other`, a set over the same groups.
    pub fn unite(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "sets over different groups");
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// The groups of the set in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.len).filter(|group| self.contains(*group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(len in 0..200_usize, a: Vec<u8>, b: Vec<u8>) {
            let set = |items: &[u8]| {
                let mut set = GroupSet::none(len);
                items.iter().for_each(|&item| set.insert(item.into()));
                set
            };
            let model = |items: &[u8]| -> BTreeSet<usize> {
                items.iter().map(|&item| item.into()).filter(|item| *item < len).collect()
            };
            let (mut both, mut either) = (set(&a), set(&a));
            both.intersect(&set(&b));
            either.unite(&set(&b));
            let (left, right) = (model(&a), model(&b));
            prop_assert!(both.iter().eq(left.intersection(&right).copied()));
            prop_assert!(either.iter().eq(left.union(&right).copied()));
            prop_assert_eq!(either.count(), left.union(&right).count());
            prop_assert_eq!(both.is_empty(), left.is_disjoint(&right));

            let mut all = GroupSet::all(len);
            prop_assert_eq!(all.count(), len);
            all.intersect(&set(&a));
            prop_assert_eq!(&all, &set(&a));
            a.iter().for_each(|&item| all.remove(item.into()));
            prop_assert!(all.is_empty());
        }
    }
}
