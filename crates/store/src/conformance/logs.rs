//! Searches for log records.

use super::Subject;
use super::data::{self, ModelLog, Random, T0};
use crate::query::{LogQuery, TimeRange};
use carafe_telemetry::{Request, UnixNanos, otlp};

const LOGS: u64 = 2_000;

pub(super) async fn log_searches_find_what_matches(subject: Subject) {
    let logs = data::logs(21, LOGS);
    let mut shuffled = logs.clone();
    let mut random = Random::new(22);
    random.shuffle(&mut shuffled);
    for request in shuffled.chunks(97) {
        data::append(&subject.store, &data::logs_request(request)).await;
    }
    let store = subject.settled().await.store;
    for _ in 0..300 {
        let service = random.one_in(3).then(|| random.pick(&data::SERVICES));
        let text = random.one_in(2).then(|| random.pick(&["added", "DELETED", "task 7", "none"]));
        let severity = random.pick(&[0, 0, 1, 9, 13, 25]);
        let trace = random.one_in(4).then(|| 1 + random.below(20));
        let from = T0 + random.below(LOGS) * 1_000_000;
        let range = random.one_in(3).then(|| (from, from + random.below(500) * 1_000_000));
        let limit = random.pick(&[1, 20, 10_000]);
        let fits = |log: &&ModelLog| {
            service.is_none_or(|service| log.service == service)
                && text.is_none_or(|text| log.body.to_lowercase().contains(&text.to_lowercase()))
                && log.severity >= severity
                && trace.is_none_or(|trace| log.trace == Some(trace))
                && range.is_none_or(|(start, end)| (start..=end).contains(&log.time))
        };
        let expected: Vec<&str> =
            logs.iter().rev().filter(fits).map(|log| log.body.as_str()).collect();
        let query = LogQuery {
            service: service.map(str::to_owned),
            text: text.map(str::to_owned),
            min_severity: severity,
            trace_id: trace.map(data::trace_id),
            range: range.map_or(TimeRange::ALL, |(start, end)| TimeRange {
                start: UnixNanos(start),
                end: UnixNanos(end),
            }),
            ..LogQuery::all(limit)
        };
        let page = store.find_logs(&query).await.expect("a page");
        let found: Vec<String> = page
            .logs
            .iter()
            .map(|log| crate::value::text(log.log.body.as_ref().expect("a body")).into_owned())
            .collect();
        assert_eq!(found, expected[..limit.min(expected.len())], "{query:?}");
        assert_eq!(page.next.is_some(), expected.len() > limit, "{query:?}");
    }
}

/// A record without a time has the one at which it was observed, else the one at which it was
/// received.
pub(super) async fn logs_without_a_time_get_one(subject: Subject) {
    let before = UnixNanos::now();
    let log =
        |observed| otlp::LogRecord { observed_time_unix_nano: observed, ..Default::default() };
    let request = otlp::ExportLogsServiceRequest {
        resource_logs: vec![otlp::ResourceLogs {
            scope_logs: vec![otlp::ScopeLogs {
                log_records: vec![log(T0), log(0)],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    data::append(&subject.store, &Request::Logs(request)).await;
    let after = UnixNanos::now();
    let store = subject.settled().await.store;
    let page = store.find_logs(&LogQuery::all(10)).await.expect("a page");
    let times: Vec<UnixNanos> = page.logs.iter().map(|log| log.time).collect();
    assert_eq!(times.len(), 2);
    assert!((before..=after).contains(&times[0]), "{times:?}");
    assert_eq!(times[1].0, T0);
    assert_eq!(&*page.logs[0].resource.service, crate::MISSING_SERVICE_NAME);
}
