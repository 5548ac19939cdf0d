//! What comes late, twice, from wrong clocks; and askers who go away.

use super::Subject;
use super::data::{self, ModelSpan, T0};
use crate::filter::SpanFilter;
use crate::interface::Store;
use crate::query::{GraphQuery, LogQuery, RedQuery, ScanQuery, TimeRange, TraceQuery};
use carafe_telemetry::{Request, Signal, SpanId, TraceId, UnixNanos, otlp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;

/// Traces over some days; every tenth has a last span that starts hours later.
fn days(seed: u64) -> Vec<ModelSpan> {
    let mut spans = data::spans_every(23 * MINUTE, seed, 250);
    let last: BTreeMap<u64, u64> = spans.iter().map(|span| (span.trace, span.id)).collect();
    for span in &mut spans {
        if span.trace % 10 == 0 && last[&span.trace] == span.id && span.parent.is_some() {
            span.start += 3 * HOUR;
        }
    }
    spans
}

fn newest_first(spans: &[ModelSpan]) -> Vec<SpanId> {
    let mut spans: Vec<&ModelSpan> = spans.iter().collect();
    spans.sort_by_key(|span| Reverse(span.start));
    spans.iter().map(|span| data::span_id(span.id)).collect()
}

/// Everything there is must be found, and in order.
async fn assert_complete(store: &Arc<dyn Store>, spans: &[ModelSpan]) {
    let query = |limit| TraceQuery::new(SpanFilter::default(), limit);
    let page = store.find_spans(&query(usize::MAX)).await.expect("a page");
    let found: Vec<SpanId> = page.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(found, newest_first(spans));
    let mut traces = BTreeMap::<u64, (u64, u64, u64)>::new();
    for span in spans {
        let entry = traces.entry(span.trace).or_insert((0, u64::MAX, 0));
        *entry = (entry.0.max(span.start), entry.1.min(span.start), entry.2 + 1);
    }
    // The traces whose newest spans are the newest, by their own starts.
    let mut by_newest: Vec<(u64, (u64, u64, u64))> = traces.into_iter().collect();
    by_newest.sort_by_key(|(_, (newest, ..))| Reverse(*newest));
    for limit in [20, usize::MAX] {
        let mut expected = by_newest[..limit.min(by_newest.len())].to_vec();
        expected.sort_by_key(|(_, (_, start, _))| Reverse(*start));
        let expected: Vec<(TraceId, u64)> =
            expected.iter().map(|(id, (.., count))| (data::trace_id(*id), *count)).collect();
        let page = store.find_traces(&query(limit)).await.expect("a page");
        let found: Vec<(TraceId, u64)> =
            page.traces.iter().map(|trace| (trace.trace_id, trace.spans)).collect();
        assert_eq!(found, expected, "{limit} traces");
    }
}

/// What is counted must add up.
async fn assert_counted(store: &Arc<dyn Store>, spans: &[ModelSpan]) {
    assert_eq!(store.stats().await.expect("stats").spans, spans.len() as u64);
    let services = store.services().await.expect("services");
    assert_eq!(services.iter().map(|s| s.spans).sum::<u64>(), spans.len() as u64);
    let starts = || spans.iter().map(|span| span.start);
    let (first, last) = (starts().min().expect("spans"), starts().max().expect("spans"));
    for (range, step) in [
        (TimeRange { start: UnixNanos(first), end: UnixNanos(last) }, HOUR),
        (TimeRange { start: UnixNanos(first + 1), end: UnixNanos(last - 1) }, HOUR),
        (TimeRange { start: UnixNanos(first), end: UnixNanos(first + 30 * MINUTE) }, MINUTE / 6),
    ] {
        for service in [None, Some("users")] {
            let service = service.map(str::to_owned);
            let filter = SpanFilter { range, service: service.clone(), ..SpanFilter::default() };
            let query = RedQuery { filter, step: Duration::from_nanos(step) };
            let red = store.red(&query).await.expect("a series");
            let mut expected = BTreeMap::<u64, (u64, u64)>::new();
            let answers = |span: &&ModelSpan| {
                (span.parent.is_none() || [2, 5].contains(&span.kind))
                    && service.as_deref().is_none_or(|service| span.service == service)
                    && (range.start.0..=range.end.0).contains(&span.start)
            };
            for span in spans.iter().filter(answers) {
                let point = expected.entry(span.start / step * step).or_default();
                *point = (point.0 + 1, point.1 + u64::from(span.error));
            }
            let found = red.points.iter().filter(|point| point.count > 0);
            let found: Vec<_> = found.map(|p| (p.time.0, (p.count, p.errors))).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
    let by_id: BTreeMap<u64, &ModelSpan> = spans.iter().map(|span| (span.id, span)).collect();
    let is_call = |span: &&ModelSpan| {
        span.parent.and_then(|id| by_id.get(&id)).is_some_and(|parent| {
            parent.service != span.service
                || ([3, 4].contains(&parent.kind) && [2, 5].contains(&span.kind))
        })
    };
    let graph = store.service_graph(&GraphQuery::default()).await.expect("a graph");
    let calls = spans.iter().filter(is_call).count() as u64;
    assert_eq!(graph.iter().map(|edge| edge.calls).sum::<u64>(), calls);
}

pub(super) async fn days_of_data_come_newest_first(subject: Subject) {
    let spans = days(91);
    data::append_spans(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    assert_complete(&store, &spans).await;
    assert_counted(&store, &spans).await;
    for hours in [1, 10, 60] {
        let range = TimeRange { start: UnixNanos(T0), end: UnixNanos(T0 + hours * HOUR) };
        let filter = SpanFilter { range, ..SpanFilter::default() };
        let page = store.find_spans(&TraceQuery::new(filter, 15)).await.expect("a page");
        let found: Vec<SpanId> = page.spans.iter().map(|span| span.span_id).collect();
        let inside = spans.iter().filter(|span| range.contains(UnixNanos(span.start)));
        let inside: Vec<ModelSpan> = inside.cloned().collect();
        let expected = newest_first(&inside);
        assert_eq!(found, expected[..expected.len().min(15)], "{hours} hours");
    }
}

/// Older data comes after newer data is where it stays.
pub(super) async fn late_data_is_found(subject: Subject) {
    let spans = days(92);
    let (older, newer): (Vec<_>, Vec<_>) = spans.iter().cloned().partition(|s| s.id % 3 == 0);
    data::append_spans(&subject.store, &newer).await;
    let subject = subject.settled().await;
    data::append_spans(&subject.store, &older).await;
    assert_complete(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    assert_complete(&store, &spans).await;
    assert_counted(&store, &spans).await;
}

/// The same spans again, in other requests, some at once and some later.
async fn twice(subject: Subject, seed: u64) -> (Subject, Vec<ModelSpan>) {
    let spans = days(seed);
    data::append_spans(&subject.store, &spans).await;
    data::append_spans(&subject.store, &spans[..100]).await;
    let subject = subject.settled().await;
    let again: Vec<ModelSpan> = spans.iter().filter(|span| span.id % 4 != 0).cloned().collect();
    for request in again.chunks(77) {
        data::append(&subject.store, &data::traces_request(request)).await;
    }
    (subject, spans)
}

pub(super) async fn duplicates_are_found_once(subject: Subject) {
    let (subject, spans) = twice(subject, 93).await;
    assert_complete(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    assert_complete(&store, &spans).await;
    let trace = store.trace(data::trace_id(7)).await.expect("an answer").expect("a trace");
    assert_eq!(trace.spans.len(), spans.iter().filter(|span| span.trace == 7).count());
    let mut after = None;
    let mut scanned = Vec::new();
    loop {
        let range = TimeRange::ALL;
        let query = ScanQuery { signal: Signal::Traces, range, after, limit: 100 };
        let page = store.scan(&query).await.expect("a page");
        if let Some(batch) = page.batch {
            let Ok(Request::Traces(request)) = batch.decode() else { panic!("traces expected") };
            let scopes = request.resource_spans.into_iter().flat_map(|rs| rs.scope_spans);
            scanned.extend(scopes.flat_map(|scope| scope.spans).map(|span| span.span_id));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(scanned.len(), spans.len());
    assert_eq!(scanned.iter().collect::<BTreeSet<_>>().len(), spans.len());
}

pub(super) async fn duplicates_are_counted_once(subject: Subject) {
    let (subject, spans) = twice(subject, 94).await;
    assert_counted(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    assert_counted(&store, &spans).await;
}

/// One trace of which each service has a clock of its own, some of them hours or a day off;
/// and spans that end before they begin.
pub(super) async fn skewed_clocks_do_no_harm(subject: Subject) {
    let mut spans = data::spans_every(MINUTE, 95, 60);
    for span in &mut spans {
        match span.service {
            "stock" => span.start -= 5 * HOUR,
            "users" => span.start += 24 * HOUR,
            _ => {}
        }
    }
    let mut request = data::traces_request(&spans);
    let Request::Traces(traces) = &mut request else { panic!("traces were made") };
    let backwards = otlp::Span {
        trace_id: data::trace_id(9_999).0.to_vec(),
        span_id: data::span_id(9_999).0.to_vec(),
        name: "backwards".to_owned(),
        kind: 2,
        start_time_unix_nano: T0 + HOUR,
        end_time_unix_nano: T0,
        ..Default::default()
    };
    traces.resource_spans[0].scope_spans[0].spans.push(backwards);
    data::append(&subject.store, &request).await;
    let store = subject.settled().await.store;
    let trace = store.trace(data::trace_id(9_999)).await.expect("an answer").expect("a trace");
    assert_eq!(trace.spans[0].duration(), Duration::ZERO);
    assert_eq!(trace.spans[0].end.0, T0);
    let named = SpanFilter { operation: Some("backwards".to_owned()), ..SpanFilter::default() };
    let zero = SpanFilter { max_duration: Some(Duration::ZERO), ..named.clone() };
    let longer = SpanFilter { min_duration: Some(Duration::from_nanos(1)), ..named.clone() };
    for (filter, count) in [(named, 1), (zero, 1), (longer, 0)] {
        let page = store.find_traces(&TraceQuery::new(filter, 9)).await.expect("a page");
        assert_eq!(page.traces.len(), count);
    }
    for trace in 1..=60 {
        let expected = spans.iter().filter(|span| span.trace == trace);
        let found = store.trace(data::trace_id(trace)).await.expect("an answer").expect("a trace");
        assert_eq!(found.spans.len(), expected.count());
        assert!(found.spans.is_sorted_by_key(|span| (span.start, span.span_id)));
    }
    let query = TraceQuery::new(SpanFilter::default(), usize::MAX);
    let page = store.find_spans(&query).await.expect("a page");
    assert_eq!(page.spans.len(), spans.len() + 1);
    assert!(page.spans.is_sorted_by_key(|span| Reverse(span.start)));
}

/// As in Zipkin's data: client and server have one id.
pub(super) async fn ends_of_a_call_may_share_an_id(subject: Subject) {
    let mut client = data::spans(96, 1)[0].clone();
    client.kind = 3;
    let server = ModelSpan {
        kind: 2,
        service: "stock",
        start: client.start + 1_000,
        name: "serve".to_owned(),
        ..client.clone()
    };
    let same_start = ModelSpan { kind: 4, name: "same start".to_owned(), ..client.clone() };
    let ends = [client, server, same_start];
    for end in &ends {
        data::append(&subject.store, &data::traces_request(std::slice::from_ref(end))).await;
    }
    let store = subject.settled().await.store;
    let trace = store.trace(data::trace_id(1)).await.expect("an answer").expect("a trace");
    let kinds: BTreeSet<i32> = trace.spans.iter().map(|span| span.span.kind).collect();
    assert_eq!((trace.spans.len(), kinds), (3, BTreeSet::from([2, 3, 4])));
    assert_eq!(store.stats().await.expect("stats").spans, 3);
}

/// Lets a question begin, and drops it.
fn begin_and_drop(question: impl Future) {
    let mut question = Box::pin(question);
    // Whether it is done at once is the store's affair.
    let _ = question.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

pub(super) async fn a_dropped_question_does_no_harm(subject: Subject) {
    let spans = data::spans(97, 200);
    data::append_spans(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    for _ in 0..50 {
        let query = TraceQuery::new(SpanFilter::default(), usize::MAX);
        begin_and_drop(store.find_traces(&query));
        begin_and_drop(store.find_spans(&query));
        begin_and_drop(store.find_logs(&LogQuery::all(usize::MAX)));
        begin_and_drop(store.services());
        let scan =
            ScanQuery { signal: Signal::Traces, range: TimeRange::ALL, after: None, limit: 9 };
        begin_and_drop(store.scan(&scan));
    }
    assert_complete(&store, &spans).await;
}
