//! Going on where a page ended.

use super::Subject;
use super::data::{self, ModelSpan, Random};
use crate::cursor::Cursor;
use crate::error::StoreErrorKind;
use crate::filter::SpanFilter;
use crate::query::{LogQuery, TimeRange, TraceQuery};
use crate::tags::TagFilter;
use carafe_telemetry::{Request, UnixNanos, otlp};
use std::collections::BTreeSet;

/// Spans of which many start at one moment.
fn crowded(seed: u64) -> Vec<ModelSpan> {
    let mut spans = data::spans(seed, 150);
    spans.iter_mut().for_each(|span| span.start -= span.start % 40_000_000);
    spans
}

fn questions() -> Vec<SpanFilter> {
    let all = SpanFilter::default;
    let middle = data::T0 + 70 * data::TRACE_STEP;
    vec![
        all(),
        SpanFilter { service: Some("stock".to_owned()), ..all() },
        SpanFilter { tags: vec![TagFilter::new("user.id", "user-3")], ..all() },
        SpanFilter { condition: "load >= 1 and kind = client".parse().ok(), ..all() },
        SpanFilter { errors_only: true, ..all() },
        SpanFilter { range: TimeRange { end: UnixNanos(middle), ..TimeRange::ALL }, ..all() },
        SpanFilter { service: Some("nobody".to_owned()), ..all() },
    ]
}

pub(super) async fn pages_of_spans_are_one_large_page(subject: Subject) {
    let spans = crowded(81);
    data::append_spans(&subject.store, &spans).await;
    let mut subject = subject.settled().await;
    for filter in questions() {
        let all = TraceQuery::new(filter.clone(), usize::MAX);
        let all = subject.store.find_spans(&all).await.expect("a page");
        assert!(all.next.is_none());
        for limit in [7, 100] {
            let mut query = TraceQuery::new(filter.clone(), limit);
            let mut found = Vec::new();
            loop {
                let page = subject.store.find_spans(&query).await.expect("a page");
                assert!(page.spans.len() == limit || page.next.is_none());
                found.extend(page.spans);
                query.after = page.next.map(travelled);
                if query.after.is_none() {
                    break;
                }
            }
            let ids = |spans: &[crate::SpanRecord]| -> Vec<_> {
                spans.iter().map(|span| (span.start, span.trace_id, span.span_id)).collect()
            };
            assert_eq!(ids(&found), ids(&all.spans), "pages of {limit}: {filter:?}");
        }
    }
    // A cursor outlives what happens to the store between two pages.
    let mut query = TraceQuery::new(SpanFilter::default(), spans.len() / 3);
    let mut found = BTreeSet::new();
    loop {
        let page = subject.store.find_spans(&query).await.expect("a page");
        found.extend(page.spans.iter().map(|span| span.span_id));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
        subject = subject.settled().await;
    }
    assert_eq!(found, spans.iter().map(|span| data::span_id(span.id)).collect());
}

/// Over the wire and back.
fn travelled(cursor: Cursor) -> Cursor {
    cursor.to_string().parse().expect("what was written can be read")
}

pub(super) async fn pages_of_traces_are_one_large_page(subject: Subject) {
    let spans = crowded(82);
    data::append_spans(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    for filter in questions() {
        let all = TraceQuery::new(filter.clone(), usize::MAX);
        let all = store.find_traces(&all).await.expect("a page").traces;
        let key = |trace: &crate::TraceSummary| (trace.start, trace.trace_id, trace.spans);
        for limit in [1, 7, 100] {
            let mut query = TraceQuery::new(filter.clone(), limit);
            let mut found = Vec::new();
            loop {
                let page = store.find_traces(&query).await.expect("a page");
                assert!(page.traces.len() == limit || page.next.is_none());
                assert!(page.traces.is_sorted_by_key(|trace| std::cmp::Reverse(trace.start)));
                found.extend(page.traces);
                query.after = page.next.map(travelled);
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), all.len(), "pages of {limit}: {filter:?}");
            let found: BTreeSet<_> = found.iter().map(key).collect();
            assert_eq!(found, all.iter().map(key).collect(), "pages of {limit}: {filter:?}");
        }
    }
}

/// Several records of one moment, some of them the same.
pub(super) async fn pages_of_logs_are_one_large_page(subject: Subject) {
    let mut random = Random::new(83);
    let mut logs = data::logs(84, 200);
    for log in &mut logs {
        log.time -= log.time % 20_000_000;
        log.body = format!("task {}", random.below(5));
    }
    for request in logs.chunks(50) {
        data::append(&subject.store, &data::logs_request(request)).await;
    }
    let mut subject = subject.settled().await;
    for limit in [1, 30, 70] {
        let mut query = LogQuery::all(limit);
        let mut found = Vec::new();
        loop {
            let page = subject.store.find_logs(&query).await.expect("a page");
            assert!(page.logs.len() == limit || page.next.is_none());
            found.extend(page.logs.iter().map(|l| (l.time.0, data::body(l), l.trace_id)));
            query.after = page.next.map(travelled);
            if query.after.is_none() {
                break;
            }
            if limit == 70 {
                subject = subject.settled().await;
            }
        }
        assert!(found.is_sorted_by_key(|(time, ..)| std::cmp::Reverse(*time)));
        found.sort();
        let ids = |log: &data::ModelLog| log.trace.map(data::trace_id);
        let mut expected: Vec<_> =
            logs.iter().map(|log| (log.time, log.body.clone(), ids(log))).collect();
        expected.sort();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

pub(super) async fn cursors_of_another_search_are_refused(subject: Subject) {
    data::append(&subject.store, &data::traces_request(&data::spans(85, 9))).await;
    let log = otlp::LogRecord { time_unix_nano: data::T0, ..Default::default() };
    let request = otlp::ExportLogsServiceRequest {
        resource_logs: vec![otlp::ResourceLogs {
            scope_logs: vec![otlp::ScopeLogs {
                log_records: vec![log.clone(), log],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    data::append(&subject.store, &Request::Logs(request)).await;
    let store = subject.settled().await.store;
    let mut traces = TraceQuery::new(SpanFilter::default(), 1);
    let mut logs = LogQuery::all(1);
    let of_traces = store.find_traces(&traces).await.expect("a page").next.expect("more");
    let of_spans = store.find_spans(&traces).await.expect("a page").next.expect("more");
    let of_logs = store.find_logs(&logs).await.expect("a page").next.expect("more");
    for wrong in [&of_spans, &of_logs] {
        traces.after = Some(wrong.clone());
        let error = store.find_traces(&traces).await.expect_err("not its cursor");
        assert_eq!(error.kind, StoreErrorKind::InvalidData);
    }
    for wrong in [&of_traces, &of_logs] {
        traces.after = Some(wrong.clone());
        let error = store.find_spans(&traces).await.expect_err("not its cursor");
        assert_eq!(error.kind, StoreErrorKind::InvalidData);
    }
    for wrong in [&of_traces, &of_spans] {
        logs.after = Some(wrong.clone());
        let error = store.find_logs(&logs).await.expect_err("not its cursor");
        assert_eq!(error.kind, StoreErrorKind::InvalidData);
    }
}
