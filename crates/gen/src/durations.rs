//! Durations counted finely enough that a checker's own error does not matter.

use std::collections::BTreeMap;

/// Buckets per power of two, as a power of two: a value is known to 1/2048 of itself.
const BITS: u32 = 10;

/// Counts values in log-linear buckets: at most 56 × 1,024 of them, of which it holds those
/// that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durations {
    buckets: BTreeMap<u32, u64>,
    count: u64,
}

/// How far [`Durations::quantile`] may be from the exact value, as a fraction of it.
pub(crate) const OWN_ERROR: f64 = 0.5 / (1 << BITS) as f64;

impl Durations {
    pub(crate) fn add(&mut self, nanos: u64) {
        *self.buckets.entry(bucket(nanos)).or_default() += 1;
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
    }

    /// The value at the nearest rank of `quantile`, in nanoseconds; none of nothing.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle(*bucket))
        })
    }
}

fn bucket(value: u64) -> u32 {
    let exponent = value.max(1).ilog2().saturating_sub(BITS);
    (exponent << BITS) + (value >> exponent) as u32
}

fn middle(bucket: u32) -> f64 {
    // The first two groups of buckets hold one value each.
    let exponent = (bucket >> BITS).saturating_sub(1);
    let lower = u64::from(bucket - (exponent << BITS)) << exponent;
    lower as f64 + ((1_u64 << exponent) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_near(mut values in prop::collection::vec(any::<u64>(), 1..200), q in 0.0..=1.0_f64) {
            let (mut all, mut half) = (Durations::default(), Durations::default());
            for (at, value) in values.iter().enumerate() {
                if at % 2 == 0 { all.add(*value) } else { half.add(*value) }
            }
            all.merge(&half);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            prop_assert!((all.quantile(q).unwrap() - exact).abs() <= exact * OWN_ERROR + 0.5);
            prop_assert_eq!(all.count, values.len() as u64);
        }
    }
}
