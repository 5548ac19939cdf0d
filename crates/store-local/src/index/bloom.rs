//! Split block bloom filters: each key is looked for in one block of 32 bytes.
//!
//! Blocks and bits are chosen as in Parquet's own filters (parquet-format, "BloomFilter.md"),
//! so that the false-positive rates published for those hold.

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 32;

/// Most blocks of one filter: 32 MiB.
pub const MAX_BLOCKS: u32 = 1 << 20;

const WORDS: usize = 8;

/// Multipliers that pick one bit of each word (parquet-format, "BloomFilter.md").
const SALT: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// A block in memory.
pub(crate) type Block = [u32; WORDS];

/// How many blocks `keys` keys need at `bits_per_key`.
pub(crate) fn blocks_for(keys: usize, bits_per_key: u32) -> u32 {
    let bits = (keys as u64).saturating_mul(u64::from(bits_per_key));
    let blocks = bits.div_ceil(BLOCK_BYTES as u64 * 8);
    u32::try_from(blocks).unwrap_or(MAX_BLOCKS).clamp(1, MAX_BLOCKS)
}

/// Which of `blocks` blocks a key is in: the upper half of its hash, scaled.
pub(crate) fn block_of(hash: u64, blocks: u32) -> u32 {
    (((hash >> 32) * u64::from(blocks)) >> 32) as u32
}

fn mask(hash: u64) -> Block {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// Whether the block of a key has it, perhaps.
pub(crate) fn block_has(block: &[u8; BLOCK_BYTES], hash: u64) -> bool {
    let (words, _) = block.as_chunks::<4>();
    words.iter().zip(mask(hash)).all(|(word, bit)| u32::from_le_bytes(*word) & bit != 0)
}

/// A filter in the making.
#[derive(Clone, Debug)]
pub struct BloomBuilder {
    blocks: Vec<Block>,
}

impl BloomBuilder {
    /// A filter for so many different keys. More make it say "perhaps" more often. Of
    /// unknown keys, 12 bits for each key let about 0.7 % through, 16 bits 0.15 %.
    pub fn new(expected_keys: usize, bits_per_key: u32) -> Self {
        Self::with_blocks(blocks_for(expected_keys, bits_per_key))
    }

    pub(crate) fn with_blocks(blocks: u32) -> Self {
        Self { blocks: vec![Block::default(); blocks as usize] }
    }

    /// Adds a key by its hash; twice is once.
    pub fn insert(&mut self, hash: u64) {
        let block = block_of(hash, self.blocks.len() as u32) as usize;
        for (word, bit) in self.blocks[block].iter_mut().zip(mask(hash)) {
            *word |= bit;
        }
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The filter's bytes: its blocks one after another, words little endian.
    pub fn finish(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// A filter as [`BloomBuilder::finish`] wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Bloom<'a> {
    blocks: &'a [[u8; BLOCK_BYTES]],
}

impl<'a> Bloom<'a> {
    /// None where `bytes` is not a whole number of blocks, at least one and at most
    /// [`MAX_BLOCKS`].
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (blocks, rest) = bytes.as_chunks();
        let fits = (1..=MAX_BLOCKS as usize).contains(&blocks.len());
        (rest.is_empty() && fits).then_some(Self { blocks })
    }

    /// False where the key was certainly not inserted.
    pub fn contains(&self, hash: u64) -> bool {
        let block = block_of(hash, self.blocks.len() as u32) as usize;
        block_has(&self.blocks[block], hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::hash::{hash_tag, hash_token};
    use proptest::prelude::*;

    fn false_positive_rate(keys: usize, bits_per_key: u32) -> f64 {
        let mut builder = BloomBuilder::new(keys, bits_per_key);
        (0..keys).for_each(|n| builder.insert(hash_tag("key", &n.to_string())));
        let bytes = builder.finish();
        let bloom = Bloom::new(&bytes).unwrap();
        let probes = 400_000;
        let found = (0..probes).filter(|n| bloom.contains(hash_tag("other", &n.to_string())));
        found.count() as f64 / f64::from(probes)
    }

    /// The rate of a block with Poisson-distributed keys, each of which sets one of 32 bits in
    /// each of 8 words.
    fn theory(bits_per_key: u32) -> f64 {
        let mean = 256.0 / f64::from(bits_per_key);
        let mut weight = (-mean).exp();
        (0..400).fold(0.0, |rate, n| {
            let bit_set = 1.0 - (31.0_f64 / 32.0).powi(n);
            let term = weight * bit_set.powi(8);
            weight *= mean / f64::from(n + 1);
            rate + term
        })
    }

    #[test]
    fn false_positives_are_as_rare_as_theory_says() {
        for (bits, at_most) in [(12, 0.0075), (16, 0.002)] {
            let (measured, expected) = (false_positive_rate(60_000, bits), theory(bits));
            assert!(measured < expected * 1.25, "{bits} bits: {measured} against {expected}");
            assert!(measured > expected * 0.75, "{bits} bits: {measured} against {expected}");
            assert!(measured < at_most, "{bits} bits: {measured}");
        }
    }

    proptest! {
        #[test]
        fn what_was_inserted_is_found(
            keys in prop::collection::vec(any::<u64>(), 0..500),
            tokens in prop::collection::vec("[a-z]{1,8}", 0..50),
            expected in 0..1_000_usize,
            bits in 1..20_u32,
        ) {
            let mut builder = BloomBuilder::new(expected, bits);
            let hashes: Vec<_> =
                keys.into_iter().chain(tokens.iter().map(|token| hash_token(token))).collect();
            hashes.iter().for_each(|&hash| builder.insert(hash));
            let bytes = builder.finish();
            let bloom = Bloom::new(&bytes).unwrap();
            prop_assert!(hashes.iter().all(|&hash| bloom.contains(hash)));
        }

        #[test]
        fn any_bytes_are_a_filter_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            match Bloom::new(&bytes) {
                Some(bloom) => { bloom.contains(u64::MAX); }
                None => prop_assert!(bytes.is_empty() || bytes.len() % BLOCK_BYTES != 0),
            }
        }
    }

    #[test]
    fn the_number_of_blocks_is_bounded() {
        assert_eq!(blocks_for(0, 12), 1);
        assert_eq!(blocks_for(1_000, 16), 63);
        assert_eq!(blocks_for(usize::MAX, 16), MAX_BLOCKS);
        assert_eq!(block_of(u64::MAX, MAX_BLOCKS), MAX_BLOCKS - 1);
        assert_eq!(block_of(0, 1), 0);
    }
}
