//! From a request as a client may write it to memory, to a file and back: no field of a log
//! record is lost, and both find each record by everything that it has.

use carafe_store::condition::{Condition, Key, Operator, Test};
use carafe_store::{LogQuery, LogRecord, Records, TimeRange, decode, value};
use carafe_store_local::budget::Budget;
use carafe_store_local::files::MemoryFile;
use carafe_store_local::index::side_file::SideFileWriter;
use carafe_store_local::ingest::{Rules, index_logs};
use carafe_store_local::logs::{LogFile, LogSnapshot, RecentLogs, write_logs};
use carafe_store_local::source::LogSource;
use carafe_store_local::stored::Openable;
use carafe_telemetry::testing::{logs_request, scramble};
use carafe_telemetry::{Batch, Request, UnixNanos};
use proptest::prelude::*;
use prost::Message;
use std::collections::HashSet;
use std::sync::Arc;

const RULES: Rules = Rules { received: UnixNanos(1_767_225_650_000_000_000), accepted: None };

fn recent(batch: &Batch) -> LogSnapshot {
    let recent = RecentLogs::default();
    recent.insert(index_logs(&batch.bytes, &RULES).expect("a valid request").items);
    recent.snapshot()
}

/// The files of recent records.
fn write(recent: &LogSnapshot) -> LogFile {
    let mut bytes = Vec::new();
    let written = write_logs(recent.batches(TimeRange::ALL), &mut bytes).expect("written");
    let mut side = SideFileWriter::new();
    for (section, bytes) in written.side {
        side.add(section, bytes);
    }
    let mut side_bytes = Vec::new();
    side.finish(&mut side_bytes).expect("a side file");
    let data = Arc::new(MemoryFile::new("a.parquet", bytes));
    let side = Arc::new(MemoryFile::new("a.idx", side_bytes));
    LogFile::open(data, side, &Arc::default()).expect("our file")
}

/// All of a record, in bytes: NaN is not equal to itself.
type All = (String, Vec<u8>, Vec<u8>, Vec<u8>);

/// All of each record, in one order.
fn all_of<'a>(logs: impl IntoIterator<Item = &'a LogRecord>) -> Vec<All> {
    let all_of = |log: &LogRecord| {
        let ids = (log.time, log.trace_id, log.span_id);
        let urls = (&log.resource.schema_url, &log.scope.schema_url);
        (
            format!("{ids:?} {} {urls:?}", log.resource.service),
            log.log.encode_to_vec(),
            log.resource.resource.encode_to_vec(),
            log.scope.scope.encode_to_vec(),
        )
    };
    let mut all: Vec<_> = logs.into_iter().map(all_of).collect();
    all.sort();
    all
}

fn search(source: &dyn LogSource, query: &LogQuery) -> Vec<LogRecord> {
    let budget = Budget::default();
    source.scan(query, &budget).map(|log| log.expect("a record")).collect()
}

/// Queries for everything that the records have, each of which finds something.
fn queries(logs: &[LogRecord]) -> Vec<LogQuery> {
    let all = || LogQuery::all(usize::MAX);
    let mut queries = vec![all()];
    let mut seen = HashSet::new();
    for log in logs {
        let range = TimeRange { start: log.time, end: log.time };
        queries.extend([
            LogQuery { range, ..all() },
            LogQuery { service: Some(log.resource.service.to_string()), ..all() },
            LogQuery { min_severity: log.log.severity_number, ..all() },
        ]);
        queries.extend(log.trace_id.map(|id| LogQuery { trace_id: Some(id), ..all() }));
        if let Some(body) = &log.log.body {
            // All of it but the first and the last character.
            let text = value::text(body);
            let mut inner = text.chars();
            inner.next();
            inner.next_back();
            let part = inner.as_str().to_ascii_uppercase();
            queries.push(LogQuery { text: Some(part), ..all() });
        }
        let shared = log.resource.resource.attributes.iter().chain(&log.scope.scope.attributes);
        for kv in log.log.attributes.iter().chain(shared) {
            let Some(any) = &kv.value else { continue };
            let text = value::text(any).into_owned();
            if seen.insert((kv.key.clone(), text.clone())) {
                let key = Key::Attribute(kv.key.clone());
                let test = Test::new(key, Operator::Equal, text).expect("any text is fine");
                queries.push(LogQuery { condition: Some(Condition::Test(test)), ..all() });
            }
        }
    }
    queries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_are_kept_and_found_by_all_that_they_have(
        request in logs_request(),
        seed: u64,
        unusual: bool,
    ) {
        let mut batch = Request::Logs(request).encode();
        if unusual {
            batch.bytes = scramble(batch.signal, &batch.bytes, seed, false).into();
        }
        let decoded = decode(&batch, RULES.received).expect("a valid request");
        let Records::Logs(logs) = decoded.records else { panic!("log records expected") };
        let recent = recent(&batch);
        let file = write(&recent);
        for query in queries(&logs) {
            let expected = all_of(logs.iter().filter(|log| query.matches(log)));
            for source in [&recent as &dyn LogSource, &file] {
                let found = search(source, &query);
                prop_assert!(found.iter().rev().is_sorted_by_key(|log| log.time));
                prop_assert_eq!(&all_of(&found), &expected, "{:?}", query);
            }
        }
    }
}
