//! One copy of what comes again and again with every request.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// The most values that an [`Interner`] remembers. At the limit it forgets those that nobody
/// else holds and, when all are held, all: equal values are then kept twice, nothing is lost.
const MAX_INTERNED: usize = 4_096;

/// Replaces equal values by one shared value.
pub(super) struct Interner<T> {
    by_hash: HashMap<u64, Arc<T>>,
    hasher: RandomState,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { by_hash: HashMap::new(), hasher: RandomState::new() }
    }
}

impl<T: PartialEq> Interner<T> {
    /// The shared value equal to `value`. `bytes` must be equal for equal values.
    pub(super) fn intern(&mut self, value: &Arc<T>, bytes: &[u8]) -> Arc<T> {
        let hash = self.hasher.hash_one(bytes);
        if let Some(known) = self.by_hash.get(&hash) {
            // Two values with one hash are both kept, only not shared.
            return Arc::clone(if **known == **value { known } else { value });
        }
        if self.by_hash.len() >= MAX_INTERNED {
            self.by_hash.retain(|_, known| Arc::strong_count(known) > 1);
            if self.by_hash.len() >= MAX_INTERNED {
                self.by_hash.clear();
            }
        }
        self.by_hash.insert(hash, Arc::clone(value));
        Arc::clone(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_shared_up_to_the_limit() {
        let mut interner = Interner::default();
        let first = interner.intern(&Arc::new(1), b"1");
        assert!(Arc::ptr_eq(&first, &interner.intern(&Arc::new(1), b"1")));
        assert!(!Arc::ptr_eq(&first, &interner.intern(&Arc::new(2), b"2")));
        for n in 0..2 * MAX_INTERNED {
            interner.intern(&Arc::new(n as i32), &n.to_le_bytes());
            assert!(interner.by_hash.len() <= MAX_INTERNED);
        }
        assert!(Arc::ptr_eq(&first, &interner.intern(&Arc::new(1), b"1")), "held, so remembered");
    }
}
