//! The embedded store and the one in memory give the same answers to the same questions,
//! whatever came in which order and encoding, and wherever the data is by then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use carafe_store::condition::{Condition, Key, Operator, Test};
use carafe_store::{
    GraphQuery, LogQuery, MemoryStore, Records, RedQuery, ScanQuery, SpanFilter, Store, TagFilter,
    TimeRange, TraceQuery, decode, value,
};
use carafe_store_local::log::Durability;
use carafe_store_local::{LocalConfig, LocalStore};
use carafe_telemetry::otlp::{ExportLogsServiceRequest, ExportTraceServiceRequest};
use carafe_telemetry::testing::{logs_request, scramble, traces_request};
use carafe_telemetry::{Batch, Request, Signal, TraceId, UnixNanos};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When most generated items are: a hundred seconds from here on.
const T0: u64 = 1_767_225_600_000_000_000;
const SECOND: u64 = 1_000_000_000;
/// How many different traces there are at a time.
const TRACES: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    /// The last request comes again. Only spans know themselves again.
    Again,
    Flush,
    Merge,
    /// As after a crash: without closing it.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let step = prop_oneof![
        5 => traces_request().prop_map(Step::Traces),
        3 => logs_request().prop_map(Step::Logs),
        1 => Just(Step::Again),
        2 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec((step, any::<u64>()), 1..10)
}

/// Puts the spans into few traces, with parents that came before, come later, or never.
fn relate(request: &mut ExportTraceServiceRequest, count: &mut u64, first: u64, seed: u64) {
    let scopes = request.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans);
    for span in scopes.flat_map(|of| &mut of.spans) {
        *count += 1;
        let id = |number: u64| (number + 1).to_be_bytes().to_vec();
        let back = seed.rotate_left(*count as u32) % 12;
        let parent = (*count + 2 * TRACES).checked_sub(back * TRACES);
        span.trace_id = vec![(first + *count % TRACES) as u8; 16];
        span.span_id = id(*count);
        span.parent_span_id = parent.filter(|_| back > 1).map(id).unwrap_or_default();
    }
}

fn open(directory: &Path) -> Arc<LocalStore> {
    let mut config = LocalConfig::new(directory);
    config.retention_age = None;
    config.maintenance = false;
    config.flush_age = Duration::from_secs(3_600);
    config.log.durability = Durability::Os;
    LocalStore::open(config).unwrap()
}

/// All pages of a search as one.
macro_rules! pages {
    ($store:expr, $find:ident, $items:ident, $query:expr) => {{
        let mut query = $query;
        let mut found = Vec::new();
        loop {
            let page = $store.$find(&query).await.unwrap();
            found.extend(page.$items.iter().map(|item| format!("{item:?}")));
            query.after = page.next;
            if query.after.is_none() {
                break found;
            }
        }
    }};
}

fn filters(tags: &[(String, String)]) -> Vec<SpanFilter> {
    let range = TimeRange { start: UnixNanos(T0), end: UnixNanos(T0 + 100 * SECOND - 1) };
    let mut filters = vec![
        SpanFilter::default(),
        SpanFilter { range, ..SpanFilter::default() },
        SpanFilter { errors_only: true, ..SpanFilter::default() },
        SpanFilter { service: Some("frontend".to_owned()), ..SpanFilter::default() },
        SpanFilter { operation: Some("GET".to_owned()), range, ..SpanFilter::default() },
        SpanFilter { min_duration: Some(Duration::from_secs(20)), ..SpanFilter::default() },
    ];
    for (key, value) in tags {
        let tags = vec![TagFilter::new(key, value)];
        filters.push(SpanFilter { tags, ..SpanFilter::default() });
        let test = Test::new(Key::Attribute(key.clone()), Operator::Equal, value.clone());
        let not = Condition::Not(Box::new(Condition::Test(test.unwrap())));
        filters.push(SpanFilter { condition: Some(not), range, ..SpanFilter::default() });
    }
    filters
}

/// What the store says, each answer after its question.
async fn answers(store: &dyn Store, tags: &[(String, String)]) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |question: String, answer: String| all.push(format!("{question}\n{answer}"));
    let stats = store.stats().await.unwrap();
    say("counts".into(), format!("{} {}", stats.spans, stats.logs));
    let ids: Vec<_> = (0..64).map(|n| TraceId([n; 16])).collect();
    say("traces".into(), format!("{:?}", store.traces(&ids).await.unwrap()));
    say("services".into(), format!("{:?}", store.services().await.unwrap()));
    let all_time = TimeRange::ALL;
    let some_time = TimeRange { start: UnixNanos(T0), end: UnixNanos(T0 + 50 * SECOND - 1) };
    for range in [all_time, some_time] {
        let graph = store.service_graph(&GraphQuery { range }).await.unwrap();
        say(format!("graph {range:?}"), format!("{graph:?}"));
    }
    for filter in filters(tags) {
        let query = TraceQuery::new(filter.clone(), 3);
        let spans = pages!(store, find_spans, spans, query.clone());
        say(format!("spans {filter:?}"), format!("{spans:?}"));
        let traces = pages!(store, find_traces, traces, query);
        say(format!("traces {filter:?}"), format!("{traces:?}"));
        if filter.range != all_time {
            for seconds in [7, 10] {
                let step = Duration::from_secs(seconds);
                let red = store.red(&RedQuery { filter: filter.clone(), step }).await.unwrap();
                say(format!("red {seconds} {filter:?}"), format!("{red:?}"));
            }
        }
    }
    let logs = LogQuery::all(3);
    for query in [
        logs.clone(),
        LogQuery { range: some_time, ..logs.clone() },
        LogQuery { service: Some("frontend".to_owned()), ..logs.clone() },
        LogQuery { text: Some("get".to_owned()), ..logs.clone() },
        LogQuery { min_severity: 13, ..logs },
    ] {
        let mut found = pages!(store, find_logs, logs, query.clone());
        found.sort();
        say(format!("logs {query:?}"), format!("{found:?}"));
    }
    for signal in [Signal::Traces, Signal::Logs] {
        say(format!("scan of {signal}"), format!("{:?}", scan(store, signal).await));
    }
    all
}

/// All items of a signal, in one order.
async fn scan(store: &dyn Store, signal: Signal) -> Vec<String> {
    let mut query = ScanQuery { signal, range: TimeRange::ALL, after: None, limit: 5 };
    let mut items = Vec::new();
    loop {
        let page = store.scan(&query).await.unwrap();
        if let Some(batch) = page.batch {
            match decode(&batch, UnixNanos(0)).unwrap().records {
                Records::Spans(spans) => items.extend(spans.iter().map(|s| format!("{s:?}"))),
                Records::Logs(logs) => items.extend(logs.iter().map(|l| format!("{:?}", l.log))),
                Records::Points(_) => panic!("there are no metrics"),
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            items.sort();
            return items;
        }
    }
}

/// Some tags of a request's spans.
fn some_tags(batch: &Batch, tags: &mut Vec<(String, String)>) {
    let Records::Spans(spans) = decode(batch, UnixNanos(0)).unwrap().records else { return };
    let attributes = spans.iter().flat_map(|span| {
        let shared = &span.resource.resource.attributes;
        span.span.attributes.iter().take(1).chain(shared.iter().take(1))
    });
    let tag = |kv: &carafe_telemetry::otlp::KeyValue| {
        Some((kv.key.clone(), value::text(kv.value.as_ref()?).into_owned()))
    };
    tags.extend(attributes.filter_map(tag).take(2));
}

async fn run(steps: Vec<(Step, u64)>) {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let mut local = open(directory.path());
    let (mut last, mut count, mut tags) = (None, 0, Vec::new());
    let (mut first_trace, mut has_files) = (1, false);
    for (step, seed) in steps {
        let again = matches!(step, Step::Again);
        let request = match step {
            Step::Traces(mut request) => {
                relate(&mut request, &mut count, first_trace, seed);
                Request::Traces(request).encode()
            }
            Step::Logs(mut request) => {
                // The two stores would not take them at the same moment.
                let scopes = request.resource_logs.iter_mut().flat_map(|of| &mut of.scope_logs);
                let logs = scopes.flat_map(|of| &mut of.log_records);
                logs.for_each(|log| log.observed_time_unix_nano |= 1);
                Request::Logs(request).encode()
            }
            Step::Again => match &last {
                Some(batch) => Batch::clone(batch),
                None => continue,
            },
            Step::Flush => {
                local.flush_blocking().unwrap();
                has_files = true;
                continue;
            }
            Step::Merge => {
                local.merge_all_blocking().unwrap();
                continue;
            }
            Step::Reopen => {
                drop(local);
                local = open(directory.path());
                if has_files {
                    // What is in files is not remembered (ADR 7): neither that a span was
                    // there before, nor who called it.
                    last = None;
                    first_trace += TRACES;
                }
                continue;
            }
        };
        let bytes = match seed.is_multiple_of(3) && !again {
            true => scramble(request.signal, &request.bytes, seed, false).into(),
            false => request.bytes.clone(),
        };
        let batch = Batch { bytes, ..request };
        some_tags(&batch, &mut tags);
        let expected = memory.append(batch.clone()).await.unwrap();
        assert_eq!(local.append(batch.clone()).await.unwrap(), expected);
        last = Some(batch);
    }
    let expected = answers(&memory, &tags).await;
    for (found, expected) in answers(&*local, &tags).await.iter().zip(&expected) {
        assert!(found == expected, "embedded: {found}\n\nin memory: {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_stores_answer_alike(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(run(steps));
    }
}
