//! Numbers that are a pure function of a seed and an index.

/// What a stream of numbers is for; streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    TraceId = 1,
    Trace,
    Instance,
    Block,
    Resource,
    Log,
    Metric,
    Check,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits that spreads every bit over all others (the finaliser of
/// splitmix64).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The number of `index` for a purpose.
pub(crate) fn at(seed: u64, purpose: Purpose, index: u64) -> u64 {
    mix(mix(seed ^ (purpose as u64).wrapping_mul(GOLDEN)).wrapping_add(index.wrapping_mul(GOLDEN)))
}

/// A stream of numbers: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        Self(at(seed, purpose, index))
    }

    /// A stream that goes out from a number which is already random.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0 to `n` - 1; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        scale(self.next(), n)
    }

    /// True with this chance, in millionths.
    pub(crate) fn chance(&mut self, millionths: u32) -> bool {
        self.below(MILLION) < u64::from(millionths)
    }
}

/// What chances are counted in.
pub(crate) const MILLION: u64 = 1_000_000;

/// Maps 64 random bits to 0 to `n` - 1.
pub(crate) fn scale(bits: u64, n: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

/// Values of the log-normal distribution, as multiples of its median in 1/65536, at evenly
/// spaced quantiles: sampling costs a table look-up.
#[derive(Clone, Debug)]
pub(crate) struct LogNormal(Vec<u32>);

const QUANTILES: usize = 4096;

impl LogNormal {
    /// `sigma`: the standard deviation of the logarithm.
    pub(crate) fn new(sigma: f64) -> Self {
        let multiple = |at: usize| {
            let quantile = (at as f64 + 0.5) / QUANTILES as f64;
            ((sigma * normal_quantile(quantile)).exp() * 65_536.0) as u32
        };
        Self((0..QUANTILES).map(multiple).collect())
    }

    /// A value with this median, from 64 random bits: 12 choose the quantile, 16 spread the
    /// values that share it.
    pub(crate) fn sample(&self, median: u64, bits: u64) -> u64 {
        let multiple = u64::from(self.0[(bits >> 52) as usize]);
        let spread = 65_536 + ((bits & 0xffff) >> 5);
        ((u128::from(median) * u128::from(multiple) * u128::from(spread)) >> 32) as u64
    }
}

/// The quantile function of the standard normal distribution by bisection on its integral,
/// which is summed up by the trapezoidal rule once per call: only for tables.
fn normal_quantile(quantile: f64) -> f64 {
    const STEPS: usize = 2_000;
    const REACH: f64 = 6.0;
    let target = (quantile - 0.5).abs();
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let width = REACH / STEPS as f64;
    let mut sum = 0.0;
    for step in 0..STEPS {
        let x = step as f64 * width;
        let slice = (density(x) + density(x + width)) / 2.0 * width;
        if sum + slice >= target {
            return (x + width * (target - sum) / slice).copysign(quantile - 0.5);
        }
        sum += slice;
    }
    REACH.copysign(quantile - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_right() {
        for (quantile, value) in [(0.5, 0.0), (0.841_344_7, 1.0), (0.022_750_1, -2.0)] {
            assert!((normal_quantile(quantile) - value).abs() < 1e-3, "{quantile}");
        }
    }

    #[test]
    fn half_of_all_samples_are_below_the_median() {
        let latency = LogNormal::new(0.8);
        let mut random = Random::new(1, Purpose::Trace, 1);
        let below = (0..10_000).filter(|_| latency.sample(1_000_000, random.next()) < 1_000_000);
        assert!((4_700..5_300).contains(&below.count()));
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let first = |seed, purpose, index| Random::new(seed, purpose, index).next();
        let mut seen = vec![
            first(1, Purpose::Trace, 1),
            first(2, Purpose::Trace, 1),
            first(1, Purpose::TraceId, 1),
            first(1, Purpose::Trace, 2),
            first(1, Purpose::Log, 0),
        ];
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }
}
