use super::*;
use crate::logs::testing::{self, Model};
use proptest::prelude::*;

fn recent(model: &Model) -> RecentLogs {
    let recent = RecentLogs::default();
    model.requests.iter().for_each(|request| recent.insert(testing::incoming(request)));
    recent
}

fn all(source: &dyn LogSource, query: &LogQuery) -> Vec<LogRecord> {
    source.scan(query, &Budget::default()).collect::<Result<_, _>>().unwrap()
}

proptest! {
    #[test]
    fn finds_what_the_model_finds(
        model in testing::model(0..8, 0..8),
        query in testing::query(),
    ) {
        let snapshot = recent(&model).snapshot();
        let found = all(&snapshot, &query);
        prop_assert!(found.is_sorted_by_key(|log| Reverse(log.time)));
        prop_assert_eq!(testing::sorted(found), model.find(&query));
    }
}

#[test]
fn a_snapshot_does_not_grow() {
    let request = |times: std::ops::Range<u64>| {
        let log_records = times
            .map(|time| otlp::LogRecord { time_unix_nano: time, ..Default::default() })
            .collect();
        let scope_logs = vec![otlp::ScopeLogs { log_records, ..Default::default() }];
        let resource_logs = vec![otlp::ResourceLogs { scope_logs, ..Default::default() }];
        let request = otlp::ExportLogsServiceRequest { resource_logs };
        testing::incoming(&carafe_telemetry::Request::Logs(request).encode())
    };
    let recent = RecentLogs::default();
    recent.insert(request(1..100));
    let before = recent.snapshot();
    let bytes = recent.bytes();
    // More than one segment.
    (1..10).for_each(|n| recent.insert(request(n * 1_000..(n + 1) * 1_000)));
    let query = LogQuery::all(0);
    assert_eq!(all(&before, &query).len(), 99);
    assert_eq!(before.extent(), TimeRange { start: UnixNanos(1), end: UnixNanos(99) });
    let after = recent.snapshot();
    assert!(after.segments.len() > 1);
    let found = all(&after, &query);
    assert_eq!((found.len(), recent.rows()), (9_099, 9_099));
    assert!(found.is_sorted_by_key(|log| Reverse(log.time)));
    assert!(recent.bytes() > bytes);
}
