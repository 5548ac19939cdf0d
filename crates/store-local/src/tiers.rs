//! Sorted chunks that grow by merging, so that few of them hold much, and readers keep what
//! they saw while a writer goes on.

use std::sync::Arc;

/// Sorted items, never changed once they are made.
pub trait Chunk {
    /// How many items it has.
    fn items(&self) -> usize;

    /// The items of both, in order. Where two are equal, what is said of `older` and `newer`
    /// is up to the chunk.
    fn merged(older: &Self, newer: &Self) -> Self;
}

/// Chunks, oldest first. Each has more than twice as many items as the next, so that there
/// are at most log2 of all items; each item was merged about as often.
#[derive(Debug)]
pub struct Tiers<C> {
    chunks: Vec<Arc<C>>,
}

impl<C> Default for Tiers<C> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<C: Chunk> Tiers<C> {
    /// Adds a chunk that is newer than the others.
    pub fn push(&mut self, chunk: C) {
        let mut chunk = chunk;
        while let Some(last) = self.chunks.pop_if(|last| last.items() <= 2 * chunk.items()) {
            chunk = C::merged(&last, &chunk);
        }
        self.chunks.push(Arc::new(chunk));
    }

    /// What is there now, oldest first.
    pub fn chunks(&self) -> &[Arc<C>] {
        &self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Numbers(Vec<u32>);

    impl Chunk for Numbers {
        fn items(&self) -> usize {
            self.0.len()
        }

        fn merged(older: &Self, newer: &Self) -> Self {
            let mut all = [&older.0[..], &newer.0[..]].concat();
            all.sort_unstable();
            Self(all)
        }
    }

    proptest! {
        #[test]
        fn keeps_everything_in_few_chunks(pushed in prop::collection::vec(1_usize..9, 0..200)) {
            let mut tiers = Tiers::default();
            let mut next = 0;
            for &n in &pushed {
                tiers.push(Numbers((next..next + n as u32).collect()));
                next += n as u32;
            }
            let mut all: Vec<u32> = tiers.chunks().iter().flat_map(|c| c.0.clone()).collect();
            prop_assert!(tiers.chunks().iter().all(|chunk| chunk.0.is_sorted()));
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
            let limit = next.checked_ilog2().map_or(0, |log| log as usize + 1);
            prop_assert!(tiers.chunks().len() <= limit);
        }
    }
}
