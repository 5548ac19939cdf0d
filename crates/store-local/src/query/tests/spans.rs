use super::{VecSource, block_on, memory};
use crate::budget::{Budget, QueryLimits};
use crate::query;
use crate::source::SpanSource;
use carafe_store::{
    AttributeQuery, Records, RedCells, RedQuery, ResourceRecord, ScanQuery, ScopeRecord,
    SpanFilter, SpanRecord, Store, StoreErrorKind, TagFilter, TimeRange, TraceQuery, export,
};
use carafe_telemetry::{Signal, SpanId, TraceId, UnixNanos, otlp};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const SERVICES: [&str; 3] = ["basket", "stock", "users"];
const NAMES: [&str; 3] = ["GET /", "POST /add", "render"];
const CONDITIONS: [&str; 3] =
    ["number >= 2", "kind = server or not status = error", "exists(no.such)"];
const SECOND: u64 = 1_000_000_000;

fn resource(service: &str) -> Arc<ResourceRecord> {
    let attributes = vec![otlp::string("service.name", service)];
    let resource = otlp::Resource { attributes, ..Default::default() };
    Arc::new(ResourceRecord::new(resource, String::new()))
}

#[derive(Clone, Copy, Debug)]
struct Plain {
    trace: u8,
    id: u8,
    /// 0 where there is none.
    parent: u8,
    start: u64,
    duration: u64,
    service: &'static str,
    name: &'static str,
    kind: i32,
    failed: bool,
    number: i64,
}

fn span(plain: Plain) -> SpanRecord {
    let Plain { trace, id, parent, start, duration, service, name, kind, failed, number } = plain;
    let parent_span_id = if parent == 0 { Vec::new() } else { vec![parent; 8] };
    SpanRecord {
        trace_id: TraceId([trace; 16]),
        span_id: SpanId([id; 8]),
        parent_span_id: SpanId::from_slice(&parent_span_id).ok(),
        start: UnixNanos(start),
        end: UnixNanos(start + duration),
        resource: resource(service),
        scope: Arc::new(ScopeRecord::default()),
        span: Arc::new(otlp::Span {
            trace_id: vec![trace; 16],
            span_id: vec![id; 8],
            parent_span_id,
            name: name.to_owned(),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + duration,
            attributes: vec![otlp::int("number", number)],
            status: failed.then(|| otlp::Status { code: 2, ..Default::default() }),
            ..Default::default()
        }),
    }
}

fn any_span() -> impl Strategy<Value = SpanRecord> {
    let ids = (1..8_u8, 1..12_u8, 0..3_u8);
    // Many of one moment, and some far away.
    let times = (prop_oneof![0..5_u64, (0..40_u64).prop_map(|s| s * SECOND)], 0..4 * SECOND);
    let names = (prop::sample::select(&SERVICES[..]), prop::sample::select(&NAMES[..]));
    let what = (0..6_i32, prop::bool::weighted(0.2), 0..4_i64);
    (ids, times, names, what).prop_map(
        |((trace, id, parent), (start, duration), (service, name), (kind, failed, number))| {
            let start = 1_000 * SECOND + start;
            let ids =
                Plain { trace, id, parent, start, duration, service, name, kind, failed, number };
            span(ids)
        },
    )
}

/// Spans, and the sources that each is in; some are in two.
fn any_sources() -> impl Strategy<Value = Vec<Vec<SpanRecord>>> {
    let placed = (any_span(), 0..5_usize, prop::option::weighted(0.2, 0..5_usize));
    prop::collection::vec(placed, 0..60).prop_map(|placed| {
        let mut sources = vec![Vec::new(); 5];
        for (span, one, other) in placed {
            sources[one].push(span.clone());
            other.into_iter().for_each(|other| sources[other].push(span.clone()));
        }
        sources
    })
}

fn any_filter() -> impl Strategy<Value = SpanFilter> {
    (
        prop::option::weighted(0.4, prop::sample::select(&SERVICES[..])),
        prop::option::weighted(0.3, prop::sample::select(&NAMES[..])),
        prop::option::weighted(0.2, 0..4_i64),
        prop::option::weighted(0.2, 0..4 * SECOND),
        prop::option::weighted(0.4, (0..20 * SECOND, 0..30 * SECOND)),
        prop::option::weighted(0.2, prop::sample::select(&CONDITIONS[..])),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(service, name, number, min, range, condition, errors_only)| SpanFilter {
            service: service.map(str::to_owned),
            operation: name.map(str::to_owned),
            tags: number.iter().map(|n| TagFilter::new("number", &n.to_string())).collect(),
            min_duration: min.map(Duration::from_nanos),
            range: range.map_or(TimeRange::ALL, |(start, length)| {
                let start = 1_000 * SECOND + start;
                TimeRange { start: UnixNanos(start), end: UnixNanos(start + length) }
            }),
            condition: condition.map(|text| text.parse().unwrap()),
            errors_only,
            ..SpanFilter::default()
        })
}

fn sources(of: &[Vec<SpanRecord>]) -> Vec<Arc<dyn SpanSource>> {
    of.iter().map(|spans| Arc::new(VecSource::new(spans.clone(), |span| span.start)) as _).collect()
}

fn store(of: &[Vec<SpanRecord>]) -> carafe_store::MemoryStore {
    memory(of.iter().map(|spans| export::traces_request(spans).encode()))
}

proptest! {
    #[test]
    fn searches_answer_as_the_memory_store(
        of in any_sources(),
        filter in any_filter(),
        limit in prop_oneof![1..8_usize, Just(usize::MAX)],
    ) {
        let (sources, store, budget) = (sources(&of), store(&of), Budget::default());
        let mut query = TraceQuery::new(filter.clone(), limit);
        loop {
            let found = query::find_spans(&sources, &query, &budget).unwrap();
            let expected = block_on(store.find_spans(&query)).unwrap();
            let ids = |spans: &[SpanRecord]| -> Vec<_> {
                spans.iter().map(SpanRecord::identity).collect()
            };
            prop_assert_eq!(ids(&found.spans), ids(&expected.spans));
            prop_assert_eq!(&found.next, &expected.next);
            query.after = found.next;
            if query.after.is_none() { break; }
        }
        let mut query = TraceQuery::new(filter, limit);
        loop {
            let found = query::find_traces(&sources, &query, &budget).unwrap();
            let expected = block_on(store.find_traces(&query)).unwrap();
            prop_assert_eq!(found.traces, expected.traces);
            prop_assert_eq!(&found.next, &expected.next);
            query.after = found.next;
            if query.after.is_none() { break; }
        }
    }

    #[test]
    fn traces_are_whole(of in any_sources(), ids in prop::collection::vec(1..9_u8, 0..5)) {
        let (sources, store) = (sources(&of), store(&of));
        let ids: Vec<TraceId> = ids.into_iter().map(|id| TraceId([id; 16])).collect();
        let found = query::traces(&sources, &ids, &Budget::default()).unwrap();
        let expected = block_on(store.traces(&ids)).unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let ids = |trace: &carafe_store::Trace| -> Vec<_> {
                trace.spans.iter().map(SpanRecord::identity).collect()
            };
            prop_assert_eq!(ids(found), ids(expected));
            for span in found.spans.iter() {
                let same = |other: &&SpanRecord| other.service() == span.service();
                let first = found.spans.iter().find(same).unwrap();
                prop_assert!(Arc::ptr_eq(&first.resource, &span.resource), "shared");
            }
        }
    }

    #[test]
    fn red_counts_as_the_memory_store(
        of in any_sources(),
        filter in any_filter(),
        step in prop::sample::select(&[SECOND, 10 * SECOND, 20 * SECOND][..]),
    ) {
        let (sources, store, budget) = (sources(&of), store(&of), Budget::default());
        let all = TimeRange { start: UnixNanos(995 * SECOND), end: UnixNanos(1_050 * SECOND) };
        let range = if filter.range == TimeRange::ALL { all } else { filter.range };
        let filter = SpanFilter { range, ..filter };
        let query = RedQuery { filter, step: Duration::from_nanos(step) };
        let plan = query::plan_red(&query);
        let mut cells = RedCells::new(&query).unwrap();
        // What roll-ups would count is counted here too, in one go.
        let rolled_up = plan.cells.map(|cells| TimeRange {
            start: UnixNanos(cells.start * 10 * SECOND),
            end: UnixNanos(cells.end * 10 * SECOND - 1),
        });
        for range in plan.scans.into_iter().chain(rolled_up) {
            query::red_scan(&sources, &query, range, &mut cells, &budget).unwrap();
        }
        prop_assert_eq!(cells.finish(), block_on(store.red(&query)).unwrap());
    }

    #[test]
    fn a_plan_covers_every_moment_once(
        start in 0..60 * SECOND,
        length in 0..60 * SECOND,
        aligned in any::<bool>(),
        moment in 0..60 * SECOND,
    ) {
        let start = if aligned { start / SECOND * SECOND } else { start };
        let end = if aligned { start + length / SECOND * SECOND } else { start + length };
        let range = TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
        let filter = SpanFilter { range, ..SpanFilter::default() };
        let plan = query::plan_red(&RedQuery { filter, step: Duration::from_secs(30) });
        for moment in [moment, start, end, end / (10 * SECOND) * 10 * SECOND] {
            let scans = plan.scans.iter().filter(|scan| scan.contains(UnixNanos(moment))).count();
            let cell = moment / (10 * SECOND);
            let rolled = plan.cells.as_ref().is_some_and(|cells| cells.contains(&cell));
            let expected = usize::from(range.contains(UnixNanos(moment)));
            prop_assert_eq!(scans + usize::from(rolled), expected, "{:?} {}", plan, moment);
        }
    }

    #[test]
    fn attributes_are_those_of_the_memory_store(
        of in any_sources(),
        service in prop::option::of(prop::sample::select(&SERVICES[..])),
        limit in 1..4_usize,
    ) {
        let (sources, store, budget) = (sources(&of), store(&of), Budget::default());
        let query = AttributeQuery { service: service.map(str::to_owned), limit };
        let keys = query::attribute_keys(&sources, &query, &budget).unwrap();
        prop_assert_eq!(keys, block_on(store.attribute_keys(&query)).unwrap());
        for key in ["number", "span.kind", "nothing"] {
            let values = query::attribute_values(&sources, key, &query, &budget).unwrap();
            prop_assert_eq!(values, block_on(store.attribute_values(key, &query)).unwrap());
        }
    }

    #[test]
    fn a_scan_gives_every_span_once(
        of in any_sources(),
        limit in 0..20_usize,
        range in prop::option::of((0..20 * SECOND, 0..30 * SECOND)),
    ) {
        let sources = sources(&of);
        let range = range.map_or(TimeRange::ALL, |(start, length)| {
            let start = 1_000 * SECOND + start;
            TimeRange { start: UnixNanos(start), end: UnixNanos(start + length) }
        });
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = ScanQuery { signal: Signal::Traces, range, after, limit };
            let page = query::scan_spans(&sources, &query, &Budget::default()).unwrap();
            if let Some(batch) = page.batch {
                let decoded = carafe_store::decode(&batch, UnixNanos(0)).unwrap();
                let Records::Spans(spans) = decoded.records else { panic!("spans") };
                found.extend(spans.iter().map(SpanRecord::identity));
            }
            after = page.next;
            if after.is_none() { break; }
        }
        let inside = of.iter().flatten().filter(|span| range.contains(span.start));
        let mut expected: Vec<_> = inside.map(SpanRecord::identity).collect();
        expected.sort_unstable();
        expected.dedup();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

fn span_at(start: u64) -> SpanRecord {
    span(Plain {
        trace: start as u8,
        id: 1,
        parent: 0,
        start,
        duration: 1,
        service: "todo",
        name: "GET /",
        kind: 2,
        failed: false,
        number: 0,
    })
}

#[test]
fn sources_are_opened_when_their_time_comes() {
    let of = |range: std::ops::Range<u64>| {
        Arc::new(VecSource::new(range.map(span_at).collect(), |span| span.start))
    };
    let (old, middle, new) = (of(1..100), of(100..200), of(190..250));
    let sources: Vec<Arc<dyn SpanSource>> = vec![middle.clone(), new.clone(), old.clone()];
    let budget = Budget::default();
    let query = TraceQuery::new(SpanFilter::default(), 20);
    let page = query::find_spans(&sources, &query, &budget).unwrap();
    assert_eq!(page.spans.len(), 20);
    assert_eq!((old.looked_at(), middle.looked_at()), (0, 0));
    assert!(new.looked_at() < 25, "{}", new.looked_at());
    let page = query::find_traces(&sources, &query, &budget).unwrap();
    assert_eq!(page.traces.len(), 20);
    assert_eq!((old.looked_at(), middle.looked_at()), (0, 0));
    let range = TimeRange { start: UnixNanos(1), end: UnixNanos(150) };
    let query = TraceQuery::new(SpanFilter { range, ..SpanFilter::default() }, 20);
    let looked_at = new.looked_at();
    assert_eq!(query::find_spans(&sources, &query, &budget).unwrap().spans.len(), 20);
    assert_eq!((old.looked_at(), new.looked_at()), (0, looked_at));
}

#[test]
fn a_query_ends_at_its_limits() {
    let source = VecSource::new((1..200).map(span_at).collect(), |span| span.start);
    let sources: Vec<Arc<dyn SpanSource>> = vec![Arc::new(source)];
    let query = TraceQuery::new(SpanFilter::default(), usize::MAX);
    let limits = QueryLimits { rows: 100, ..QueryLimits::default() };
    let error = query::find_spans(&sources, &query, &Budget::new(limits)).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::TooExpensive);
    let limits = QueryLimits { bytes: 500, ..QueryLimits::default() };
    let error = query::find_spans(&sources, &query, &Budget::new(limits)).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::TooExpensive);
    let budget = Budget::default();
    drop(budget.cancel_on_drop());
    let error = query::find_traces(&sources, &query, &budget).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Cancelled);
}
