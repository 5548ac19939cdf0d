//! Series of data points by attribute set.

use super::exemplars::Reservoir;
use super::exponential::Exponential;
use super::sets::SetIndex;
use crate::metrics::CARDINALITY_LIMIT;
use carafe_telemetry::otlp::Exemplar;
use carafe_wire::record::Number;

/// The series of a stream, by the way its measurements add up.
#[derive(Debug)]
pub(super) enum Points {
    /// A sum, or the last value of one that is observed.
    Sum(Series<Total>),
    /// The last value.
    Gauge(Series<Total>),
    /// Counts by buckets with given boundaries.
    Explicit { bounds: Vec<f64>, series: Series<Explicit> },
    /// Counts by buckets that fit themselves to the values.
    Exponential(Series<Exponentials>),
}

/// A sum or a last value.
#[derive(Debug)]
pub(super) struct Total {
    pub(super) value: Number,
    /// At the last report; for observed sums.
    pub(super) reported: Number,
    pub(super) exemplars: Reservoir,
}

impl Default for Total {
    fn default() -> Self {
        let zero = Number::Int(0);
        Self { value: zero, reported: zero, exemplars: Reservoir::default() }
    }
}

/// Sum and extremes of a distribution.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Range {
    fn default() -> Self {
        Self { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Range {
    pub(super) fn record(&mut self, value: f64) {
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// Counts by buckets with given boundaries.
#[derive(Debug, Default)]
pub(super) struct Explicit {
    pub(super) counts: Vec<u64>,
    /// The last of each bucket.
    pub(super) exemplars: Vec<Option<Exemplar>>,
    pub(super) range: Range,
}

impl Explicit {
    pub(super) fn record(&mut self, bucket: usize, buckets: usize, value: f64) {
        if self.counts.is_empty() {
            self.counts.resize(buckets, 0);
            self.exemplars.resize(buckets, None);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.range.record(value);
    }
}

/// Counts by exponential buckets.
#[derive(Debug, Default)]
pub(super) struct Exponentials {
    pub(super) buckets: Exponential,
    pub(super) range: Range,
    pub(super) exemplars: Reservoir,
}

/// Points by attribute set, in the order of their first measurements; at most
/// [`CARDINALITY_LIMIT`], of which the last is for all further sets.
#[derive(Debug)]
pub(super) struct Series<P> {
    points: Vec<(SetIndex, P)>,
    /// Place in `points` plus one, by set; 0: none yet.
    place_of: Vec<u32>,
}

impl<P> Default for Series<P> {
    fn default() -> Self {
        Self { points: Vec::new(), place_of: Vec::new() }
    }
}

impl<P: Default> Series<P> {
    /// The point of a set.
    #[inline]
    pub(super) fn entry(&mut self, set: SetIndex) -> &mut P {
        let place = match self.place_of.get(set.as_usize()) {
            Some(place @ 1..) => *place as usize - 1,
            _ => self.make(set),
        };
        &mut self.points[place].1
    }

    #[cold]
    fn make(&mut self, set: SetIndex) -> usize {
        let has_room = self.points.len() < CARDINALITY_LIMIT - 1;
        let kept = if has_room { set } else { SetIndex::OVERFLOW };
        let known = self.points.iter().position(|(of, _)| *of == kept);
        let place = known.unwrap_or_else(|| {
            self.points.push((kept, P::default()));
            self.points.len() - 1
        });
        for set in [set, kept] {
            super::put(&mut self.place_of, set.as_usize() as u32, place as u32 + 1);
        }
        place
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SetIndex, &mut P)> {
        self.points.iter_mut().map(|(set, point)| (*set, point))
    }

    pub(super) fn clear(&mut self) {
        self.points.clear();
        self.place_of.fill(0);
    }

    /// Marks the sets of these points. Others may soon have another meaning: their places are
    /// forgotten.
    pub(super) fn mark_sets(&mut self, in_use: &mut [bool]) {
        self.place_of.fill(0);
        for (place, (set, _)) in self.points.iter().enumerate() {
            super::put(&mut self.place_of, set.as_usize() as u32, place as u32 + 1);
            if let Some(mark) = in_use.get_mut(set.as_usize()) {
                *mark = true;
            }
        }
    }
}
