use super::{VecSource, block_on, memory};
use crate::budget::Budget;
use crate::query;
use crate::source::MetricSource;
use carafe_store::{
    MetricPage, MetricQuery, Point, PointRecord, PointValue, Records, ResourceRecord, ScanQuery,
    Series, Store, TimeRange, export,
};
use carafe_telemetry::{Signal, UnixNanos, otlp};
use proptest::prelude::*;
use std::sync::Arc;

fn any_point() -> impl Strategy<Value = PointRecord> {
    (0..2_usize, 0..2_usize, 0..3_usize, 1..60_u64, 0..1_000_u32).prop_map(
        |(name, service, route, time, value)| {
            let service = ["shop", "todo"][service];
            let attributes = vec![otlp::string("service.name", service)];
            let resource = otlp::Resource { attributes, ..Default::default() };
            let data = otlp::metric::Data::Gauge(otlp::Gauge::default());
            let metric = otlp::Metric {
                name: ["load", "queue"][name].to_owned(),
                data: Some(data),
                ..Default::default()
            };
            let series = Series {
                resource: Arc::new(ResourceRecord::new(resource, String::new())),
                scope: Arc::default(),
                metric,
                attributes: vec![otlp::string("route", ["/", "/a", "/b"][route])],
            };
            let value = PointValue::Number(otlp::NumberDataPoint {
                time_unix_nano: time,
                value: Some(otlp::number_data_point::Value::AsDouble(f64::from(value))),
                ..Default::default()
            });
            let point = Point { time: UnixNanos(time), value };
            PointRecord { series: Arc::new(series), point: Arc::new(point) }
        },
    )
}

fn any_sources() -> impl Strategy<Value = Vec<Vec<PointRecord>>> {
    prop::collection::vec(prop::collection::vec(any_point(), 0..15), 1..5)
}

fn sources(of: &[Vec<PointRecord>]) -> Vec<Arc<dyn MetricSource>> {
    let source = |points: &Vec<PointRecord>| VecSource::new(points.clone(), |p| p.point.time);
    of.iter().map(|points| Arc::new(source(points)) as _).collect()
}

/// Everything of a point, and of its series, as text. Points of one moment come in any order.
fn lines(page: MetricPage) -> Vec<(String, Vec<String>)> {
    page.series
        .iter()
        .map(|one| {
            assert!(one.points.is_sorted_by_key(|point| point.time));
            let mut points: Vec<String> = one.points.iter().map(|p| format!("{p:?}")).collect();
            points.sort();
            (format!("{:?}", one.series), points)
        })
        .collect()
}

fn line(record: &PointRecord) -> String {
    format!("{record:?}")
}

proptest! {
    #[test]
    fn selections_answer_as_the_memory_store(
        of in any_sources(),
        name in prop::option::of(Just("load".to_owned())),
        service in prop::option::of(Just("todo".to_owned())),
        route in prop::option::of(Just("/a".to_owned())),
        range in prop::option::of((1..50_u64, 0..30_u64)),
        limit in prop_oneof![1..4_usize, Just(usize::MAX)],
    ) {
        let store = memory(of.iter().map(|points| export::metrics_request(points).encode()));
        let query = MetricQuery {
            name,
            service,
            attributes: route.map(|route| ("route".to_owned(), route)).into_iter().collect(),
            range: range.map_or(TimeRange::ALL, |(start, length)| TimeRange {
                start: UnixNanos(start),
                end: UnixNanos(start + length),
            }),
            limit,
        };
        let found = query::select_metrics(&sources(&of), &query, &Budget::default()).unwrap();
        let expected = block_on(store.select_metrics(&query)).unwrap();
        prop_assert_eq!(found.truncated, expected.truncated);
        prop_assert_eq!(lines(found), lines(expected));
    }

    #[test]
    fn a_scan_gives_every_point(of in any_sources(), limit in 1..20_usize) {
        let (sources, range) = (sources(&of), TimeRange::ALL);
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = ScanQuery { signal: Signal::Metrics, range, after, limit };
            let page = query::scan_points(&sources, &query, &Budget::default()).unwrap();
            if let Some(batch) = page.batch {
                let decoded = carafe_store::decode(&batch, UnixNanos(0)).unwrap();
                let Records::Points(points) = decoded.records else { panic!("points") };
                found.extend(points.iter().map(line));
            }
            after = page.next;
            if after.is_none() { break; }
        }
        let mut expected: Vec<String> = of.iter().flatten().map(line).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
