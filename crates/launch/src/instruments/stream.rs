//! One instrument's measurements on their way to data points.

use super::exemplars::{Reservoir, exemplar};
use super::points::{Explicit, Points, Series, Total};
use super::sets::{SetIndex, Sets};
use crate::metrics::{BOUNDS_MS, ExemplarFilter, MetricOptions};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, KeyValue, Metric, NumberDataPoint, Sum, metric, number_data_point,
};
use carafe_wire::record::{InstrumentKind, Measurement, Number};

/// Bucket boundaries that an instrument may advise; with more the default ones hold.
const BOUNDS_LIMIT: usize = 1_000;

/// Exemplars of one data point of an exponential histogram.
const EXPONENTIAL_EXEMPLARS: usize = 20;

/// What makes an instrument the same as another (metrics SDK specification, "Duplicate instrument
/// registration"): all of this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    scope: u32,
    kind: usize,
    /// Names differ by more than case.
    name: String,
    unit: String,
    description: String,
}

/// An instrument as its engine defines it.
#[derive(Debug)]
pub(super) struct Definition {
    /// Number of the scope in the ring.
    scope: u32,
    kind: InstrumentKind,
    name: String,
    unit: String,
    description: String,
    bounds: Option<Vec<f64>>,
}

impl Definition {
    pub(super) fn new(scope: u32, kind: InstrumentKind, metric: Metric) -> Self {
        let bounds = match metric.data {
            Some(metric::Data::Histogram(histogram)) => {
                histogram.data_points.into_iter().next().map(|point| point.explicit_bounds)
            }
            _ => None,
        };
        let Metric { name, unit, description, .. } = metric;
        Self { scope, kind, name, unit, description, bounds: bounds.filter(|b| are_usable(b)) }
    }

    /// `scope` is the same for equal scopes.
    pub(super) fn identity(&self, scope: u32) -> Identity {
        let kind = InstrumentKind::ALL.iter().position(|kind| *kind == self.kind);
        Identity {
            scope,
            kind: kind.unwrap_or_default(),
            name: self.name.to_lowercase(),
            unit: self.unit.clone(),
            description: self.description.clone(),
        }
    }
}

/// Rising, finite and not too many.
fn are_usable(bounds: &[f64]) -> bool {
    bounds.len() <= BOUNDS_LIMIT
        && bounds.iter().all(|bound| bound.is_finite())
        && bounds.is_sorted_by(|a, b| a < b)
}

/// The data points of one instrument.
#[derive(Debug)]
pub(super) struct Stream {
    definition: Definition,
    temporality: AggregationTemporality,
    exemplars: ExemplarFilter,
    started: UnixNanos,
    points: Points,
}

impl Stream {
    pub(super) fn new(
        mut definition: Definition,
        options: &MetricOptions,
        started: UnixNanos,
    ) -> Self {
        let points = match definition.kind {
            InstrumentKind::Histogram if options.is_exponential => {
                Points::Exponential(Series::default())
            }
            InstrumentKind::Histogram => Points::Explicit {
                bounds: definition.bounds.take().unwrap_or_else(|| BOUNDS_MS.to_vec()),
                series: Series::default(),
            },
            InstrumentKind::Gauge | InstrumentKind::ObservableGauge => {
                Points::Gauge(Series::default())
            }
            _ => Points::Sum(Series::default()),
        };
        let temporality = options.temporality.of(definition.kind);
        Self { definition, temporality, exemplars: options.exemplars, started, points }
    }

    /// Number of its scope in the ring.
    pub(super) fn scope(&self) -> u32 {
        self.definition.scope
    }

    fn is_observable(&self) -> bool {
        use InstrumentKind::{ObservableCounter, ObservableGauge, ObservableUpDownCounter};
        let kind = self.definition.kind;
        matches!(kind, ObservableCounter | ObservableUpDownCounter | ObservableGauge)
    }

    #[inline]
    pub(super) fn measure(&mut self, set: SetIndex, measurement: &Measurement) {
        let is_exemplar = match self.exemplars {
            ExemplarFilter::AlwaysOff => false,
            ExemplarFilter::AlwaysOn => true,
            ExemplarFilter::TraceBased => measurement.span.is_some_and(|span| span.is_sampled),
        };
        let value = measurement.value;
        let as_double = match value {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        };
        // A counter cannot fall, and what is no number cannot be added.
        let falls = self.definition.kind == InstrumentKind::Counter && as_double < 0.0;
        if as_double.is_nan() || falls {
            return;
        }
        let is_observable = self.is_observable();
        match &mut self.points {
            Points::Sum(series) => {
                let total = series.entry(set);
                total.value = if is_observable { value } else { add(total.value, value) };
                total.offer(is_exemplar, measurement);
            }
            Points::Gauge(series) => {
                let last = series.entry(set);
                last.value = value;
                last.offer(is_exemplar, measurement);
            }
            Points::Explicit { bounds, series } => {
                // A bucket's upper bound belongs to it.
                let bucket = bounds.partition_point(|bound| *bound < as_double);
                let point = series.entry(set);
                point.record(bucket, bounds.len() + 1, as_double);
                if is_exemplar && let Some(kept) = point.exemplars.get_mut(bucket) {
                    *kept = Some(exemplar(measurement));
                }
            }
            Points::Exponential(series) => {
                if as_double.is_finite() {
                    let point = series.entry(set);
                    point.buckets.record(as_double);
                    point.range.record(as_double);
                    if is_exemplar {
                        point.exemplars.offer(measurement, EXPONENTIAL_EXEMPLARS);
                    }
                }
            }
        }
    }

    /// Marks the sets that have a series.
    pub(super) fn mark_sets(&mut self, in_use: &mut [bool]) {
        match &mut self.points {
            Points::Sum(series) => series.mark_sets(in_use),
            Points::Gauge(series) => series.mark_sets(in_use),
            Points::Explicit { series, .. } => series.mark_sets(in_use),
            Points::Exponential(series) => series.mark_sets(in_use),
        }
    }

    /// What was measured; `None` where nothing was.
    pub(super) fn collect(
        &mut self,
        sets: &Sets,
        reported: UnixNanos,
        now: UnixNanos,
    ) -> Option<Metric> {
        let is_delta = self.temporality == AggregationTemporality::Delta;
        let is_observable = self.is_observable();
        let start = if is_delta { reported.max(self.started) } else { self.started };
        let aggregation_temporality = self.temporality.into();
        let number =
            |attributes: Vec<KeyValue>, start: u64, value: Number, kept: &mut Reservoir| {
                NumberDataPoint {
                    attributes,
                    start_time_unix_nano: start,
                    time_unix_nano: now.0,
                    exemplars: kept.take(),
                    value: Some(match value {
                        Number::Int(value) => number_data_point::Value::AsInt(value),
                        Number::Double(value) => number_data_point::Value::AsDouble(value),
                    }),
                    ..Default::default()
                }
            };
        let (data, count) = match &mut self.points {
            Points::Sum(series) => {
                let data_points: Vec<_> = series
                    .iter_mut()
                    .map(|(set, total)| {
                        let value = if is_observable && is_delta {
                            let before = std::mem::replace(&mut total.reported, total.value);
                            subtract(total.value, before)
                        } else {
                            total.value
                        };
                        number(sets.attributes(set), start.0, value, &mut total.exemplars)
                    })
                    .collect();
                if is_delta && !is_observable {
                    series.clear();
                }
                let count = data_points.len();
                let is_monotonic = matches!(
                    self.definition.kind,
                    InstrumentKind::Counter | InstrumentKind::ObservableCounter
                );
                (
                    metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }),
                    count,
                )
            }
            Points::Gauge(series) => {
                let data_points: Vec<_> = series
                    .iter_mut()
                    .map(|(set, last)| {
                        number(sets.attributes(set), 0, last.value, &mut last.exemplars)
                    })
                    .collect();
                let count = data_points.len();
                (metric::Data::Gauge(Gauge { data_points }), count)
            }
            Points::Explicit { bounds, series } => {
                let data_points: Vec<_> = series
                    .iter_mut()
                    .map(|(set, point)| {
                        let attributes = sets.attributes(set);
                        explicit_point(point, attributes, bounds, start, now)
                    })
                    .collect();
                if is_delta {
                    series.clear();
                }
                let count = data_points.len();
                let data = Histogram { data_points, aggregation_temporality };
                (metric::Data::Histogram(data), count)
            }
            Points::Exponential(series) => {
                let data_points: Vec<_> = series
                    .iter_mut()
                    .map(|(set, point)| {
                        let mut otlp = ExponentialHistogramDataPoint {
                            attributes: sets.attributes(set),
                            start_time_unix_nano: start.0,
                            time_unix_nano: now.0,
                            sum: Some(point.range.sum),
                            min: Some(point.range.min),
                            max: Some(point.range.max),
                            exemplars: point.exemplars.take(),
                            ..Default::default()
                        };
                        point.buckets.fill(&mut otlp);
                        otlp
                    })
                    .collect();
                if is_delta {
                    series.clear();
                }
                let count = data_points.len();
                let data = ExponentialHistogram { data_points, aggregation_temporality };
                (metric::Data::ExponentialHistogram(data), count)
            }
        };
        let Definition { name, unit, description, .. } = &self.definition;
        (count > 0).then(|| Metric {
            name: name.clone(),
            description: description.clone(),
            unit: unit.clone(),
            data: Some(data),
            ..Default::default()
        })
    }
}

impl Total {
    /// One exemplar is kept of each series, as the specification has it by default.
    #[inline]
    fn offer(&mut self, is_exemplar: bool, measurement: &Measurement) {
        if is_exemplar {
            self.exemplars.offer(measurement, 1);
        }
    }
}

fn explicit_point(
    point: &mut Explicit,
    attributes: Vec<KeyValue>,
    bounds: &[f64],
    start: UnixNanos,
    now: UnixNanos,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: start.0,
        time_unix_nano: now.0,
        count: point.counts.iter().sum(),
        sum: Some(point.range.sum),
        min: Some(point.range.min),
        max: Some(point.range.max),
        bucket_counts: point.counts.clone(),
        explicit_bounds: bounds.to_vec(),
        exemplars: point.exemplars.iter_mut().filter_map(Option::take).collect(),
        ..Default::default()
    }
}

/// Whole numbers stay whole as long as they fit.
fn add(a: Number, b: Number) -> Number {
    combine(a, b, i64::checked_add, |a, b| a + b)
}

fn subtract(a: Number, b: Number) -> Number {
    combine(a, b, i64::checked_sub, |a, b| a - b)
}

fn combine(
    a: Number,
    b: Number,
    whole: fn(i64, i64) -> Option<i64>,
    double: fn(f64, f64) -> f64,
) -> Number {
    let as_double = |number| match number {
        Number::Int(value) => value as f64,
        Number::Double(value) => value,
    };
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(result) = whole(a, b)
    {
        return Number::Int(result);
    }
    Number::Double(double(as_double(a), as_double(b)))
}
