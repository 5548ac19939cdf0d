use super::spans::{RecentSpans, SpanSnapshot};
use crate::budget::{Budget, QueryLimits};
use crate::ingest::{IncomingSpans, Rules, index_traces};
use crate::source::{SpanSource, Want};
use carafe_store::{SpanFilter, SpanIdentity, StoreErrorKind, TagFilter, TimeRange};
use carafe_telemetry::otlp::{self, KeyValue};
use carafe_telemetry::{Request, TraceId, UnixNanos};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn span(trace: u8, id: u8, start: u64, host: &str) -> otlp::Span {
    otlp::Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: format!("op-{}", id % 3),
        kind: i32::from(id % 6),
        start_time_unix_nano: start,
        end_time_unix_nano: start + u64::from(id) * 10,
        attributes: vec![otlp::string("http.host", host), otlp::int("n", i64::from(id))],
        ..Default::default()
    }
}

/// A request with the spans of one service.
fn incoming(service: &str, spans: Vec<otlp::Span>) -> IncomingSpans {
    let attributes: Vec<KeyValue> = vec![otlp::string("service.name", service)];
    let resource = Some(otlp::Resource { attributes, ..Default::default() });
    let scope_spans = vec![otlp::ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![otlp::ResourceSpans { resource, scope_spans, ..Default::default() }];
    let request = Request::Traces(otlp::ExportTraceServiceRequest { resource_spans });
    let rules = Rules { received: UnixNanos(1), accepted: None };
    index_traces(&request.encode().bytes, &rules).unwrap().items
}

fn filled(requests: &[IncomingSpans]) -> Arc<RecentSpans> {
    let recent = Arc::new(RecentSpans::default());
    for request in requests {
        recent.insert(request, |_| false);
    }
    recent
}

fn found(snapshot: &SpanSnapshot, filter: &SpanFilter, want: Want) -> Vec<(u64, u8)> {
    let budget = Budget::default();
    let hits = snapshot.scan(filter, want, &budget).map(Result::unwrap);
    hits.map(|hit| (hit.start.0, hit.span_id.0[0])).collect()
}

fn any_spans() -> impl Strategy<Value = Vec<(u8, u8, u64, bool, bool)>> {
    let span = (1..20_u8, 1..60_u8, 0..5_000_u64, any::<bool>(), any::<bool>());
    prop::collection::vec(span, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Scans agree with a look at every span, whatever the filter and however the spans came.
    #[test]
    fn scans_find_what_matches(spans in any_spans(), request in 1..40_usize) {
        let requests: Vec<_> = spans
            .chunks(request)
            .map(|chunk| {
                let spans = chunk.iter().map(|&(trace, id, start, _, host)| {
                    span(trace, id, start, if host { "shop.example" } else { "stock.example" })
                });
                incoming(if chunk[0].3 { "web" } else { "db" }, spans.collect())
            })
            .collect();
        let snapshot = filled(&requests).snapshot();
        let budget = Budget::default();
        let ids: Vec<TraceId> = (1..20).map(|trace| TraceId([trace; 16])).collect();
        let mut all = Vec::new();
        snapshot.traces(&ids, &budget, &mut all).unwrap();
        let identities: BTreeSet<SpanIdentity> = all.iter().map(|span| span.identity()).collect();
        prop_assert_eq!(identities.len(), all.len(), "each span once");
        let expected: BTreeSet<_> = spans.iter().map(|s| (s.0, s.1, s.2)).collect();
        prop_assert_eq!(identities.len(), expected.len());
        let tag = |key: &str, value: &str| vec![TagFilter::new(key, value)];
        let filters = [
            SpanFilter::default(),
            SpanFilter { service: Some("web".into()), ..SpanFilter::default() },
            SpanFilter { operation: Some("op-1".into()), ..SpanFilter::default() },
            SpanFilter { tags: tag("http.host", "shop.example"), ..SpanFilter::default() },
            SpanFilter { tags: tag("server.address", "shop.example"), ..SpanFilter::default() },
            SpanFilter { tags: tag("n", "7"), ..SpanFilter::default() },
            SpanFilter { tags: tag("span.kind", "server"), ..SpanFilter::default() },
            SpanFilter { tags: tag("service.name", "db"), ..SpanFilter::default() },
            SpanFilter {
                range: TimeRange { start: UnixNanos(1_000), end: UnixNanos(2_000) },
                min_duration: Some(Duration::from_nanos(100)),
                max_duration: Some(Duration::from_nanos(400)),
                ..SpanFilter::default()
            },
        ];
        for filter in filters {
            let mut expected: Vec<(u64, u8)> = all
                .iter()
                .filter(|span| filter.matches_span(span))
                .map(|span| (span.start.0, span.span_id.0[0]))
                .collect();
            expected.sort_unstable();
            for want in [Want::Hits, Want::Records] {
                let mut found = found(&snapshot, &filter, want);
                prop_assert!(found.iter().rev().is_sorted_by_key(|(start, _)| *start));
                found.sort_unstable();
                prop_assert_eq!(&found, &expected, "{:?}", filter);
            }
        }
    }
}

#[test]
fn failed_traces_are_told_without_reading_spans() {
    let mut failed = span(2, 3, 30, "a");
    failed.status = Some(otlp::Status { code: 2, ..Default::default() });
    let sound = [span(1, 1, 10, "a"), span(2, 2, 20, "a")];
    let recent = filled(&[incoming("web", [&sound[..], &[failed]].concat())]);
    recent.insert(&incoming("web", vec![span(2, 4, 40, "a")]), |_| false);
    let ids = [1, 2, 3].map(|trace| TraceId([trace; 16]));
    let found = recent.snapshot().failed_traces(&ids, &Budget::default()).unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [ids[1]]);
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let recent = filled(&[incoming("web", vec![span(1, 1, 10, "a"), span(1, 2, 20, "a")])]);
    let snapshot = recent.snapshot();
    recent.insert(&incoming("web", vec![span(1, 3, 30, "a"), span(2, 4, 40, "a")]), |_| false);
    assert_eq!(found(&snapshot, &SpanFilter::default(), Want::Hits), [(20, 2), (10, 1)]);
    let mut spans = Vec::new();
    let ids = [TraceId([1; 16]), TraceId([2; 16])];
    snapshot.traces(&ids, &Budget::default(), &mut spans).unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(found(&recent.snapshot(), &SpanFilter::default(), Want::Hits).len(), 4);
}

#[test]
fn what_is_there_or_known_is_not_added() {
    let recent = filled(&[incoming("web", vec![span(1, 1, 10, "a")])]);
    let again = incoming("web", vec![span(1, 1, 10, "a"), span(1, 2, 10, "a"), span(1, 3, 1, "a")]);
    assert_eq!(recent.insert(&again, |span| span.span_id.0[0] == 2), [2]);
    assert_eq!(recent.rows(), 2);
    // The other end of a call may have the same id: another kind makes it another span.
    for kind in [3, 7, 8] {
        let other_end = otlp::Span { kind, ..span(1, 1, 10, "a") };
        assert_eq!(recent.insert(&incoming("db", vec![other_end]), |_| false), [0]);
    }
    assert!(recent.has(&again.spans[0]) && !recent.has(&again.spans[1]));
}

#[test]
fn full_segments_are_sealed_and_searched() {
    let requests: Vec<_> = (0..40_u64)
        .map(|n| {
            let start = |at: u64| (n * 251 + at * 7) % 10_000;
            let spans = (0..250_u64).map(|at| {
                let mut span = span(1, 1, start(at), "a");
                span.span_id = (n * 250 + at + 1).to_be_bytes().to_vec();
                span
            });
            incoming("web", spans.collect())
        })
        .collect();
    let snapshot = filled(&requests).snapshot();
    let budget = Budget::default();
    let filter = SpanFilter::default();
    let starts: Vec<u64> =
        snapshot.scan(&filter, Want::Hits, &budget).map(|hit| hit.unwrap().start.0).collect();
    assert_eq!(starts.len(), 10_000);
    assert!(starts.iter().rev().is_sorted());
    let few = Budget::new(QueryLimits { rows: 2_000, ..QueryLimits::default() });
    let outcome: Result<Vec<_>, _> = snapshot.scan(&filter, Want::Hits, &few).collect();
    assert_eq!(outcome.unwrap_err().kind, StoreErrorKind::TooExpensive);
}
