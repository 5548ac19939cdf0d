//! What goes in, and how all of it comes out again.

use super::Subject;
use super::data::{self, ModelSpan};
use crate::error::StoreErrorKind;
use crate::filter::SpanFilter;
use crate::interface::Store;
use crate::query::{
    AttributeQuery, GraphQuery, LogQuery, MetricQuery, ScanQuery, StoreStats, TimeRange, TraceQuery,
};
use crate::tail::{Tail, TailItems, TailRead};
use carafe_telemetry::{Batch, Request, Signal, TraceId, otlp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn nothing_is_an_answer(subject: Subject) {
    let store = subject.store;
    let all = TraceQuery::new(SpanFilter::default(), 10);
    assert!(store.traces(&[data::trace_id(1)]).await.expect("no traces").is_empty());
    assert!(store.trace(data::trace_id(1)).await.expect("no trace").is_none());
    assert!(store.find_traces(&all).await.expect("a page").traces.is_empty());
    assert!(store.find_spans(&all).await.expect("a page").spans.is_empty());
    assert!(store.services().await.expect("no services").is_empty());
    assert!(store.service_graph(&GraphQuery::default()).await.expect("a graph").is_empty());
    assert!(store.find_logs(&LogQuery::all(10)).await.expect("a page").logs.is_empty());
    let query = AttributeQuery { service: None, limit: 10 };
    assert!(store.attribute_keys(&query).await.expect("no keys").is_empty());
    assert!(store.attribute_values("a", &query).await.expect("no values").is_empty());
    for signal in Signal::ALL {
        let query = ScanQuery { signal, range: TimeRange::ALL, after: None, limit: 10 };
        let page = store.scan(&query).await.expect("a page");
        assert!(page.batch.is_none() && page.next.is_none());
        // A request without items is stored, and there still is nothing.
        let empty = Batch { signal, bytes: Default::default() };
        let appended = store.append(empty).await.expect("an empty request is valid");
        assert_eq!(appended.rejected_items, 0);
    }
    let stats = store.stats().await.expect("stats");
    assert_eq!((stats.spans, stats.traces, stats.logs, stats.points), (0, 0, 0, 0));
}

/// A store whose traces are spread over files counts those of each file for themselves.
fn assert_traces(stats: &StoreStats, traces: u64) {
    let is_exact = stats.files == 0;
    let most = if is_exact { traces } else { stats.spans };
    assert!((traces..=most).contains(&stats.traces), "{} of {traces} traces", stats.traces);
}

/// Spans by their ids, of the whole trace.
async fn stored_spans(store: &Arc<dyn Store>, trace: u64) -> BTreeMap<Vec<u8>, otlp::Span> {
    let trace = store.trace(data::trace_id(trace)).await.expect("an answer").expect("a trace");
    trace.spans.iter().map(|span| (span.span.span_id.clone(), (*span.span).clone())).collect()
}

fn model_spans(spans: &[ModelSpan], trace: u64) -> BTreeMap<Vec<u8>, otlp::Span> {
    let of_trace = spans.iter().filter(|span| span.trace == trace).map(ModelSpan::to_otlp);
    of_trace.map(|span| (span.span_id.clone(), span)).collect()
}

pub(super) async fn what_is_stored_comes_back_unchanged(subject: Subject) {
    let mut spans = data::spans(41, 20);
    spans.truncate(60);
    let last = spans.iter().map(|span| span.trace).max().expect("spans");
    data::append(&subject.store, &data::traces_request(&spans)).await;
    let store = subject.settled().await.store;
    for trace in 1..=last {
        assert_eq!(stored_spans(&store, trace).await, model_spans(&spans, trace));
    }
    let ids = [last, 999, 1].map(data::trace_id);
    let found: Vec<TraceId> =
        store.traces(&ids).await.expect("traces").iter().map(|trace| trace.id).collect();
    assert_eq!(found, [ids[0], ids[2]], "in the order of the question");
    let trace = store.trace(ids[2]).await.expect("an answer").expect("a trace");
    for record in trace.spans.iter() {
        let span = &record.span;
        assert_eq!(record.resource.resource, data::resource(record.service()));
        assert_eq!(record.scope.scope, data::scope());
        assert_eq!(record.scope.schema_url, "https://opentelemetry.io/schemas/1.30.0");
        assert_eq!(record.span_id.0.as_slice(), span.span_id);
        assert_eq!(record.start.0, span.start_time_unix_nano);
        assert_eq!(record.end.0, span.end_time_unix_nano);
    }
}

pub(super) async fn spans_of_a_trace_may_come_in_any_order(subject: Subject) {
    let spans = data::spans(42, 30);
    for span in spans.iter().rev() {
        data::append(&subject.store, &data::traces_request(std::slice::from_ref(span))).await;
    }
    let store = subject.settled().await.store;
    for trace in 1..=30 {
        assert_eq!(stored_spans(&store, trace).await, model_spans(&spans, trace));
    }
    let query = TraceQuery::new(SpanFilter::default(), usize::MAX);
    let page = store.find_traces(&query).await.expect("a page");
    let found: Vec<TraceId> = page.traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(found, (1..=30).rev().map(data::trace_id).collect::<Vec<_>>());
}

pub(super) async fn a_retried_request_is_stored_once(subject: Subject) {
    let spans = data::spans(43, 10);
    for _ in 0..3 {
        data::append(&subject.store, &data::traces_request(&spans)).await;
    }
    let store = subject.settled().await.store;
    let stats = store.stats().await.expect("stats");
    assert_eq!(stats.spans, spans.len() as u64);
    let services = store.services().await.expect("services");
    assert_eq!(services.iter().map(|s| s.spans).sum::<u64>(), spans.len() as u64);
}

pub(super) async fn what_cannot_be_stored_is_rejected_one_by_one(subject: Subject) {
    let spans = data::spans(44, 5);
    let mut request = data::traces_request(&spans);
    let Request::Traces(traces) = &mut request else { panic!("traces were made") };
    let list = &mut traces.resource_spans[0].scope_spans[0].spans;
    let wrong = |trace_id: usize, span_id: usize, byte: u8| otlp::Span {
        trace_id: vec![byte; trace_id],
        span_id: vec![byte; span_id],
        ..Default::default()
    };
    list.extend([wrong(16, 8, 0), wrong(0, 8, 1), wrong(16, 7, 1), wrong(17, 8, 1)]);
    let appended = subject.store.append(request.encode()).await.expect("a partial success");
    assert_eq!(appended.rejected_items, 4);
    assert!(!appended.message.is_empty());
    let stats = subject.store.stats().await.expect("stats");
    assert_eq!((stats.spans, stats.rejected_items), (spans.len() as u64, 4));
    let stats = subject.settled().await.store.stats().await.expect("stats");
    assert_eq!(stats.spans, spans.len() as u64);
}

pub(super) async fn what_is_not_otlp_is_invalid_data(subject: Subject) {
    let store = subject.store;
    for signal in Signal::ALL {
        let batch = Batch { signal, bytes: b"\xff\xff\xff\xffnot protobuf".to_vec().into() };
        let error = store.append(batch).await.expect_err("nothing to store");
        assert_eq!(error.kind, StoreErrorKind::InvalidData, "{error}");
        assert!(!error.kind.is_retryable());
    }
}

pub(super) async fn stats_count_what_is_there(subject: Subject) {
    let spans = data::spans(45, 50);
    data::append_spans(&subject.store, &spans).await;
    data::append(&subject.store, &data::logs_request(&data::logs(46, 70))).await;
    data::append(&subject.store, &data::metrics_request(&data::points(47, 80))).await;
    let stats = subject.store.stats().await.expect("stats");
    let appended = (stats.appended_spans, stats.appended_logs, stats.appended_points);
    assert_eq!(appended, (spans.len() as u64, 70, 80));
    let stats = subject.settled().await.store.stats().await.expect("stats");
    assert_eq!(stats.spans, spans.len() as u64);
    assert_traces(&stats, 50);
    assert_eq!((stats.logs, stats.points), (70, 80));
    assert!(stats.bytes > 0 && stats.bytes <= stats.max_bytes);
    assert!(!stats.kind.is_empty());
}

/// The next items of a tail that must have some.
async fn next_items(tail: &mut Tail) -> TailItems {
    match tokio::time::timeout(Duration::from_secs(20), tail.next()).await {
        Ok(Some(TailRead::Event(event))) => event.items,
        other => panic!("items were appended, but the tail gave {other:?}"),
    }
}

pub(super) async fn the_tail_tells_what_is_appended(subject: Subject) {
    let store = subject.store;
    let spans = data::spans(48, 3);
    data::append(&store, &data::traces_request(&spans[..1])).await;
    let mut tail = store.tail(None);
    data::append(&store, &data::traces_request(&spans[1..])).await;
    data::append(&store, &data::logs_request(&data::logs(49, 5))).await;
    data::append(&store, &data::metrics_request(&data::points(50, 7))).await;
    match next_items(&mut tail).await {
        TailItems::Spans(items) => assert_eq!(items.len(), spans.len() - 1),
        other => panic!("spans came first, not {other:?}"),
    }
    match next_items(&mut tail).await {
        TailItems::Logs(items) => assert_eq!(items.len(), 5),
        other => panic!("logs came second, not {other:?}"),
    }
    match next_items(&mut tail).await {
        TailItems::Points(items) => assert_eq!(items.len(), 7),
        other => panic!("points came third, not {other:?}"),
    }
    assert!(tail.try_next().is_none());
}

pub(super) async fn the_tail_resumes(subject: Subject) {
    let store = subject.store;
    let mut tail = store.tail(None);
    data::append(&store, &data::logs_request(&data::logs(51, 5))).await;
    next_items(&mut tail).await;
    let position = tail.position();
    drop(tail);
    data::append(&store, &data::logs_request(&data::logs(52, 3))).await;
    let mut tail = store.tail(Some(position));
    match next_items(&mut tail).await {
        TailItems::Logs(items) => assert_eq!(items.len(), 3),
        other => panic!("logs were appended, not {other:?}"),
    }
    assert!(tail.position() > position);
}

/// What was acknowledged is visible, while others write and search.
pub(super) async fn readers_and_writers_do_not_disturb_each_other(subject: Subject) {
    let store = subject.store;
    const WRITERS: u64 = 4;
    const TRACES: u64 = 100;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for mut span in data::spans(60 + writer, TRACES) {
                span.trace += writer * TRACES;
                let trace = data::trace_id(span.trace);
                data::append(&store, &data::traces_request(&[span.clone()])).await;
                let found = store.trace(trace).await.expect("an answer").expect("a trace");
                let id = data::span_id(span.id);
                assert!(found.spans.iter().any(|stored| stored.span_id == id));
                let query = TraceQuery::new(SpanFilter::default(), 10);
                let page = store.find_traces(&query).await.expect("a page");
                let starts: Vec<_> = page.traces.iter().map(|trace| trace.spans).collect();
                assert!(!starts.is_empty());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a writer finishes");
    }
    let query = MetricQuery {
        name: None,
        service: None,
        attributes: Vec::new(),
        range: TimeRange::ALL,
        limit: 1,
    };
    assert!(store.select_metrics(&query).await.expect("a page").series.is_empty());
    let stats = store.stats().await.expect("stats");
    assert_traces(&stats, WRITERS * TRACES);
}
