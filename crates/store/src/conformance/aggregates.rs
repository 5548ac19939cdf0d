//! Services, RED, the service graph, attributes.

use super::Subject;
use super::data::{self, ModelSpan, T0, TRACE_STEP};
use crate::error::StoreErrorKind;
use crate::filter::SpanFilter;
use crate::histogram::PERCENTILE_RELATIVE_ERROR;
use crate::interface::Store;
use crate::query::{AttributeQuery, GraphQuery, RedQuery, TimeRange};
use carafe_telemetry::UnixNanos;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const TRACES: u64 = 400;

async fn filled(subject: Subject, seed: u64) -> (Arc<dyn Store>, Vec<ModelSpan>) {
    let spans = data::spans(seed, TRACES);
    data::append_spans(&subject.store, &spans).await;
    (subject.settled().await.store, spans)
}

/// The duration at the nearest rank, exactly.
fn exact(durations: &mut [u64], quantile: f64) -> u64 {
    durations.sort_unstable();
    let rank = (quantile * durations.len() as f64).ceil() as usize;
    durations[rank.max(1) - 1]
}

fn assert_close(found: Duration, exact: u64, what: &str) {
    let error = (found.as_nanos() as f64 - exact as f64).abs();
    let allowed = exact as f64 * PERCENTILE_RELATIVE_ERROR + 1.0;
    assert!(error <= allowed, "{what}: {found:?} instead of {exact} ns");
}

pub(super) async fn services_and_operations_add_up(subject: Subject) {
    let (store, spans) = filled(subject, 11).await;
    let services = store.services().await.expect("services");
    let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, data::SERVICES);
    for service in &services {
        let of_service: Vec<_> = spans.iter().filter(|s| s.service == &*service.name).collect();
        assert_eq!(service.spans, of_service.len() as u64);
        assert_eq!(service.errors, of_service.iter().filter(|s| s.error).count() as u64);
        assert_eq!(Some(service.last_seen.0), of_service.iter().map(|s| s.start).max());
        let mut operations = BTreeMap::<(&str, i32), Vec<&ModelSpan>>::new();
        for span in of_service {
            operations.entry((&span.name, span.kind)).or_default().push(span);
        }
        assert_eq!(service.operations.len(), operations.len());
        for (found, ((name, kind), spans)) in service.operations.iter().zip(operations) {
            assert_eq!((&*found.name, found.kind as i32), (name, kind));
            assert_eq!(found.spans, spans.len() as u64);
            assert_eq!(found.errors, spans.iter().filter(|s| s.error).count() as u64);
            let mut durations: Vec<u64> = spans.iter().map(|s| s.duration).collect();
            assert_close(found.p50, exact(&mut durations, 0.5), name);
            assert_close(found.p95, exact(&mut durations, 0.95), name);
        }
    }
}

pub(super) async fn red_adds_up(subject: Subject) {
    let (store, spans) = filled(subject, 12).await;
    let (start, end) = (T0 + 50 * TRACE_STEP + 77, T0 + (TRACES + 50) * TRACE_STEP);
    let range = TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
    let failed: BTreeSet<u64> = spans.iter().filter(|s| s.error).map(|s| s.trace).collect();
    for (service, errors_only) in
        [(None, false), (Some("stock"), false), (Some("nobody"), false), (None, true)]
    {
        for step in [300_000_000, 7_000_000_000] {
            let query = RedQuery {
                filter: SpanFilter {
                    service: service.map(str::to_owned),
                    range,
                    errors_only,
                    ..SpanFilter::default()
                },
                step: Duration::from_nanos(step),
            };
            let red = store.red(&query).await.expect("a series");
            assert_eq!(red.step, query.step);
            assert_eq!(red.points.first().map(|point| point.time.0), Some(start / step * step));
            assert_eq!(red.points.len() as u64, end / step - start / step + 1);
            for point in &red.points {
                let fits = |span: &&ModelSpan| {
                    (span.parent.is_none() || [2, 5].contains(&span.kind))
                        && service.is_none_or(|service| span.service == service)
                        && (!errors_only || failed.contains(&span.trace))
                        && (start..=end).contains(&span.start)
                        && span.start / step * step == point.time.0
                };
                let expected: Vec<_> = spans.iter().filter(fits).collect();
                assert_eq!(point.count, expected.len() as u64);
                assert_eq!(point.errors, expected.iter().filter(|s| s.error).count() as u64);
                let mut durations: Vec<u64> = expected.iter().map(|s| s.duration).collect();
                match point.percentiles {
                    None => assert!(durations.is_empty()),
                    Some(found) => {
                        for (found, quantile) in found.into_iter().zip([0.5, 0.95, 0.99]) {
                            assert_close(found, exact(&mut durations, quantile), "red");
                        }
                    }
                }
            }
        }
    }
}

pub(super) async fn red_refuses_too_many_points(subject: Subject) {
    let second = Duration::from_secs(1);
    for (step, end) in [
        (second, u64::MAX),
        (Duration::ZERO, T0 + 1),
        (Duration::from_nanos(1_500), T0 + 1),
        (second, 0),
    ] {
        let range = TimeRange { start: UnixNanos(T0), end: UnixNanos(end) };
        let filter = SpanFilter { range, ..SpanFilter::default() };
        let error = subject.store.red(&RedQuery { filter, step }).await.expect_err("no grid");
        assert_eq!(error.kind, StoreErrorKind::InvalidData, "{error}");
    }
}

pub(super) async fn the_service_graph_adds_up(subject: Subject) {
    let (store, spans) = filled(subject, 13).await;
    let by_id: BTreeMap<u64, &ModelSpan> = spans.iter().map(|span| (span.id, span)).collect();
    let half = T0 + TRACES / 2 * TRACE_STEP;
    for (start, end) in [(0, u64::MAX), (half, u64::MAX), (0, half), (1, 2)] {
        let mut expected = BTreeMap::<(&str, &str), (u64, u64)>::new();
        for span in spans.iter().filter(|span| (start..=end).contains(&span.start)) {
            let Some(parent) = span.parent.map(|id| by_id[&id]) else { continue };
            let remote = [3, 4].contains(&parent.kind) && [2, 5].contains(&span.kind);
            if parent.service != span.service || remote {
                let counts = expected.entry((parent.service, span.service)).or_default();
                *counts = (counts.0 + 1, counts.1 + u64::from(span.error));
            }
        }
        let range = TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
        let graph = store.service_graph(&GraphQuery { range }).await.expect("a graph");
        let found: Vec<_> = graph
            .iter()
            .map(|edge| ((&*edge.parent, &*edge.child), (edge.calls, edge.errors)))
            .collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}

pub(super) async fn attributes_are_counted(subject: Subject) {
    let (store, spans) = filled(subject, 14).await;
    let query = |service: Option<&str>, limit| AttributeQuery {
        service: service.map(str::to_owned),
        limit,
    };
    let keys = store.attribute_keys(&query(None, 100)).await.expect("keys");
    let stable: BTreeSet<&str> =
        spans.iter().flat_map(ModelSpan::tags).map(|(key, _)| key).collect();
    let old = ["http.method", "http.status_code"];
    let expected: BTreeSet<&str> = stable.into_iter().chain(old).collect();
    assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), Vec::from_iter(expected));
    let few = store.attribute_keys(&query(None, 3)).await.expect("keys");
    assert_eq!(few, keys[..3]);
    assert!(store.attribute_keys(&query(Some("nobody"), 9)).await.expect("keys").is_empty());

    for (key, stable) in [
        ("user.id", "user.id"),
        ("http.method", "http.request.method"),
        ("http.response.status_code", "http.response.status_code"),
        ("span.kind", "span.kind"),
        ("host.name", "host.name"),
        ("nothing", "nothing"),
    ] {
        for service in [None, Some("users")] {
            let mut counts = BTreeMap::<String, u64>::new();
            for span in spans.iter().filter(|s| service.is_none_or(|name| s.service == name)) {
                let value = span.tags().into_iter().find(|(k, _)| *k == stable);
                if let Some((_, text)) = value {
                    *counts.entry(text).or_default() += 1;
                }
            }
            let mut expected: Vec<(String, u64)> = counts.into_iter().collect();
            expected.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            for limit in [2, 100] {
                let values = store.attribute_values(key, &query(service, limit)).await;
                let found: Vec<_> =
                    values.expect("values").into_iter().map(|v| (v.text, v.spans)).collect();
                assert_eq!(found, expected[..limit.min(expected.len())], "{key} of {service:?}");
            }
        }
    }
}
