//! Base-2 exponential histograms (metrics SDK specification, "Base2 Exponential Bucket Histogram
//! Aggregation"; data model specification, "ExponentialHistogram").
//!
//! Bucket `i` at a scale holds what is above `base^i` up to `base^(i+1)`, with
//! `base = 2^(2^-scale)`. When values lie so far apart that their buckets would be too many, the
//! scale is lowered: each step joins neighbours in pairs.

use carafe_telemetry::otlp::{ExponentialHistogramDataPoint, exponential_histogram_data_point};
use std::collections::VecDeque;

/// Buckets of each sign at most.
const BUCKET_LIMIT: i64 = 160;

/// The finest scale, and the coarsest: there all of a sign fit into two buckets.
const SCALE_MAX: i32 = 20;
const SCALE_MIN: i32 = -10;

/// Counts by exponential buckets.
#[derive(Debug, Clone)]
pub(super) struct Exponential {
    scale: i32,
    zero_count: u64,
    positive: Buckets,
    negative: Buckets,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Buckets {
    /// Of the first count.
    first_index: i64,
    counts: VecDeque<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        let (positive, negative) = Default::default();
        Self { scale: SCALE_MAX, zero_count: 0, positive, negative }
    }
}

impl Exponential {
    /// Counts a finite value.
    pub(super) fn record(&mut self, value: f64) {
        if value == 0.0 {
            self.zero_count += 1;
            return;
        }
        let magnitude = value.abs();
        let mut index = index(magnitude, self.scale);
        let buckets = if value > 0.0 { &self.positive } else { &self.negative };
        let mut excess = buckets.span_with(index);
        let mut steps = 0;
        while excess.1 - excess.0 >= BUCKET_LIMIT && self.scale - steps > SCALE_MIN {
            excess = (excess.0 >> 1, excess.1 >> 1);
            steps += 1;
        }
        if steps > 0 {
            self.coarsen(steps);
            index >>= steps;
        }
        let buckets = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        buckets.add(index, 1);
    }

    /// Lowers the scale by `steps`.
    fn coarsen(&mut self, steps: i32) {
        self.scale -= steps;
        self.positive.coarsen(steps);
        self.negative.coarsen(steps);
    }

    /// Everything but the fields that all points have.
    pub(super) fn fill(&self, point: &mut ExponentialHistogramDataPoint) {
        point.scale = self.scale;
        point.zero_count = self.zero_count;
        point.positive = Some(self.positive.to_otlp());
        point.negative = Some(self.negative.to_otlp());
        point.count = self.count();
    }

    fn count(&self) -> u64 {
        self.zero_count + self.positive.counts.iter().chain(&self.negative.counts).sum::<u64>()
    }
}

/// The bucket of a positive value. A power of two is the upper bound of its bucket.
fn index(value: f64, scale: i32) -> i64 {
    const MANTISSA_BITS: u32 = 52;
    let bits = value.to_bits();
    let (exponent, mantissa) = match ((bits >> MANTISSA_BITS) & 0x7ff) as i64 {
        // A subnormal number: the highest set bit decides.
        0 => {
            let highest = 63 - i64::from(bits.leading_zeros());
            (highest - 1074, bits & !(1 << highest))
        }
        biased => (biased - 1023, bits & ((1 << MANTISSA_BITS) - 1)),
    };
    let is_power_of_two = mantissa == 0;
    if scale <= 0 {
        let exponent = if is_power_of_two { exponent - 1 } else { exponent };
        return exponent >> -scale;
    }
    if is_power_of_two {
        return (exponent << scale) - 1;
    }
    // The logarithm of a number just above or below a power of two can round to that of the
    // power itself.
    let index = (value.log2() * f64::from(1_u32 << scale)).ceil() as i64 - 1;
    index.clamp(exponent << scale, ((exponent + 1) << scale) - 1)
}

impl Buckets {
    /// The first and last index when `index` is counted too.
    fn span_with(&self, index: i64) -> (i64, i64) {
        if self.counts.is_empty() {
            return (index, index);
        }
        let last = self.first_index + self.counts.len() as i64 - 1;
        (self.first_index.min(index), last.max(index))
    }

    fn add(&mut self, index: i64, count: u64) {
        if self.counts.is_empty() {
            self.first_index = index;
        }
        while index < self.first_index {
            self.counts.push_front(0);
            self.first_index -= 1;
        }
        let place = (index - self.first_index) as usize;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += count;
    }

    fn coarsen(&mut self, steps: i32) {
        let fine = std::mem::take(self);
        for (place, count) in fine.counts.iter().enumerate() {
            self.add((fine.first_index + place as i64) >> steps, *count);
        }
    }

    fn to_otlp(&self) -> exponential_histogram_data_point::Buckets {
        exponential_histogram_data_point::Buckets {
            offset: self.first_index as i32,
            bucket_counts: self.counts.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upper_bound(index: i64, scale: i32) -> f64 {
        2f64.powf((index + 1) as f64 * 2f64.powi(-scale))
    }

    #[test]
    fn powers_of_two_are_upper_bounds_at_every_scale() {
        for scale in SCALE_MIN..=SCALE_MAX {
            for exponent in [-1074, -1073, -1023, -1022, -3, 0, 1, 10, 1023_i32] {
                // 2f64.powi does not give the smallest ones.
                let exact = match u64::try_from(exponent + 1023) {
                    Ok(biased @ 1..) => f64::from_bits(biased << 52),
                    _ => f64::from_bits(1 << (exponent + 1074)),
                };
                let above = f64::from_bits(exact.to_bits() + 1);
                let at = index(exact, scale);
                assert!(index(above, scale) >= at, "{scale} {exponent}");
                if scale >= 0 {
                    assert_eq!(at + 1, i64::from(exponent) << scale, "{scale} {exponent}");
                }
                // Below the normal numbers the next one is far above.
                if scale >= 0 && exponent >= -1022 {
                    assert_eq!(index(above, scale), at + 1, "{scale} {exponent}");
                }
            }
        }
    }

    #[test]
    fn one_value_keeps_the_finest_scale_and_extremes_the_coarsest_needed() {
        let mut histogram = Exponential::default();
        histogram.record(3.7);
        assert_eq!(histogram.scale, SCALE_MAX);
        histogram.record(f64::MAX);
        histogram.record(5e-324);
        // 2^-1074 to 2^1024 in 160 buckets: 16 powers of two to each.
        assert_eq!(histogram.scale, -4);
        assert_eq!(histogram.count(), 3);
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            8 => -1e6f64..1e6,
            2 => (-300i32..300, 1f64..2.0).prop_map(|(e, m)| m * 2f64.powi(e)),
            1 => Just(0.0),
        ];
        prop::collection::vec(value, 1..400)
    }

    proptest! {
        #[test]
        fn every_value_is_counted_in_the_bucket_that_holds_it(values in values()) {
            let mut histogram = Exponential::default();
            values.iter().for_each(|value| histogram.record(*value));
            prop_assert_eq!(histogram.count(), values.len() as u64);
            prop_assert!(histogram.positive.counts.len() as i64 <= BUCKET_LIMIT);
            prop_assert!(histogram.negative.counts.len() as i64 <= BUCKET_LIMIT);
            // Counting at the final scale from the start gives the same buckets.
            let mut again = Exponential { scale: histogram.scale, ..Exponential::default() };
            values.iter().for_each(|value| again.record(*value));
            prop_assert_eq!(&histogram.positive, &again.positive);
            prop_assert_eq!(&histogram.negative, &again.negative);
        }

        #[test]
        fn a_value_lies_within_its_bucket(exponent in -200i32..200, mantissa in 1f64..2.0, scale in -4i32..=12) {
            let value = mantissa * 2f64.powi(exponent);
            let at = index(value, scale);
            let (lower, upper) = (upper_bound(at - 1, scale), upper_bound(at, scale));
            // Bounds are computed with an error of some units in the last place.
            prop_assert!(value > lower * (1.0 - 1e-12) && value <= upper * (1.0 + 1e-12));
        }

        #[test]
        fn joining_pairs_of_buckets_is_counting_at_a_coarser_scale(values in values(), steps in 1i32..6) {
            let mut fine = Exponential { scale: 6, ..Exponential::default() };
            values.iter().for_each(|value| fine.record(*value));
            let mut coarse = Exponential { scale: fine.scale - steps, ..Exponential::default() };
            prop_assume!(coarse.scale >= SCALE_MIN);
            values.iter().for_each(|value| coarse.record(*value));
            fine.coarsen(steps);
            prop_assert_eq!(fine.positive, coarse.positive);
            prop_assert_eq!(fine.negative, coarse.negative);
        }
    }
}
