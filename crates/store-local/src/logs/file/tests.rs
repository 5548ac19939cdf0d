use super::*;
use crate::files::MemoryFile;
use crate::index::side_file::{Section, SideFileWriter};
use crate::logs::merge::merge_logs;
use crate::logs::recent::{LogSnapshot, RecentLogs};
use crate::logs::testing::{self, Model};
use crate::logs::write::write_in_groups_of;
use crate::writing::Written;
use carafe_store::StoreErrorKind;
use carafe_telemetry::otlp;
use proptest::prelude::*;
use std::cmp::Reverse;

fn snapshot(model: &Model) -> LogSnapshot {
    let recent = RecentLogs::default();
    model.requests.iter().for_each(|request| recent.insert(testing::incoming(request)));
    recent.snapshot()
}

/// The bytes of a file and of its side file.
fn written(
    group_rows: usize,
    batches: impl Iterator<Item = Result<RecordBatch, StoreError>>,
) -> (Written, Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    let written = write_in_groups_of(group_rows, batches, &mut data).unwrap();
    let mut writer = SideFileWriter::new();
    written.side.iter().for_each(|(section, bytes)| writer.add(*section, bytes.clone()));
    let mut side = Vec::new();
    writer.finish(&mut side).unwrap();
    (written, data, side)
}

fn open(data: Vec<u8>, side: Vec<u8>) -> Result<LogFile, StoreError> {
    let access = |name, bytes: Vec<u8>| Arc::new(MemoryFile::new(name, bytes));
    LogFile::open(access("a.parquet", data), access("a.idx", side), &Arc::default())
}

fn file(model: &Model, group_rows: usize) -> LogFile {
    let (_, data, side) = written(group_rows, snapshot(model).batches(TimeRange::ALL));
    open(data, side).unwrap()
}

fn all(source: &dyn LogSource, query: &LogQuery) -> Vec<LogRecord> {
    source.scan(query, &Budget::default()).collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn finds_what_the_model_finds(
        model in testing::model(0..8, 0..8),
        query in testing::query(),
        group_rows in 1_usize..30,
    ) {
        let file = file(&model, group_rows);
        prop_assert_eq!(file.rows(), model.records().len() as u64);
        let found = all(&file, &query);
        prop_assert!(found.is_sorted_by_key(|log| Reverse(log.time)));
        prop_assert_eq!(testing::sorted(found), model.find(&query));
    }

    #[test]
    fn a_merged_file_has_all_records(
        models in prop::collection::vec(testing::model(0..4, 0..8), 1..4),
        query in testing::query(),
    ) {
        let files: Vec<Arc<LogFile>> = models.iter().map(|model| Arc::new(file(model, 9))).collect();
        let all_requests = Model { requests: models.into_iter().flat_map(|m| m.requests).collect() };
        let expected = written(9, snapshot(&all_requests).batches(TimeRange::ALL)).0;
        let (merged, data, side) = written(9, merge_logs(&files));
        prop_assert_eq!((merged.rows, merged.extent), (expected.rows, expected.extent));
        let found = all(&open(data, side).unwrap(), &query);
        prop_assert!(found.is_sorted_by_key(|log| Reverse(log.time)));
        prop_assert_eq!(testing::sorted(found), all_requests.find(&query));
    }

    #[test]
    fn damage_gives_an_error_or_records(
        model in testing::model(1..4, 1..8),
        query in testing::query(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
        in_side in any::<bool>(),
    ) {
        let (_, mut data, mut side) = written(9, snapshot(&model).batches(TimeRange::ALL));
        let bytes = if in_side { &mut side } else { &mut data };
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        let budget = Budget::default();
        let read = || {
            let files = [Arc::new(open(data, side)?)];
            files[0].scan(&query, &budget).try_for_each(|log| log.map(drop))?;
            merge_logs(&files).try_for_each(|batch| batch.map(drop))
        };
        if let Err(error) = read() {
            prop_assert_eq!(error.kind, StoreErrorKind::Corrupt, "{}", error);
        }
    }
}

/// A model of one request, with a body for each millisecond.
fn bodies(bodies: impl Iterator<Item = String>) -> Model {
    let log = |(n, body): (usize, String)| otlp::LogRecord {
        time_unix_nano: (n as u64 + 1) * 1_000_000,
        body: Some(otlp::AnyValue { value: Some(otlp::any_value::Value::StringValue(body)) }),
        ..Default::default()
    };
    let log_records = bodies.enumerate().map(log).collect();
    let scope_logs = vec![otlp::ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![otlp::ResourceLogs { scope_logs, ..Default::default() }];
    let request = otlp::ExportLogsServiceRequest { resource_logs };
    Model { requests: vec![carafe_telemetry::Request::Logs(request).encode()] }
}

/// How many rows a search for `text` looks at, and how many it finds.
fn cost(file: &LogFile, text: &str, want: usize) -> (u64, usize) {
    let query = LogQuery { text: Some(text.to_owned()), ..LogQuery::all(0) };
    let finds = |rows: u64| {
        let limits = crate::budget::QueryLimits { rows, ..Default::default() };
        let budget = Budget::new(limits);
        let found: Result<Vec<_>, _> = file.scan(&query, &budget).take(want).collect();
        found.ok().map(|found| found.len())
    };
    (0..=file.rows().div_ceil(PAGE_ROWS as u64))
        .map(|pages| pages * PAGE_ROWS as u64)
        .find_map(|rows| finds(rows).map(|found| (rows, found)))
        .expect("all rows are enough")
}

#[test]
fn searches_look_only_at_pages_that_may_match() {
    let rows = PAGE_ROWS * 5 + 100;
    let body = |n: usize| match n {
        9_000 => "a zebra crossed".to_owned(),
        20_000 => "order #4711 failed".to_owned(),
        n => format!("GET /items/{} took {} ms", n % 1_000, n % 313),
    };
    let model = bodies((0..rows).map(body));
    let file = file(&model, PAGE_ROWS * 3);
    let page = PAGE_ROWS as u64;
    assert_eq!(cost(&file, "zebra", 20), (page, 1));
    assert_eq!(cost(&file, "ZEBRA cross", 20), (page, 1));
    assert_eq!(cost(&file, "#4711 FAILED", 20), (page, 1));
    assert_eq!(cost(&file, "no such thing", 20), (0, 0));
    // Frequent: the newest page is enough.
    assert_eq!(cost(&file, "took", 20), (100_u64.next_multiple_of(page), 20));
    assert_eq!(cost(&file, "took", 200).1, 200);
    // Too short to be indexed.
    assert_eq!(cost(&file, "z", 1).1, 1);
    let trace = LogQuery { trace_id: Some(carafe_telemetry::TraceId([9; 16])), ..LogQuery::all(0) };
    let none = Budget::new(crate::budget::QueryLimits { rows: 0, ..Default::default() });
    assert_eq!(file.scan(&trace, &none).count(), 0);
    let other = LogQuery { service: Some("other".to_owned()), ..LogQuery::all(0) };
    assert_eq!(file.scan(&other, &none).count(), 0);
    let tagged = LogQuery { condition: Some("a = b".parse().unwrap()), ..LogQuery::all(0) };
    assert_eq!(file.scan(&tagged, &none).count(), 0);
    let severe = LogQuery { min_severity: 17, ..LogQuery::all(0) };
    assert_eq!(file.scan(&severe, &none).count(), 0);
}

#[test]
fn a_file_without_filters_is_read_all_the_same() {
    let model = bodies((0..10).map(|n| format!("body {n}")));
    let (_, data, _) = written(9, snapshot(&model).batches(TimeRange::ALL));
    let mut side = Vec::new();
    SideFileWriter::new().finish(&mut side).unwrap();
    let file = open(data, side).unwrap();
    let query = LogQuery { text: Some("BODY 7".to_owned()), ..LogQuery::all(0) };
    assert_eq!(all(&file, &query).len(), 1);
    assert_eq!(file.side.section_len(Section::Tokens), None);
}
