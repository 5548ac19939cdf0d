//! Attribute sets and their numbers.

use carafe_telemetry::otlp::{self, KeyValue, KeyValueList};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// Numbers of attribute sets in one ring; definitions of higher ones cannot be used.
const ID_LIMIT: u32 = 1 << 22;

/// Different sets that are kept; further ones are counted together as overflow until others are
/// no longer in use.
const SET_LIMIT: usize = 1 << 16;

/// Place of a set in [`Sets`]. Equal sets have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SetIndex(u32);

impl SetIndex {
    /// The set without attributes.
    pub(super) const EMPTY: Self = Self(0);

    /// What is counted together because there are too many (metrics SDK specification, "Overflow
    /// attribute").
    pub(super) const OVERFLOW: Self = Self(1);

    pub(super) fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// The attribute sets of one ring.
#[derive(Debug)]
pub(super) struct Sets {
    /// `None`: free.
    sets: Vec<Option<Set>>,
    free: Vec<SetIndex>,
    by_content: HashMap<Arc<[u8]>, SetIndex>,
    /// By the engine's number; the place plus one, 0 where there is none.
    by_id: Vec<u32>,
}

#[derive(Debug)]
struct Set {
    attributes: Vec<KeyValue>,
    /// The attributes in protobuf, sorted by key.
    content: Arc<[u8]>,
}

impl Default for Sets {
    fn default() -> Self {
        let mut sets = Self {
            sets: Vec::new(),
            free: Vec::new(),
            by_content: HashMap::new(),
            by_id: vec![SetIndex::EMPTY.0 + 1],
        };
        sets.intern(Vec::new());
        sets.intern(vec![otlp::bool("otel.metric.overflow", true)]);
        sets
    }
}

impl Sets {
    /// Gives a number a meaning; false where the number is too high.
    pub(super) fn define(&mut self, id: u32, attributes: Vec<KeyValue>) -> bool {
        if id > ID_LIMIT {
            return false;
        }
        let set = self.intern(attributes);
        super::put(&mut self.by_id, id, set.0 + 1);
        true
    }

    /// The set of a number.
    #[inline]
    pub(super) fn of(&self, id: u32) -> Option<SetIndex> {
        let place = *self.by_id.get(id as usize)?;
        (place != 0).then(|| SetIndex(place - 1))
    }

    pub(super) fn attributes(&self, set: SetIndex) -> Vec<KeyValue> {
        let set = self.sets.get(set.as_usize()).and_then(Option::as_ref);
        set.map(|set| set.attributes.clone()).unwrap_or_default()
    }

    fn intern(&mut self, attributes: Vec<KeyValue>) -> SetIndex {
        let mut sorted = attributes.clone();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let content: Arc<[u8]> = KeyValueList { values: sorted }.encode_to_vec().into();
        if let Some(known) = self.by_content.get(&content) {
            return *known;
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.sets.len() >= SET_LIMIT => return SetIndex::OVERFLOW,
            None => {
                self.sets.push(None);
                SetIndex(self.sets.len() as u32 - 1)
            }
        };
        self.by_content.insert(Arc::clone(&content), index);
        self.sets[index.as_usize()] = Some(Set { attributes, content });
        index
    }

    /// Whether so many sets are kept that looking for unused ones is worth it.
    pub(super) fn wants_sweep(&self) -> bool {
        self.sets.len() - self.free.len() > SET_LIMIT / 2
    }

    /// Forgets the sets that no number stands for and that `mark` does not mark.
    pub(super) fn sweep(&mut self, mark: impl FnOnce(&mut [bool])) {
        let mut in_use = vec![false; self.sets.len()];
        for kept in [SetIndex::EMPTY, SetIndex::OVERFLOW] {
            in_use[kept.as_usize()] = true;
        }
        for place in self.by_id.iter().filter(|place| **place != 0) {
            in_use[*place as usize - 1] = true;
        }
        mark(&mut in_use);
        for (place, _) in in_use.iter().enumerate().filter(|(_, in_use)| !**in_use) {
            if let Some(set) = self.sets[place].take() {
                self.by_content.remove(&set.content);
                self.free.push(SetIndex(place as u32));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_whatever_their_order() {
        let mut sets = Sets::default();
        let (a, b) = (otlp::string("a", "1"), otlp::int("b", 2));
        assert!(sets.define(1, vec![a.clone(), b.clone()]));
        assert!(sets.define(2, vec![b, a]));
        assert!(sets.define(3, Vec::new()));
        assert_eq!(sets.of(1), sets.of(2));
        assert_eq!((sets.of(0), sets.of(3)), (Some(SetIndex::EMPTY), Some(SetIndex::EMPTY)));
        assert_eq!((sets.of(4), sets.of(u32::MAX)), (None, None));
        assert!(!sets.define(ID_LIMIT + 1, Vec::new()));
    }

    #[test]
    fn sets_that_nobody_uses_make_room() {
        let mut sets = Sets::default();
        // The engine uses one number again and again.
        for value in 0..SET_LIMIT as i64 + 5 {
            assert!(sets.define(1, vec![otlp::int("n", value)]));
        }
        assert_eq!(sets.of(1), Some(SetIndex::OVERFLOW));
        assert!(sets.wants_sweep());
        sets.sweep(|in_use| in_use[7] = true);
        assert!(!sets.wants_sweep());
        assert_eq!(sets.attributes(SetIndex(7)), [otlp::int("n", 5)]);
        assert!(sets.define(1, vec![otlp::int("n", -1)]));
        let set = sets.of(1).unwrap();
        assert_eq!(sets.attributes(set), [otlp::int("n", -1)]);
    }
}
