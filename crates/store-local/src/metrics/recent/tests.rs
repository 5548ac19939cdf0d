use super::*;
use crate::metrics::testing::{self, Model};
use proptest::prelude::*;

fn recent(model: &Model, request: usize) -> RecentMetrics {
    let mut recent = RecentMetrics::default();
    for points in model.points.chunks(request) {
        recent.insert(points.to_vec());
    }
    recent
}

proptest! {
    #[test]
    fn selects_what_the_model_selects(
        model in testing::model(0..120),
        query in testing::query(),
        request in 1_usize..20,
    ) {
        let recent = recent(&model, request);
        let found = recent.snapshot().select(&query, &Budget::default()).unwrap();
        prop_assert_eq!(testing::sorted(found), model.select(&query));
    }

    #[test]
    fn scans_newest_first(
        model in testing::model(0..120),
        query in testing::query(),
        request in 1_usize..20,
    ) {
        let recent = recent(&model, request);
        let (snapshot, budget) = (recent.snapshot(), Budget::default());
        let found: Vec<PointRecord> =
            snapshot.scan(query.range, &budget).collect::<Result<_, _>>().unwrap();
        prop_assert!(found.is_sorted_by_key(|point| Reverse(point.point.time)));
        testing::assert_same_points(found, model.within(query.range));
    }

    #[test]
    fn gives_points_in_the_order_of_files(model in testing::model(0..120)) {
        let recent = recent(&model, 7);
        let found: Vec<PointRecord> = recent.snapshot().in_file_order(TimeRange::ALL).collect();
        let mut encoder = SeriesEncoder::default();
        let mut key = |point: &PointRecord| (encoder.encode(&point.series), point.point.time);
        prop_assert!(found.windows(2).all(|pair| key(&pair[0]) <= key(&pair[1])));
        testing::assert_same_points(found, model.points);
    }
}

#[test]
fn a_snapshot_does_not_grow() {
    let mut recent = RecentMetrics::default();
    recent.insert(vec![testing::gauge("a", 1, 0.5), testing::gauge("a", 2, 0.5)]);
    let before = recent.snapshot();
    let bytes = recent.bytes();
    recent.insert(vec![testing::gauge("a", 3, 0.5), testing::gauge("b", 4, 0.5)]);
    assert_eq!(before.in_file_order(TimeRange::ALL).count(), 2);
    assert_eq!(before.extent().end, UnixNanos(2));
    assert_eq!(recent.snapshot().in_file_order(TimeRange::ALL).count(), 4);
    assert_eq!(recent.len(), 4);
    assert!(recent.bytes() > bytes);
}

#[test]
fn equal_series_become_one() {
    let mut recent = RecentMetrics::default();
    let first = recent.insert(vec![testing::gauge("a", 1, 0.5)]);
    let second = recent.insert(vec![testing::gauge("a", 1, 0.5)]);
    assert!(Arc::ptr_eq(&first[0].series, &second[0].series));
}
