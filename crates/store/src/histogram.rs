//! Durations counted in log-linear buckets, for percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets per power of two, as a power of two.
const SUB_BUCKET_BITS: u32 = 5;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;

/// How far a percentile may be from the exact value at its rank, as a fraction of it: half a
/// bucket, whose width is at most 1/32 of its lower bound.
pub const PERCENTILE_RELATIVE_ERROR: f64 = 0.5 / SUB_BUCKETS as f64;

/// Counts durations in buckets whose width is 1/32 of a power of two of nanoseconds. Values
/// below 64 ns are exact. At most 1,920 buckets, of which it holds those that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
    count: u64,
}

impl Histogram {
    /// Counts one duration. Those beyond 584 years count as that.
    pub fn add(&mut self, duration: Duration) {
        *self.buckets.entry(bucket_of(nanos(duration))).or_default() += 1;
        self.count += 1;
    }

    /// Takes back one duration that was counted; nothing happens when it was not.
    pub fn remove(&mut self, duration: Duration) {
        let bucket = bucket_of(nanos(duration));
        let Some(count) = self.buckets.get_mut(&bucket) else { return };
        *count -= 1;
        if *count == 0 {
            self.buckets.remove(&bucket);
        }
        self.count -= 1;
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration at the nearest rank of `quantile` (0 to 1), within
    /// [`PERCENTILE_RELATIVE_ERROR`]; none when there is nothing.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        // A float cast saturates, so a quantile that is out of range or no number is harmless.
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        self.buckets.iter().find_map(|(&bucket, &count)| {
            seen += count;
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
