//! A bounded map that forgets what is oldest, half of it at a time.

use hashbrown::HashMap;
use std::hash::Hash;

/// Holds between `capacity` / 2 and `capacity` of the newest entries: when the younger half is
/// full, the older one is dropped. Costs no order of use and no time stamps.
#[derive(Debug)]
pub struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Holds at most `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    /// The value of `key`, where it is still there.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Adds or replaces an entry. How many entries were forgotten for it.
    pub fn insert(&mut self, key: K, value: V) -> usize {
        let forgotten = self.make_room();
        self.young.insert(key, value);
        forgotten
    }

    /// The value of `key`, made where it is not there.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.make_room();
        let value = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| value.unwrap_or_default())
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }

    fn make_room(&mut self) -> usize {
        if self.young.len() < self.half {
            return 0;
        }
        let forgotten = self.old.len();
        self.old = std::mem::take(&mut self.young);
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_half() {
        let mut map = Generations::new(4);
        let forgotten: usize = (0..5).map(|key| map.insert(key, key)).sum();
        assert_eq!(forgotten, 2);
        assert_eq!((0..5).filter(|key| map.get(key).is_some()).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(map.remove(&3), Some(3));
        assert_eq!(map.get(&3), None);
        *map.entry(2) += 10;
        assert_eq!(map.get(&2), Some(&12));
    }
}
