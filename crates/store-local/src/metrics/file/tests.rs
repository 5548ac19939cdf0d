use super::*;
use crate::files::MemoryFile;
use crate::index::side_file::SideFileWriter;
use crate::metrics::merge::MetricMerge;
use crate::metrics::recent::RecentMetrics;
use crate::metrics::testing::{self, Model};
use crate::metrics::write::write_metrics;
use crate::writing::Written;
use carafe_store::StoreErrorKind;
use hashbrown::HashSet;
use proptest::prelude::*;
use std::cmp::Reverse;

/// The bytes of a file and of its side file.
fn written(
    points: impl Iterator<Item = Result<PointRecord, StoreError>>,
) -> (Written, Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    let written = write_metrics(points, &mut data).unwrap();
    let mut side = SideFileWriter::new();
    written.side.iter().for_each(|(section, bytes)| side.add(*section, bytes.clone()));
    let mut bytes = Vec::new();
    side.finish(&mut bytes).unwrap();
    (written, data, bytes)
}

fn open(data: Vec<u8>, side: Vec<u8>) -> Result<MetricFile, StoreError> {
    let access = |name, bytes: Vec<u8>| Arc::new(MemoryFile::new(name, bytes));
    MetricFile::open(access("a.parquet", data), access("a.idx", side), &Arc::default())
}

fn flushed(points: &[PointRecord]) -> (Written, Vec<u8>, Vec<u8>) {
    let mut recent = RecentMetrics::default();
    recent.insert(points.to_vec());
    let snapshot = recent.snapshot();
    written(snapshot.in_file_order(TimeRange::ALL).map(Ok))
}

fn file(points: &[PointRecord]) -> MetricFile {
    let (_, data, side) = flushed(points);
    open(data, side).unwrap()
}

/// The model without points that are the same in everything.
fn distinct(model: &Model) -> Model {
    let mut seen = HashSet::new();
    let points = model.points.iter();
    Model { points: points.filter(|point| seen.insert(format!("{point:?}"))).cloned().collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn selects_what_the_model_selects(
        model in testing::model(0..120),
        query in testing::query(),
    ) {
        let file = file(&model.points);
        let found = file.select(&query, &Budget::default()).unwrap();
        prop_assert_eq!(testing::sorted(found), distinct(&model).select(&query));
    }

    #[test]
    fn scans_newest_first(
        model in testing::model(0..120),
        range in testing::range(),
        pass_points in 1_usize..50,
    ) {
        let (file, budget) = (file(&model.points), Budget::default());
        let scan = newest::NewestFirst::new(&file, range, &budget).with_pass_points(pass_points);
        let found: Vec<PointRecord> = scan.collect::<Result<_, _>>().unwrap();
        prop_assert!(found.is_sorted_by_key(|point| Reverse(point.point.time)));
        testing::assert_same_points(found, distinct(&model).within(range));
    }

    #[test]
    fn a_merged_file_is_the_file_of_all(
        model in testing::model(0..120),
        parts in 1_usize..4,
    ) {
        let at_once = flushed(&model.points);
        let part = model.points.len().div_ceil(parts).max(1);
        let files: Vec<Arc<MetricFile>> =
            model.points.chunks(part).map(|points| Arc::new(file(points))).collect();
        let merge = MetricMerge::new(&files).unwrap();
        let (merged, data, side) = written(merge.points().unwrap());
        prop_assert_eq!(merged.rows, at_once.0.rows);
        prop_assert_eq!(merged.extent, at_once.0.extent);
        prop_assert_eq!(&merged.side, &at_once.0.side);
        let all = |data, side| {
            let file = open(data, side).unwrap();
            let table = file.table().unwrap();
            let points: Vec<_> = file.in_order(&table).unwrap().map(Result::unwrap).collect();
            points
        };
        let (merged, expected) = (all(data, side), all(at_once.1, at_once.2));
        let points = |points: Vec<(u32, PointRecord)>| points.into_iter().map(|(_, p)| p).collect();
        testing::assert_same_points(points(merged), points(expected));
    }

    #[test]
    fn damage_gives_an_error_or_points(
        model in testing::model(1..40),
        query in testing::query(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
        in_side in any::<bool>(),
    ) {
        let (_, mut data, mut side) = flushed(&model.points);
        let bytes = if in_side { &mut side } else { &mut data };
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        let budget = Budget::default();
        let read = || {
            let file = open(data, side)?;
            file.select(&query, &budget)?;
            file.scan(TimeRange::ALL, &budget).try_for_each(|point| point.map(drop))
        };
        if let Err(error) = read() {
            prop_assert_eq!(error.kind, StoreErrorKind::Corrupt, "{}", error);
        }
    }
}

#[test]
fn reads_only_the_series_that_match() {
    let points: Vec<PointRecord> = (0..40_000_u64)
        .map(|n| testing::gauge(&format!("metric.{:03}", n % 400), 1 + n, 0.5))
        .collect();
    let file = file(&points);
    let query = MetricQuery {
        name: Some("metric.123".to_owned()),
        service: None,
        attributes: Vec::new(),
        range: TimeRange::ALL,
        limit: 1,
    };
    let limits = crate::budget::QueryLimits { rows: 100, ..Default::default() };
    let found = file.select(&query, &Budget::new(limits)).unwrap();
    assert_eq!(found.iter().map(|series| series.points.len()).sum::<usize>(), 100);
    let error = file.select(&MetricQuery { name: None, ..query }, &Budget::new(limits));
    assert_eq!(error.unwrap_err().kind, StoreErrorKind::TooExpensive);
}

#[test]
fn a_file_of_another_signal_is_refused() {
    let (_, data, side) = flushed(&[testing::gauge("a", 1, 0.5)]);
    let file = open(data, side).unwrap();
    let footer = file.footers.get(&file.data).unwrap();
    let error = check_stamp(footer.metadata(), "a.parquet", Signal::Logs).unwrap_err();
    assert_eq!(error.to_string(), "the file a.parquet is damaged: it is not a file of logs");
}

#[test]
fn points_that_are_out_of_order_are_refused() {
    let points = [testing::gauge("b", 1, 0.5), testing::gauge("a", 1, 0.5)];
    let error = write_metrics(points.into_iter().map(Ok), Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "series a is not in order");
    let later = testing::gauge("a", 2, 0.5);
    let earlier = PointRecord { series: Arc::clone(&later.series), ..testing::gauge("a", 1, 0.5) };
    let error = write_metrics([later, earlier].map(Ok), Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "points of a are not in order");
}
