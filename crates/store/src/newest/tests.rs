use super::*;
use crate::filter::SpanFilter;
use crate::record::{ResourceRecord, ScopeRecord, Trace};
use carafe_telemetry::otlp;
use proptest::prelude::*;
use std::sync::Arc;

fn resource() -> Arc<ResourceRecord> {
    Arc::new(ResourceRecord::new(otlp::Resource::default(), String::new()))
}

fn log(time: u64, observed: u64, severity: i32) -> LogRecord {
    LogRecord {
        time: UnixNanos(time),
        trace_id: None,
        span_id: None,
        resource: resource(),
        scope: Arc::default(),
        log: Arc::new(otlp::LogRecord {
            observed_time_unix_nano: observed,
            severity_number: severity,
            ..Default::default()
        }),
    }
}

fn span(trace: u8, id: u8, start: u64) -> SpanRecord {
    SpanRecord {
        trace_id: TraceId([trace; 16]),
        span_id: SpanId([id; 8]),
        parent_span_id: None,
        start: UnixNanos(start),
        end: UnixNanos(start),
        resource: resource(),
        scope: Arc::new(ScopeRecord::default()),
        span: Arc::default(),
    }
}

fn log_key(log: &LogRecord) -> (u64, u64, i32) {
    (log.time.0, log.log.observed_time_unix_nano, log.log.severity_number)
}

proptest! {
    #[test]
    fn pages_of_logs_joined_are_all_logs(
        mut logs in prop::collection::vec((0..4_u64, 0..2_u64, 0..3), 0..40),
        limit in 1..6_usize,
    ) {
        let mut query = LogQuery::all(limit);
        let mut found = Vec::new();
        loop {
            let mut newest = NewestLogs::new(&query).unwrap();
            logs.reverse();
            logs.iter().for_each(|&(time, observed, n)| newest.push(&log(time, observed, n)));
            let page = newest.finish();
            prop_assert!(page.logs.len() == limit || page.next.is_none());
            found.extend(page.logs.iter().map(log_key));
            query.after = match page.next {
                Some(next) => Some(next.to_string().parse().unwrap()),
                None => break,
            };
        }
        prop_assert!(found.is_sorted_by_key(|(time, observed, _)| Reverse((*time, *observed))));
        logs.sort_unstable();
        found.sort_unstable();
        prop_assert_eq!(found, logs);
    }

    #[test]
    fn pages_of_spans_joined_are_all_spans_once(
        spans in prop::collection::vec((1..3_u8, 1..9_u8, 0..3_u64), 0..40),
        limit in 1..6_usize,
    ) {
        let mut query = TraceQuery::new(SpanFilter::default(), limit);
        let mut found = Vec::new();
        loop {
            let mut newest = NewestSpans::new(&query).unwrap();
            spans.iter().for_each(|&(trace, id, start)| newest.push(&span(trace, id, start)));
            let page = newest.finish();
            found.extend(page.spans.iter().map(|s| (Reverse(s.start.0), s.trace_id.0[0], s.span_id.0[0])));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> =
            spans.iter().map(|&(trace, id, start)| (Reverse(start), trace, id)).collect();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn pages_of_traces_joined_are_all_traces_once(
        starts in prop::collection::vec(0..6_u64, 0..30),
        limit in 1..6_usize,
    ) {
        let mut query = TraceQuery::new(SpanFilter::default(), limit);
        let mut found = Vec::new();
        loop {
            let mut newest = NewestTraces::new(&query).unwrap();
            for (id, start) in starts.iter().enumerate() {
                let trace = Trace::of(vec![span(id as u8 + 1, 1, *start)]).unwrap();
                newest.push(UnixNanos(*start), trace.id, || TraceSummary::of(&trace));
            }
            let page = newest.finish();
            found.extend(page.traces.iter().map(|t| (Reverse(t.start.0), t.trace_id.0[0])));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let expected = starts.iter().enumerate().map(|(id, start)| (Reverse(*start), id as u8 + 1));
        let mut expected: Vec<_> = expected.collect();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_full_page_wants_only_what_is_newer() {
    let query = TraceQuery::new(SpanFilter::default(), 1);
    let mut newest = NewestSpans::new(&query).unwrap();
    newest.push(&span(2, 1, 5));
    assert!(newest.wants(UnixNanos(0)));
    newest.push(&span(2, 1, 4));
    assert!(newest.wants(UnixNanos(4)), "a span with a lower id comes before");
    assert!(!newest.wants(UnixNanos(3)));
    let page = newest.finish();
    let mut after = TraceQuery { after: page.next, ..query };
    assert_eq!(NewestSpans::new(&after).unwrap().latest(), UnixNanos(5));
    assert!(NewestTraces::new(&after).is_err(), "a cursor of another search");
    after.after = Some(Cursor::new(9, &[]));
    assert!(NewestSpans::new(&after).is_err());
}
