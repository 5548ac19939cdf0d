//! The memory store: the conformance suite, and what it does at its limits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use carafe_store::{
    LogQuery, MemoryLimits, MemoryStore, MetricQuery, ScanQuery, SpanFilter, Store, TimeRange,
    TraceQuery, conformance,
};
use carafe_telemetry::otlp::{self, Span};
use carafe_telemetry::{Request, Signal, TraceId};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    conformance::run(|| Arc::new(MemoryStore::default()), &[]).await;
}

/// All that `store` has, in a new one.
async fn copy_of(store: Arc<dyn Store>) -> Arc<dyn Store> {
    let copy = MemoryStore::default();
    for signal in Signal::ALL {
        let mut after = None;
        loop {
            let query = ScanQuery { signal, range: TimeRange::ALL, after, limit: 1_000 };
            let page = store.scan(&query).await.unwrap();
            if let Some(batch) = page.batch {
                copy.append(batch).await.unwrap();
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Arc::new(copy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_conforms() {
    let open = || Arc::new(MemoryStore::default()) as Arc<dyn Store>;
    // A record without a time gets another one when it is stored again.
    let except = ["logs::logs_without_a_time_get_one"];
    conformance::run_with(open, Arc::new(|store| Box::pin(copy_of(store))), &except).await;
}

fn trace_id(number: u32) -> TraceId {
    let mut id = [1; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

fn span(trace: u32, id: u64, name: &str) -> Span {
    Span {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: name.to_owned(),
        start_time_unix_nano: 1_000 + u64::from(trace),
        end_time_unix_nano: 2_000 + u64::from(trace),
        attributes: vec![otlp::string("text", "x".repeat(100))],
        ..Default::default()
    }
}

fn traces(spans: Vec<Span>) -> Request {
    let scope_spans = vec![otlp::ScopeSpans { spans, ..Default::default() }];
    let of_resource = otlp::ResourceSpans { scope_spans, ..Default::default() };
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans: vec![of_resource] })
}

fn all() -> TraceQuery {
    TraceQuery::new(SpanFilter::default(), usize::MAX)
}

/// What is left must be the newest traces whole, and nothing of the others.
async fn assert_left(store: &MemoryStore, left: std::ops::Range<u32>) {
    let page = store.find_traces(&all()).await.unwrap();
    let ids: Vec<TraceId> = page.traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(ids, left.clone().rev().map(trace_id).collect::<Vec<_>>());
    assert!(page.traces.iter().all(|trace| trace.spans == 2));
    let stats = store.stats().await.unwrap();
    let count = u64::from(left.end - left.start);
    assert_eq!((stats.traces, stats.spans), (count, 2 * count));
    assert_eq!((stats.evicted_traces, stats.evicted_spans), (100 - count, 2 * (100 - count)));
    let services = store.services().await.unwrap();
    assert_eq!(services[0].spans, 2 * count);
    let names = services[0].operations.iter().map(|operation| operation.name.to_string());
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| name.parse::<u32>().unwrap());
    assert_eq!(names, left.map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn append_100_traces_of_2(store: &MemoryStore) {
    for n in 0..100 {
        let name = n.to_string();
        let request = traces(vec![span(n, 1, &name), span(n, 2, &name)]);
        assert_eq!(store.append(request.encode()).await.unwrap().rejected_items, 0);
    }
}

#[tokio::test]
async fn at_the_limit_of_traces_the_oldest_go() {
    let limits = MemoryLimits { max_traces: 30, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    append_100_traces_of_2(&store).await;
    assert_left(&store, 70..100).await;
}

#[tokio::test]
async fn at_the_limit_of_spans_whole_traces_go() {
    let limits = MemoryLimits { max_spans: 61, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    append_100_traces_of_2(&store).await;
    assert_left(&store, 70..100).await;
}

#[tokio::test]
async fn at_the_limit_of_bytes_the_oldest_go() {
    let store = MemoryStore::default();
    append_100_traces_of_2(&store).await;
    let bytes = store.stats().await.unwrap().bytes as usize;
    let limits = MemoryLimits { max_trace_bytes: bytes / 2, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    append_100_traces_of_2(&store).await;
    let stats = store.stats().await.unwrap();
    assert!(stats.bytes as usize <= bytes / 2);
    assert!((45..=55).contains(&stats.traces), "{stats:?}");
    assert_left(&store, 100 - stats.traces as u32..100).await;
}

#[tokio::test]
async fn when_everything_goes_nothing_is_left_behind() {
    let limits = MemoryLimits { max_trace_bytes: 1, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    append_100_traces_of_2(&store).await;
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.spans, stats.traces, stats.bytes), (0, 0, 0));
    assert_eq!(stats.evicted_traces, 100);
    assert!(store.services().await.unwrap().is_empty());
    assert!(store.find_traces(&all()).await.unwrap().traces.is_empty());
}

#[tokio::test]
async fn a_trace_that_is_too_large_is_cut_and_said() {
    let limits = MemoryLimits { max_spans_per_trace: 10, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    let request = traces((1..=25).map(|id| span(1, id, "a")).collect());
    let appended = store.append(request.encode()).await.unwrap();
    assert_eq!(appended.rejected_items, 15);
    assert_eq!(appended.message, "15 spans are over the limit of 10 a trace");
    assert_eq!(store.trace(trace_id(1)).await.unwrap().unwrap().spans.len(), 10);
    assert_eq!(store.stats().await.unwrap().rejected_items, 15);
}

#[tokio::test]
async fn logs_and_points_have_limits_too() {
    let limits = MemoryLimits { max_logs: 10, max_points: 20, ..MemoryLimits::default() };
    let store = MemoryStore::new(limits);
    let log_records = (1..=25).map(|n| otlp::LogRecord {
        time_unix_nano: n,
        trace_id: trace_id(n as u32).0.to_vec(),
        ..Default::default()
    });
    let scope_logs =
        vec![otlp::ScopeLogs { log_records: log_records.collect(), ..Default::default() }];
    let of_resource = otlp::ResourceLogs { scope_logs, ..Default::default() };
    let request = otlp::ExportLogsServiceRequest { resource_logs: vec![of_resource] };
    store.append(Request::Logs(request).encode()).await.unwrap();
    let page = store.find_logs(&LogQuery::all(100)).await.unwrap();
    let times: Vec<u64> = page.logs.iter().map(|log| log.time.0).collect();
    assert_eq!(times, (16..=25).rev().collect::<Vec<_>>());
    let of_evicted = LogQuery { trace_id: Some(trace_id(3)), ..LogQuery::all(100) };
    assert!(store.find_logs(&of_evicted).await.unwrap().logs.is_empty());

    let data_points = (1..=25).map(|n| otlp::NumberDataPoint {
        time_unix_nano: n,
        attributes: vec![otlp::int("n", (n % 2) as i64)],
        ..Default::default()
    });
    let gauge = otlp::Gauge { data_points: data_points.collect() };
    let metric = otlp::Metric {
        name: "m".to_owned(),
        data: Some(otlp::metric::Data::Gauge(gauge)),
        ..Default::default()
    };
    let scope_metrics = vec![otlp::ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    let of_resource = otlp::ResourceMetrics { scope_metrics, ..Default::default() };
    let request = otlp::ExportMetricsServiceRequest { resource_metrics: vec![of_resource] };
    store.append(Request::Metrics(request).encode()).await.unwrap();
    let query = MetricQuery {
        name: Some("m".to_owned()),
        service: None,
        attributes: Vec::new(),
        range: TimeRange::ALL,
        limit: 10,
    };
    let page = store.select_metrics(&query).await.unwrap();
    let mut times: Vec<u64> =
        page.series.iter().flat_map(|series| &series.points).map(|p| p.time.0).collect();
    times.sort_unstable();
    assert_eq!(times, (6..=25).collect::<Vec<_>>());

    let stats = store.stats().await.unwrap();
    assert_eq!((stats.logs, stats.evicted_logs), (10, 15));
    assert_eq!((stats.points, stats.evicted_points), (20, 5));
}
