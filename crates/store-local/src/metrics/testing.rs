//! Generated data points, and what a query of them should find.

use crate::metrics::series::SeriesEncoder;
use carafe_store::{
    MetricQuery, Point, PointRecord, PointValue, ResourceRecord, ScopeRecord, Series, SeriesPoints,
    TimeRange,
};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    self, AnyValue, KeyValue, any_value, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use proptest::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Points, in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) points: Vec<PointRecord>,
}

impl Model {
    pub(crate) fn within(&self, range: TimeRange) -> Vec<PointRecord> {
        self.points.iter().filter(|point| range.contains(point.point.time)).cloned().collect()
    }

    /// The answer to `query`, sorted as by [`sorted`].
    pub(crate) fn select(&self, query: &MetricQuery) -> Vec<(Series, Vec<Point>)> {
        let mut found = Vec::<SeriesPoints>::new();
        for PointRecord { series, point } in self.within(query.range) {
            if !query.matches(&series) {
                continue;
            }
            match found.iter_mut().find(|found| found.series == series) {
                Some(found) => found.points.push(point),
                None => found.push(SeriesPoints { series, points: vec![point] }),
            }
        }
        for series in &mut found {
            series.points.sort_by_key(|point| point.time);
        }
        sorted(found)
    }
}

/// Series in the order of files, to be compared.
pub(crate) fn sorted(found: Vec<SeriesPoints>) -> Vec<(Series, Vec<Point>)> {
    let mut encoder = SeriesEncoder::default();
    let mut found: Vec<_> = found
        .into_iter()
        .map(|SeriesPoints { series, points }| {
            let points = points.iter().map(|point| (**point).clone()).collect();
            (encoder.encode(&series), ((*series).clone(), points))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().map(|(_, series)| series).collect()
}

/// Fails where the two are not the same points, in whatever order.
pub(crate) fn assert_same_points(found: Vec<PointRecord>, expected: Vec<PointRecord>) {
    let texts = |points: Vec<PointRecord>| {
        let mut texts: Vec<String> = points.iter().map(|point| format!("{point:?}")).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(found), texts(expected));
}

/// A point of a gauge without attributes.
pub(crate) fn gauge(name: &str, time: u64, value: f64) -> PointRecord {
    PointRecord {
        series: Arc::new(Series {
            resource: Arc::new(ResourceRecord::new(otlp::Resource::default(), String::new())),
            scope: Arc::default(),
            metric: otlp::Metric {
                name: name.to_owned(),
                data: Some(Data::Gauge(otlp::Gauge::default())),
                ..Default::default()
            },
            attributes: Vec::new(),
        }),
        point: Arc::new(Point {
            time: UnixNanos(time),
            value: PointValue::Number(otlp::NumberDataPoint {
                time_unix_nano: time,
                value: Some(number_data_point::Value::AsDouble(value)),
                ..Default::default()
            }),
        }),
    }
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "[a-c]{0,2}".prop_map(|text| Some(any_value::Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(any_value::Value::BoolValue(flag))),
        (-2_i64..2).prop_map(|number| Some(any_value::Value::IntValue(number))),
        prop::collection::vec(any::<u8>(), 0..3)
            .prop_map(|bytes| Some(any_value::Value::BytesValue(bytes))),
    ];
    leaf.prop_map(|value| AnyValue { value })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = ("[a-b]{1}", prop::option::of(value())).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..Default::default()
    });
    prop::collection::vec(attribute, 0..3).prop_map(|mut attributes| {
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        attributes
    })
}

fn series() -> impl Strategy<Value = Series> {
    let data = prop_oneof![
        Just(Data::Gauge(otlp::Gauge::default())),
        (0..3, any::<bool>()).prop_map(|(aggregation_temporality, is_monotonic)| {
            Data::Sum(otlp::Sum { aggregation_temporality, is_monotonic, ..Default::default() })
        }),
        Just(Data::Histogram(otlp::Histogram::default())),
        Just(Data::ExponentialHistogram(otlp::ExponentialHistogram::default())),
        Just(Data::Summary(otlp::Summary::default())),
    ];
    let resource = prop_oneof![
        Just(otlp::Resource::default()),
        "[s-t]".prop_map(|service| otlp::Resource {
            attributes: vec![otlp::string("service.name", service)],
            ..Default::default()
        }),
    ];
    (resource, "[u]?", "[x-y]?", "[v]?", "[m-o]", data, attributes()).prop_map(
        |(resource, schema_url, scope, scope_schema_url, name, data, attributes)| Series {
            resource: Arc::new(ResourceRecord::new(resource, schema_url)),
            scope: Arc::new(ScopeRecord {
                scope: otlp::InstrumentationScope { name: scope, ..Default::default() },
                schema_url: scope_schema_url,
            }),
            metric: otlp::Metric { name, data: Some(data), ..Default::default() },
            attributes,
        },
    )
}

fn exemplar() -> impl Strategy<Value = otlp::Exemplar> {
    (attributes(), any::<u64>(), any::<i64>()).prop_map(|(attributes, time, value)| {
        otlp::Exemplar {
            filtered_attributes: attributes,
            time_unix_nano: time,
            value: Some(otlp::exemplar::Value::AsInt(value)),
            span_id: vec![1; 8],
            trace_id: vec![2; 16],
        }
    })
}

/// What a point has, whatever its kind.
#[derive(Clone, Debug)]
struct Parts {
    time: u64,
    has_time: bool,
    start: u64,
    flags: u32,
    integer: bool,
    number: Option<i32>,
    counts: Vec<u64>,
    exemplars: Vec<otlp::Exemplar>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let times = prop_oneof![9 => 1_u64..40, 1 => Just(u64::MAX), 1 => Just(1 << 63)];
    (
        (times, prop::bool::weighted(0.9), 0_u64..3, 0_u32..2),
        any::<bool>(),
        prop::option::of(any::<i32>()),
        prop::collection::vec(any::<u64>(), 0..3),
        prop::collection::vec(exemplar(), 0..2),
    )
        .prop_map(|((time, has_time, start, flags), integer, number, counts, exemplars)| {
            Parts { time, has_time, start, flags, integer, number, counts, exemplars }
        })
}

fn point(data: &Data, parts: Parts) -> Point {
    let Parts { time, has_time, start, flags, integer, number, counts, exemplars } = parts;
    let time_unix_nano = if has_time { time } else { 0 };
    let number_as_float = number.map(f64::from);
    let value = match data {
        Data::Gauge(_) | Data::Sum(_) => PointValue::Number(otlp::NumberDataPoint {
            start_time_unix_nano: start,
            time_unix_nano,
            exemplars,
            flags,
            value: number.map(|number| match integer {
                true => number_data_point::Value::AsInt(number.into()),
                false => number_data_point::Value::AsDouble(number.into()),
            }),
            ..Default::default()
        }),
        Data::Histogram(_) => PointValue::Histogram(otlp::HistogramDataPoint {
            start_time_unix_nano: start,
            time_unix_nano,
            count: start,
            sum: number_as_float,
            explicit_bounds: counts.iter().skip(1).map(|count| *count as f64).collect(),
            bucket_counts: counts,
            exemplars,
            flags,
            min: number_as_float,
            max: None,
            ..Default::default()
        }),
        Data::ExponentialHistogram(_) => {
            PointValue::ExponentialHistogram(otlp::ExponentialHistogramDataPoint {
                start_time_unix_nano: start,
                time_unix_nano,
                count: start,
                sum: number_as_float,
                scale: -3,
                zero_count: 1,
                positive: Some(Buckets { offset: -1, bucket_counts: counts }),
                negative: integer.then(Buckets::default),
                flags,
                exemplars,
                zero_threshold: 0.5,
                ..Default::default()
            })
        }
        Data::Summary(_) => PointValue::Summary(otlp::SummaryDataPoint {
            start_time_unix_nano: start,
            time_unix_nano,
            count: start,
            sum: number_as_float.unwrap_or_default(),
            quantile_values: counts
                .iter()
                .map(|count| ValueAtQuantile { quantile: 0.5, value: *count as f64 })
                .collect(),
            flags,
            ..Default::default()
        }),
    };
    Point { time: UnixNanos(time), value }
}

/// Points of a few series of all kinds.
pub(crate) fn model(points: Range<usize>) -> impl Strategy<Value = Model> {
    let series = prop::collection::vec(series(), 1..6);
    (series, prop::collection::vec((any::<prop::sample::Index>(), parts()), points)).prop_map(
        |(series, points)| Model {
            points: points
                .into_iter()
                .filter_map(|(at, parts)| {
                    let series = Arc::new(series[at.index(series.len())].clone());
                    let point = Arc::new(point(series.metric.data.as_ref()?, parts));
                    Some(PointRecord { series, point })
                })
                .collect(),
        },
    )
}

pub(crate) fn range() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        Just(TimeRange::ALL),
        (0_u64..40, 0_u64..40)
            .prop_map(|(a, b)| TimeRange { start: UnixNanos(a), end: UnixNanos(b) }),
    ]
}

pub(crate) fn query() -> impl Strategy<Value = MetricQuery> {
    let attribute = ("[a-b]", prop_oneof!["[a-c]{0,2}", "true", "1"]);
    (
        prop::option::of("[m-p]"),
        prop::option::of("[s-t]"),
        prop::collection::vec(attribute, 0..2),
        range(),
    )
        .prop_map(|(name, service, attributes, range)| MetricQuery {
            name,
            service,
            attributes,
            range,
            limit: 0,
        })
}
