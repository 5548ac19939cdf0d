use super::*;
use crate::metrics::{ExemplarFilter, Temporality};
use carafe_telemetry::otlp::{
    self, Histogram, HistogramDataPoint, NumberDataPoint, exemplar, find, metric,
    number_data_point::Value,
};
use carafe_wire::record::{InstrumentKind, Number, SpanReference};

const SAMPLED: SpanReference =
    SpanReference { trace_id: [1; 16], span_id: [2; 8], is_sampled: true };

struct Bench(Instruments);

impl Bench {
    fn new(options: MetricOptions) -> Self {
        let mut instruments = Instruments::new(options, Arc::default(), UnixNanos(1));
        let scope = InstrumentationScope { name: "app".into(), ..Default::default() };
        let scope = ScopeSpans { scope: Some(scope), ..Default::default() };
        assert!(instruments.define_scope(1, &scope.encode_to_vec()));
        Self(instruments)
    }

    fn with(temporality: Temporality) -> Self {
        Self::new(MetricOptions { temporality, ..Default::default() })
    }

    fn define(&mut self, id: u32, kind: InstrumentKind, name: &str, unit: &str) {
        let metric = Metric { name: name.into(), unit: unit.into(), ..Default::default() };
        let otlp = metric.encode_to_vec();
        let instrument = Instrument { id, scope: 1, kind, otlp: &otlp };
        assert!(self.0.define_instrument(&instrument, UnixNanos(1)));
    }

    fn define_attributes(&mut self, id: u32, value: i64) {
        let list = KeyValueList { values: vec![otlp::int("n", value)] };
        assert!(self.0.define_attributes(id, &list.encode_to_vec()));
    }

    fn measure(&mut self, instrument: u32, attributes: u32, value: Number) -> bool {
        self.measure_in(instrument, attributes, value, None)
    }

    fn measure_in(
        &mut self,
        instrument: u32,
        attributes: u32,
        value: Number,
        span: Option<SpanReference>,
    ) -> bool {
        self.0.measure(&Measurement { instrument, attributes, time_unix_ns: 7, value, span })
    }

    fn collect(&mut self, now: u64) -> Vec<Metric> {
        let mut scopes = self.0.collect(UnixNanos(now));
        assert!(scopes.len() <= 1);
        scopes.pop().map(|scope| scope.metrics).unwrap_or_default()
    }

    fn points(&mut self, now: u64) -> Vec<NumberDataPoint> {
        match self.collect(now).pop().and_then(|metric| metric.data) {
            Some(metric::Data::Sum(sum)) => sum.data_points,
            Some(metric::Data::Gauge(gauge)) => gauge.data_points,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn values(&mut self, now: u64) -> Vec<Value> {
        self.points(now).into_iter().filter_map(|point| point.value).collect()
    }

    fn histogram(&mut self, now: u64) -> Vec<HistogramDataPoint> {
        match self.collect(now).pop().and_then(|metric| metric.data) {
            Some(metric::Data::Histogram(Histogram { data_points, .. })) => data_points,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn whole_numbers_stay_whole_and_others_do_not() {
    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::Counter, "c", "1");
    assert!(bench.measure(1, 0, Number::Int(3)) && bench.measure(1, 0, Number::Int(4)));
    assert_eq!(bench.values(5), [Value::AsInt(7)]);
    bench.measure(1, 0, Number::Double(0.5));
    assert_eq!(bench.values(6), [Value::AsDouble(7.5)]);
    bench.measure(1, 0, Number::Int(-1));
    bench.measure(1, 0, Number::Double(f64::NAN));
    assert_eq!(bench.values(7), [Value::AsDouble(7.5)], "a counter does not fall");

    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::UpDownCounter, "u", "1");
    bench.measure(1, 0, Number::Int(i64::MAX));
    bench.measure(1, 0, Number::Int(1));
    assert_eq!(bench.values(5), [Value::AsDouble(i64::MAX as f64 + 1.0)]);
}

#[test]
fn each_kind_has_its_temporality() {
    use InstrumentKind as K;
    for (temporality, kind, values, start) in [
        (Temporality::Cumulative, K::Counter, [2, 5], 1),
        (Temporality::Delta, K::Counter, [2, 3], 10),
        (Temporality::LowMemory, K::Counter, [2, 3], 10),
        (Temporality::Delta, K::UpDownCounter, [2, 5], 1),
        (Temporality::Cumulative, K::ObservableCounter, [2, 3], 1),
        (Temporality::Delta, K::ObservableCounter, [2, 1], 10),
        (Temporality::LowMemory, K::ObservableCounter, [2, 3], 1),
        (Temporality::Delta, K::ObservableUpDownCounter, [2, 3], 1),
        (Temporality::Delta, K::Gauge, [2, 3], 0),
        (Temporality::Delta, K::ObservableGauge, [2, 3], 0),
    ] {
        let mut bench = Bench::with(temporality);
        bench.define(1, kind, "x", "1");
        bench.measure(1, 0, Number::Int(2));
        let first = bench.values(10);
        bench.measure(1, 0, Number::Int(3));
        let second = bench.points(20);
        let seen = [first[0], second[0].value.unwrap()];
        assert_eq!(seen, values.map(Value::AsInt), "{temporality:?} {kind:?}");
        assert_eq!(second[0].start_time_unix_nano, start, "{temporality:?} {kind:?}");
        assert_eq!(second[0].time_unix_nano, 20);
    }
}

#[test]
fn nothing_measured_is_not_reported() {
    let mut bench = Bench::with(Temporality::Delta);
    bench.define(1, InstrumentKind::Counter, "c", "1");
    bench.define(2, InstrumentKind::Histogram, "h", "1");
    assert!(bench.collect(5).is_empty());
    bench.measure(1, 0, Number::Int(1));
    assert_eq!(bench.collect(6).len(), 1);
    assert!(bench.collect(7).is_empty());
}

#[test]
fn histograms_take_the_advised_boundaries_if_they_make_sense() {
    let mut bench = Bench::with(Temporality::Cumulative);
    for (id, bounds, expected) in [
        (1, vec![1.0, 2.0], vec![1.0, 2.0]),
        (2, vec![2.0, 1.0], crate::metrics::BOUNDS_MS.to_vec()),
        (3, vec![1.0, f64::INFINITY], crate::metrics::BOUNDS_MS.to_vec()),
    ] {
        let point = HistogramDataPoint { explicit_bounds: bounds, ..Default::default() };
        let data = Histogram { data_points: vec![point], ..Default::default() };
        let data = Some(metric::Data::Histogram(data));
        let metric = Metric { name: format!("h{id}"), data, ..Default::default() };
        let otlp = metric.encode_to_vec();
        let instrument = Instrument { id, scope: 1, kind: InstrumentKind::Histogram, otlp: &otlp };
        assert!(bench.0.define_instrument(&instrument, UnixNanos(1)));
        for value in [Number::Int(1), Number::Double(1.5), Number::Int(1_000_000)] {
            bench.measure(id, 0, value);
        }
        let point = bench.histogram(9).remove(0);
        assert_eq!(point.explicit_bounds, expected);
        assert_eq!(point.bucket_counts.len(), expected.len() + 1);
        assert_eq!((point.count, point.sum), (3, Some(1_000_002.5)));
        assert_eq!((point.min, point.max), (Some(1.0), Some(1_000_000.0)));
    }
    let first = bench.collect(10).remove(0);
    let Some(metric::Data::Histogram(first)) = first.data else { panic!() };
    assert_eq!(first.data_points[0].bucket_counts, [1, 1, 1], "a bound belongs to its bucket");
}

#[test]
fn exponential_where_preferred() {
    let options = MetricOptions { is_exponential: true, ..Default::default() };
    let mut bench = Bench::new(options);
    bench.define(1, InstrumentKind::Histogram, "h", "ms");
    for value in [0.0, 1.0, 3.0, -4.0] {
        bench.measure(1, 0, Number::Double(value));
    }
    let Some(metric::Data::ExponentialHistogram(data)) = bench.collect(9).remove(0).data else {
        panic!("another kind");
    };
    let point = &data.data_points[0];
    assert_eq!((point.count, point.zero_count, point.sum), (4, 1, Some(0.0)));
    assert_eq!((point.min, point.max), (Some(-4.0), Some(3.0)));
    assert_eq!(point.negative.as_ref().unwrap().bucket_counts, [1]);
}

#[test]
fn exemplars_follow_the_filter() {
    for (exemplars, with_span, without) in [
        (ExemplarFilter::TraceBased, 1, 0),
        (ExemplarFilter::AlwaysOn, 1, 1),
        (ExemplarFilter::AlwaysOff, 0, 0),
    ] {
        let mut bench = Bench::new(MetricOptions { exemplars, ..Default::default() });
        bench.define(1, InstrumentKind::Counter, "c", "1");
        bench.measure_in(1, 0, Number::Int(3), Some(SAMPLED));
        let kept = bench.points(5).remove(0).exemplars;
        assert_eq!(kept.len(), with_span);
        if let Some(exemplar) = kept.first() {
            assert_eq!(
                (&exemplar.trace_id[..], &exemplar.span_id[..]),
                (&[1; 16][..], &[2; 8][..])
            );
            assert_eq!(exemplar.value, Some(exemplar::Value::AsInt(3)));
            assert_eq!(exemplar.time_unix_nano, 7);
        }
        let unsampled = SpanReference { is_sampled: false, ..SAMPLED };
        bench.measure_in(1, 0, Number::Int(3), Some(unsampled));
        assert_eq!(bench.points(6).remove(0).exemplars.len(), without);
    }
}

#[test]
fn a_histogram_keeps_an_exemplar_of_each_bucket() {
    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::Histogram, "h", "ms");
    for value in [1, 2, 3, 600] {
        bench.measure_in(1, 0, Number::Int(value), Some(SAMPLED));
    }
    let values: Vec<_> =
        bench.histogram(5).remove(0).exemplars.iter().map(|exemplar| exemplar.value).collect();
    assert_eq!(values, [3, 600].map(|value| Some(exemplar::Value::AsInt(value))));
    assert!(bench.histogram(6).remove(0).exemplars.is_empty(), "reported once");
}

#[test]
fn too_many_attribute_sets_are_counted_together() {
    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::Counter, "c", "1");
    for id in 1..=2_100 {
        bench.define_attributes(id, id.into());
        bench.measure(1, id, Number::Int(1));
        bench.measure(1, id, Number::Int(1));
    }
    let points = bench.points(5);
    assert_eq!(points.len(), crate::metrics::CARDINALITY_LIMIT);
    let overflow = points.last().unwrap();
    let value = find(&overflow.attributes, "otel.metric.overflow");
    assert_eq!(value, Some(&otlp::any_value::Value::BoolValue(true)));
    assert_eq!(overflow.value, Some(Value::AsInt(2 * (2_100 - 1_999))));
}

#[test]
fn a_number_can_get_another_meaning() {
    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::Counter, "a", "1");
    for value in [1, 2, 1] {
        bench.define_attributes(1, value);
        bench.measure(1, 1, Number::Int(10));
    }
    let points = bench.points(5);
    let values: Vec<_> = points.iter().map(|point| point.value.unwrap()).collect();
    assert_eq!(values, [Value::AsInt(20), Value::AsInt(10)]);
    bench.define(1, InstrumentKind::Gauge, "g", "1");
    bench.measure(1, 0, Number::Int(5));
    let names: Vec<_> = bench.collect(6).into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["a", "g"]);
}

#[test]
fn instruments_that_differ_are_separate_and_equal_ones_are_one() {
    let mut bench = Bench::with(Temporality::Cumulative);
    bench.define(1, InstrumentKind::Counter, "c", "1");
    bench.define(2, InstrumentKind::Counter, "C", "1");
    bench.define(3, InstrumentKind::Counter, "c", "By");
    bench.define(4, InstrumentKind::UpDownCounter, "c", "1");
    (1..=4).for_each(|id| assert!(bench.measure(id, 0, Number::Int(1))));
    let metrics = bench.collect(5);
    assert_eq!(metrics.len(), 3);
    let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!() };
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(2)));
}

#[test]
fn what_was_never_defined_cannot_be_used() {
    let mut bench = Bench::with(Temporality::Cumulative);
    assert!(!bench.measure(1, 0, Number::Int(1)));
    assert!(!bench.measure(0, 0, Number::Int(1)));
    assert!(!bench.measure(u32::MAX, 0, Number::Int(1)));
    bench.define(1, InstrumentKind::Counter, "c", "1");
    assert!(!bench.measure(1, 9, Number::Int(1)));
    assert!(!bench.0.define_scope(DEFINITION_LIMIT + 1, &[]));
    assert!(!bench.0.define_scope(1, b"\xff"));
    assert!(!bench.0.define_attributes(1, b"\xff"));
    let kind = InstrumentKind::Counter;
    for (id, scope) in [(1, 9), (0, 1), (DEFINITION_LIMIT + 1, 1)] {
        let instrument = Instrument { id, scope, kind, otlp: &[] };
        assert!(!bench.0.define_instrument(&instrument, UnixNanos(1)), "{id} {scope}");
    }
}
