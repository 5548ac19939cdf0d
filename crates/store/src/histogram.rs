//! Durations counted in log-linear buckets, for percentiles.

use bytes::Buf;
use prost::encoding::{decode_varint, encode_varint};
use std::time::Duration;

/// Buckets per power of two, as a power of two.
const SUB_BUCKET_BITS: u32 = 5;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;

/// All buckets there can be: one for each value below 32, 32 for each higher power of two.
const BUCKETS: u64 = (64 - SUB_BUCKET_BITS as u64 + 1) * SUB_BUCKETS;

/// A histogram is merged by searching each of its buckets where it has so many times fewer.
const MERGE_BY_SEARCH: usize = 8;

/// How far a percentile may be from the exact value at its rank, as a fraction of it: half a
/// bucket, whose width is at most 1/32 of its lower bound.
pub const PERCENTILE_RELATIVE_ERROR: f64 = 0.5 / SUB_BUCKETS as f64;

/// Counts durations in buckets whose width is 1/32 of a power of two of nanoseconds. Values
/// below 64 ns are exact. At most 1,920 buckets, of which it holds those that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket and count, in order of buckets; no count is zero.
    buckets: Vec<(u16, u64)>,
    count: u64,
}

impl Histogram {
    /// Counts one duration. Those beyond 584 years count as that.
    pub fn add(&mut self, duration: Duration) {
        self.add_nanos(nanos(duration));
    }

    /// Counts a duration of so many nanoseconds.
    pub fn add_nanos(&mut self, duration: u64) {
        let bucket = bucket_of(duration);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 += 1,
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
        self.count += 1;
    }

    /// Takes back one duration that was counted; nothing happens when it was not.
    pub fn remove(&mut self, duration: Duration) {
        let bucket = bucket_of(nanos(duration));
        let found = self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
        let Ok(at) = found else { return };
        self.buckets[at].1 -= 1;
        if self.buckets[at].1 == 0 {
            self.buckets.remove(at);
        }
        self.count -= 1;
    }

    /// Counts all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.clone_from(other);
            return;
        }
        // A few into many, as cells into their sums: most buckets are there already.
        if other.buckets.len() < self.buckets.len() / MERGE_BY_SEARCH {
            let mut at = 0;
            for &(bucket, count) in &other.buckets {
                at += self.buckets[at..].partition_point(|(own, _)| *own < bucket);
                self.add_at(at, bucket, count);
            }
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let mut more = other.buckets.iter().copied().peekable();
        for &(bucket, count) in &self.buckets {
            while let Some(before) = more.next_if(|(other, _)| *other < bucket) {
                merged.push(before);
            }
            let same = more.next_if(|(other, _)| *other == bucket);
            merged.push((bucket, count.saturating_add(same.map_or(0, |(_, count)| count))));
        }
        merged.extend(more);
        self.buckets = merged;
        self.recount();
    }

    /// Counts `count` durations in the bucket that is at `at`, or belongs there.
    fn add_at(&mut self, at: usize, bucket: u16, count: u64) {
        self.count = self.count.saturating_add(count);
        match self.buckets.get_mut(at) {
            Some((own, there)) if *own == bucket => *there = there.saturating_add(count),
            _ => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// Takes back all that `other` counted; gives what of it was not there to be taken back.
    pub fn subtract(&mut self, other: &Self) -> Self {
        let mut missing = Vec::new();
        let mut from = self.buckets.iter_mut().peekable();
        for &(bucket, count) in &other.buckets {
            while from.next_if(|(own, _)| *own < bucket).is_some() {}
            let taken = match from.peek_mut() {
                Some((own, there)) if *own == bucket => {
                    let taken = count.min(*there);
                    *there -= taken;
                    taken
                }
                _ => 0,
            };
            if taken < count {
                missing.push((bucket, count - taken));
            }
        }
        self.buckets.retain(|(_, count)| *count > 0);
        self.recount();
        let mut missing = Self { buckets: missing, count: 0 };
        missing.recount();
        missing
    }

    fn recount(&mut self) {
        self.count = self.buckets.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n));
    }

    /// Appends the compact form, variable-length integers of protobuf: the number of buckets,
    /// then for each how far it is from the one before, times two, and its count; where the
    /// count is one, the former is one more and the latter is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_varint(self.buckets.len() as u64, out);
        let mut before = 0;
        for &(bucket, count) in &self.buckets {
            let step = u64::from(bucket - before) * 2;
            encode_varint(step + u64::from(count == 1), out);
            if count != 1 {
                encode_varint(count, out);
            }
            before = bucket;
        }
    }

    /// Reads what [`encode`](Self::encode) wrote and moves `from` behind it; none where the
    /// bytes are something else.
    pub fn decode(from: &mut impl Buf) -> Option<Self> {
        let mut histogram = Self::default();
        histogram.merge_encoded(from)?;
        Some(histogram)
    }

    /// Counts all that an encoded histogram counted and moves `from` behind it; none where
    /// the bytes are something else, of which a part may then be counted.
    pub fn merge_encoded(&mut self, from: &mut impl Buf) -> Option<()> {
        let len = decode_varint(from).ok().filter(|len| *len <= BUCKETS)?;
        let mut bucket = 0;
        let mut at = 0;
        for n in 0..len {
            let step = decode_varint(from).ok()?;
            let (step, is_one) = (step / 2, step % 2 == 1);
            let count = if is_one { 1 } else { decode_varint(from).ok().filter(|n| *n > 1)? };
            bucket = u64::checked_add(bucket, step).filter(|bucket| *bucket < BUCKETS)?;
            if step == 0 && n > 0 {
                return None;
            }
            at += self.buckets[at..].partition_point(|(own, _)| u64::from(*own) < bucket);
            self.add_at(at, bucket as u16, count);
        }
        Some(())
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// About how many bytes it takes in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.capacity() * size_of::<(u16, u64)>()
    }

    /// The duration at the nearest rank of `quantile` (0 to 1), within
    /// [`PERCENTILE_RELATIVE_ERROR`]; none when there is nothing.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        // A float cast saturates, so a quantile that is out of range or no number is harmless.
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0_u64;
        self.buckets.iter().find_map(|&(bucket, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then(|| Duration::from_nanos(middle_of(bucket)))
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The bucket is the position of the highest bit and the five bits after it.
fn bucket_of(value: u64) -> u16 {
    if value < SUB_BUCKETS {
        return value as u16;
    }
    let exponent = value.ilog2() - SUB_BUCKET_BITS;
    let sub = (value >> exponent) - SUB_BUCKETS;
    ((u64::from(exponent) + 1) * SUB_BUCKETS + sub) as u16
}

fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let exponent = bucket / SUB_BUCKETS - 1;
    let lower = (SUB_BUCKETS + bucket % SUB_BUCKETS) << exponent;
    lower + (1_u64 << exponent) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_keep_the_documented_error(
            mut values in prop::collection::vec(0..u64::MAX, 1..200),
            quantile in 0.0..1.0_f64,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&v| histogram.add(Duration::from_nanos(v)));
            values.sort_unstable();
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let found = histogram.quantile(quantile).unwrap().as_nanos() as f64;
            prop_assert!((found - exact).abs() <= exact * PERCENTILE_RELATIVE_ERROR * 1.000_001);
        }

        #[test]
        fn removing_undoes_adding(values in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&v| histogram.add(Duration::from_nanos(v)));
            values.iter().for_each(|&v| histogram.remove(Duration::from_nanos(v)));
            prop_assert_eq!(histogram, Histogram::default());
        }
    }

    proptest! {
        #[test]
        fn merging_is_adding_all_and_subtracting_undoes_it(a: Vec<u64>, b: Vec<u64>) {
            let counted = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|&v| histogram.add_nanos(v));
                histogram
            };
            let (left, right) = (counted(&a), counted(&b));
            let mut both = left.clone();
            both.merge(&right);
            prop_assert_eq!(&both, &counted(&[a, b].concat()));
            prop_assert_eq!(both.subtract(&right), Histogram::default());
            prop_assert_eq!(&both, &left);
            // What was not there comes back, and the sum of all stays.
            let missing = both.subtract(&right);
            prop_assert_eq!(both.count() + right.count(), left.count() + missing.count());
        }

        #[test]
        fn the_compact_form_round_trips(a: Vec<u64>, b: Vec<u64>, behind: Vec<u8>) {
            let [mut histogram, mut sum] = [&a, &b].map(|values| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|&v| histogram.add_nanos(v % 1_000_000));
                histogram
            });
            histogram.add(Duration::MAX);
            let mut bytes = Vec::new();
            histogram.encode(&mut bytes);
            bytes.extend(&behind);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(&Histogram::decode(&mut rest).unwrap(), &histogram);
            prop_assert_eq!(rest, &behind);
            let mut expected = sum.clone();
            expected.merge(&histogram);
            sum.merge_encoded(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(sum, expected);
        }

        #[test]
        fn any_bytes_are_a_histogram_or_none(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            if let Some(histogram) = Histogram::decode(&mut rest) {
                let counts = histogram.buckets.iter().map(|(_, count)| *count);
                prop_assert_eq!(counts.fold(0, u64::saturating_add), histogram.count());
                let again = &mut Vec::new();
                histogram.encode(again);
                prop_assert_eq!(&Histogram::decode(&mut again.as_slice()).unwrap(), &histogram);
            }
        }
    }

    #[test]
    fn all_buckets_are_within_the_limit() {
        assert_eq!(u64::from(bucket_of(u64::MAX)), BUCKETS - 1);
    }

    #[test]
    fn odd_quantiles_are_harmless() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(Duration::MAX);
        for quantile in [f64::NAN, f64::INFINITY, -1.0, 0.0, 2.0] {
            assert!(histogram.quantile(quantile).is_some(), "{quantile}");
        }
    }
}
