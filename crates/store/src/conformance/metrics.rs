//! Selections of metric series.

use super::Subject;
use super::data::{self, ModelPoint, Random, T0};
use crate::query::{MetricQuery, TimeRange};
use crate::record::PointValue;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::number_data_point::Value;
use std::collections::BTreeMap;

const POINTS: u64 = 3_000;

pub(super) async fn selections_find_what_matches(subject: Subject) {
    let points = data::points(31, POINTS);
    let mut shuffled = points.clone();
    let mut random = Random::new(32);
    random.shuffle(&mut shuffled);
    for request in shuffled.chunks(83) {
        data::append(&subject.store, &data::metrics_request(request)).await;
    }
    let store = subject.settled().await.store;
    for _ in 0..100 {
        let name = random.one_in(2).then(|| random.pick(&["requests", "queue.length", "none"]));
        let service = random.one_in(2).then(|| random.pick(&data::SERVICES));
        let route = random.one_in(2).then(|| random.pick(&["/", "/add", "/none"]));
        let from = T0 + random.below(POINTS) * 1_000_000;
        let (start, end) =
            if random.one_in(2) { (from, from + 400_000_000) } else { (0, u64::MAX) };
        let limit = random.pick(&[2, 1_000]);
        let mut expected = BTreeMap::<(&str, &str, &str), Vec<(u64, f64)>>::new();
        let fits = |point: &&ModelPoint| {
            name.is_none_or(|name| point.name == name)
                && service.is_none_or(|service| point.service == service)
                && route.is_none_or(|route| point.route == route)
                && (start..=end).contains(&point.time)
        };
        for point in points.iter().filter(fits) {
            let series = (point.name, point.service, point.route);
            expected.entry(series).or_default().push((point.time, point.value));
        }
        let query = MetricQuery {
            name: name.map(str::to_owned),
            service: service.map(str::to_owned),
            attributes: route
                .iter()
                .map(|route| ("http.route".to_owned(), (*route).to_owned()))
                .chain([("generated".to_owned(), "true".to_owned())])
                .collect(),
            range: TimeRange { start: UnixNanos(start), end: UnixNanos(end) },
            limit,
        };
        let page = store.select_metrics(&query).await.expect("a page");
        assert_eq!(page.truncated, expected.len() > limit, "{query:?}");
        assert_eq!(page.series.len(), expected.len().min(limit), "{query:?}");
        for (found, ((name, service, route), points)) in page.series.iter().zip(expected) {
            let series = &found.series;
            assert_eq!((series.metric.name.as_str(), &*series.resource.service), (name, service));
            let found_route = series.attributes.iter().find(|kv| kv.key == "http.route");
            let found_route = found_route.and_then(|kv| kv.value.as_ref()).expect("a route");
            assert_eq!(crate::value::text(found_route), route);
            assert_eq!(series.metric.unit, "1");
            let values: Vec<(u64, f64)> =
                found.points.iter().map(|point| (point.time.0, number(&point.value))).collect();
            assert_eq!(values, points, "{query:?}");
        }
    }
}

fn number(value: &PointValue) -> f64 {
    match value {
        PointValue::Number(point) => match point.value {
            Some(Value::AsDouble(double)) => double,
            _ => panic!("a double was stored, not {:?}", point.value),
        },
        other => panic!("a number was stored, not {other:?}"),
    }
}
