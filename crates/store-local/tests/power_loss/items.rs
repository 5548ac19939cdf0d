//! What is stored, and the account of it.

use carafe_store::{ScanQuery, Store, TimeRange};
use carafe_store_local::disk::random::Random;
use carafe_telemetry::otlp::{self, any_value, metric, number_data_point};
use carafe_telemetry::{Batch, Request, Signal, TraceId};
use std::collections::{BTreeMap, BTreeSet};

/// One item that was sent: its signal, and a number that no other item has.
pub(crate) type Item = (Signal, u64);

/// A request with what is in it.
pub(crate) struct Requested {
    pub(crate) batch: Batch,
    pub(crate) items: Vec<Item>,
}

/// What was sent, and what of it has to be there.
#[derive(Default)]
pub(crate) struct Ledger {
    sent: u64,
    tried: BTreeSet<Item>,
    acknowledged: BTreeSet<Item>,
}

/// Spans of a trace.
const TRACE_SPANS: u64 = 4;
/// 2026-01-01T00:00:00Z.
const T0: u64 = 1_767_225_600_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// When the item happened: over some hours, so that each flush writes several windows.
fn time(number: u64) -> u64 {
    T0 + number % 7 * 1_700 * SECOND + number
}

fn resource(number: u64) -> Option<otlp::Resource> {
    let attributes = vec![otlp::string("service.name", format!("service-{}", number % 3))];
    Some(otlp::Resource { attributes, ..Default::default() })
}

fn trace_id(number: u64) -> [u8; 16] {
    u128::from(number / TRACE_SPANS + 1).to_be_bytes()
}

fn span(number: u64) -> otlp::Span {
    otlp::Span {
        trace_id: trace_id(number).to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("operation {}", number % 5),
        start_time_unix_nano: time(number),
        end_time_unix_nano: time(number) + 1_000 * (number % 50),
        attributes: vec![otlp::string("number", number.to_string())],
        ..Default::default()
    }
}

fn spans(numbers: &[u64]) -> Request {
    let spans = numbers.iter().map(|number| span(*number)).collect();
    let scope_spans = vec![otlp::ScopeSpans { spans, ..Default::default() }];
    let resource = resource(numbers[0]);
    let resource_spans = vec![otlp::ResourceSpans { resource, scope_spans, ..Default::default() }];
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans })
}

fn logs(numbers: &[u64]) -> Request {
    let record = |number: &u64| otlp::LogRecord {
        time_unix_nano: time(*number),
        body: otlp::string("", format!("record {number}")).value,
        ..Default::default()
    };
    let log_records = numbers.iter().map(record).collect();
    let scope_logs = vec![otlp::ScopeLogs { log_records, ..Default::default() }];
    let resource = resource(numbers[0]);
    let resource_logs = vec![otlp::ResourceLogs { resource, scope_logs, ..Default::default() }];
    Request::Logs(otlp::ExportLogsServiceRequest { resource_logs })
}

fn points(numbers: &[u64]) -> Request {
    let point = |number: &u64| otlp::NumberDataPoint {
        time_unix_nano: time(*number),
        value: Some(number_data_point::Value::AsInt(*number as i64)),
        ..Default::default()
    };
    let gauge = otlp::Gauge { data_points: numbers.iter().map(point).collect() };
    let data = Some(metric::Data::Gauge(gauge));
    let metrics = vec![otlp::Metric { name: "level".to_owned(), data, ..Default::default() }];
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
    let resource = resource(numbers[0]);
    let resource_metrics =
        vec![otlp::ResourceMetrics { resource, scope_metrics, ..Default::default() }];
    Request::Metrics(otlp::ExportMetricsServiceRequest { resource_metrics })
}

impl Ledger {
    /// A request of some new items.
    pub(crate) fn request(&mut self, random: &mut Random) -> Requested {
        let count = 1 + random.below(40) as u64;
        let numbers: Vec<u64> = (self.sent..self.sent + count).collect();
        self.sent += count;
        let (signal, request) = match random.below(4) {
            0 => (Signal::Logs, logs(&numbers)),
            1 => (Signal::Metrics, points(&numbers)),
            _ => (Signal::Traces, spans(&numbers)),
        };
        let items: Vec<Item> = numbers.into_iter().map(|number| (signal, number)).collect();
        self.tried.extend(&items);
        Requested { batch: request.encode(), items }
    }

    /// These have to be there from now on.
    pub(crate) fn acknowledge(&mut self, items: Vec<Item>) {
        self.acknowledged.extend(items);
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Panics where something is lost, there twice, or was never sent.
    pub(crate) fn compare(&mut self, found: Vec<Item>, what: &str) {
        let all: BTreeSet<Item> = found.iter().copied().collect();
        let mut counts = BTreeMap::new();
        found.iter().for_each(|item| *counts.entry(item).or_insert(0) += 1);
        counts.retain(|_, count| *count > 1);
        assert!(counts.is_empty(), "{what}: there more than once: {counts:?}");
        let lost: Vec<_> = self.acknowledged.difference(&all).collect();
        assert!(
            lost.is_empty(),
            "{what}: lost {} of {}: {lost:?}",
            lost.len(),
            self.acknowledged()
        );
        let foreign: Vec<_> = all.difference(&self.tried).collect();
        assert!(foreign.is_empty(), "{what}: nobody sent {foreign:?}");
        // What came back without having been acknowledged stays, too.
        self.acknowledged = all;
    }
}

/// Everything that is in the store, page by page.
pub(crate) async fn everything(store: &dyn Store) -> Vec<Item> {
    let mut found = Vec::new();
    for signal in Signal::ALL {
        let range = TimeRange::ALL;
        let mut query = ScanQuery { signal, range, after: None, limit: 500 };
        loop {
            let page = store.scan(&query).await.unwrap();
            if let Some(batch) = page.batch {
                found.extend(numbers(batch.decode().unwrap()).into_iter().map(|n| (signal, n)));
            }
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
    }
    found
}

/// The numbers of the items, each of which has to be as it was sent.
fn numbers(request: Request) -> Vec<u64> {
    match request {
        Request::Traces(request) => {
            let scopes = request.resource_spans.into_iter().flat_map(|some| some.scope_spans);
            let number = |found: otlp::Span| {
                let number = u64::from_be_bytes(found.span_id[..].try_into().unwrap()) - 1;
                assert_eq!(found, span(number));
                number
            };
            scopes.flat_map(|scope| scope.spans).map(number).collect()
        }
        Request::Logs(request) => {
            let scopes = request.resource_logs.into_iter().flat_map(|some| some.scope_logs);
            let number = |found: otlp::LogRecord| {
                let Some(any_value::Value::StringValue(text)) = found.body.unwrap().value else {
                    panic!("not a string");
                };
                text.strip_prefix("record ").unwrap().parse().unwrap()
            };
            scopes.flat_map(|scope| scope.log_records).map(number).collect()
        }
        Request::Metrics(request) => {
            let scopes = request.resource_metrics.into_iter().flat_map(|some| some.scope_metrics);
            let points = |metric: otlp::Metric| {
                let Some(metric::Data::Gauge(gauge)) = metric.data else { panic!("not a gauge") };
                gauge.data_points
            };
            let number = |point: otlp::NumberDataPoint| {
                let Some(number_data_point::Value::AsInt(number)) = point.value else {
                    panic!("not a whole number");
                };
                number as u64
            };
            scopes.flat_map(|scope| scope.metrics).flat_map(points).map(number).collect()
        }
    }
}

/// Looks each trace up by its id.
pub(crate) async fn find_traces(store: &dyn Store, ledger: &Ledger, what: &str) {
    let mut expected: BTreeMap<TraceId, usize> = BTreeMap::new();
    for (signal, number) in &ledger.acknowledged {
        if *signal == Signal::Traces {
            *expected.entry(TraceId::from_slice(&trace_id(*number)).unwrap()).or_default() += 1;
        }
    }
    let ids: Vec<TraceId> = expected.keys().copied().collect();
    for some in ids.chunks(200) {
        let traces = store.traces(some).await.unwrap();
        let found: Vec<_> = traces.iter().map(|trace| (trace.id, trace.spans.len())).collect();
        let wanted: Vec<_> = some.iter().map(|id| (*id, expected[id])).collect();
        assert_eq!(found, wanted, "{what}: traces by id");
    }
}
