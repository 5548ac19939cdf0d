use super::{VecSource, block_on, memory};
use crate::budget::Budget;
use crate::query;
use crate::source::LogSource;
use carafe_store::{
    LogQuery, LogRecord, Records, ResourceRecord, ScanQuery, Store, TimeRange, export,
};
use carafe_telemetry::{Signal, TraceId, UnixNanos, otlp};
use proptest::prelude::*;
use std::sync::Arc;

fn any_log() -> impl Strategy<Value = LogRecord> {
    let what = (0..2_u64, 0..3_i32, 0..3_usize, prop::option::of(1..4_u8), 0..2_usize);
    (prop_oneof![1..4_u64, 1..1_000_u64], what).prop_map(
        |(time, (observed, severity, body, trace, service))| {
            let service = ["todo", "shop"][service];
            let attributes = vec![otlp::string("service.name", service)];
            let resource = otlp::Resource { attributes, ..Default::default() };
            let trace_id = trace.map(|trace| vec![trace; 16]).unwrap_or_default();
            LogRecord {
                time: UnixNanos(time),
                trace_id: TraceId::from_slice(&trace_id).ok(),
                span_id: None,
                resource: Arc::new(ResourceRecord::new(resource, String::new())),
                scope: Arc::default(),
                log: Arc::new(otlp::LogRecord {
                    time_unix_nano: time,
                    observed_time_unix_nano: observed,
                    severity_number: 8 * severity,
                    body: otlp::string("", ["one", "Two words", "three"][body]).value,
                    trace_id,
                    ..Default::default()
                }),
            }
        },
    )
}

fn any_sources() -> impl Strategy<Value = Vec<Vec<LogRecord>>> {
    prop::collection::vec(prop::collection::vec(any_log(), 0..15), 1..5)
}

fn sources(of: &[Vec<LogRecord>]) -> Vec<Arc<dyn LogSource>> {
    of.iter().map(|logs| Arc::new(VecSource::new(logs.clone(), |log| log.time)) as _).collect()
}

type Key = (u64, u64, i32, Option<TraceId>, String, Arc<str>);

fn key(log: &LogRecord) -> Key {
    let body = log.log.body.as_ref().map(|body| carafe_store::value::text(body).into_owned());
    let observed = log.log.observed_time_unix_nano;
    let severity = log.log.severity_number;
    let service = log.resource.service.clone();
    (log.time.0, observed, severity, log.trace_id, body.unwrap_or_default(), service)
}

proptest! {
    #[test]
    fn searches_answer_as_the_memory_store(
        of in any_sources(),
        service in prop::option::of(Just("todo".to_owned())),
        text in prop::option::of(prop::sample::select(&["o", "WORDS", "x"][..])),
        min_severity in prop::sample::select(&[0, 8, 9][..]),
        trace in prop::option::of(1..4_u8),
        condition in prop::option::of(Just("body =~ \"t.*\" or severity = debug")),
        range in prop::option::of((1..500_u64, 0..500_u64)),
        limit in prop_oneof![1..8_usize, Just(usize::MAX)],
    ) {
        let store = memory(of.iter().map(|logs| export::logs_request(logs).encode()));
        let (sources, budget) = (sources(&of), Budget::default());
        let mut query = LogQuery {
            service,
            text: text.map(str::to_owned),
            min_severity,
            trace_id: trace.map(|trace| TraceId([trace; 16])),
            range: range.map_or(TimeRange::ALL, |(start, length)| TimeRange {
                start: UnixNanos(start),
                end: UnixNanos(start + length),
            }),
            condition: condition.map(|text| text.parse().unwrap()),
            ..LogQuery::all(limit)
        };
        loop {
            let found = query::find_logs(&sources, &query, &budget).unwrap();
            let expected = block_on(store.find_logs(&query)).unwrap();
            let keys = |logs: &[LogRecord]| logs.iter().map(key).collect::<Vec<_>>();
            prop_assert_eq!(keys(&found.logs), keys(&expected.logs));
            prop_assert_eq!(&found.next, &expected.next);
            query.after = found.next;
            if query.after.is_none() { break; }
        }
    }

    #[test]
    fn a_scan_gives_every_record(of in any_sources(), limit in 1..20_usize) {
        let (sources, range) = (sources(&of), TimeRange::ALL);
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = ScanQuery { signal: Signal::Logs, range, after, limit };
            let page = query::scan_logs(&sources, &query, &Budget::default()).unwrap();
            if let Some(batch) = page.batch {
                let decoded = carafe_store::decode(&batch, UnixNanos(0)).unwrap();
                let Records::Logs(logs) = decoded.records else { panic!("logs") };
                found.extend(logs.iter().map(key));
            }
            after = page.next;
            if after.is_none() { break; }
        }
        let mut expected: Vec<Key> = of.iter().flatten().map(key).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
