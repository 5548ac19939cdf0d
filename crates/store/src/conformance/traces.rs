//! Searches for traces and spans.

use super::Subject;
use super::data::{self, ModelSpan, Random, T0, TRACE_STEP};
use crate::filter::SpanFilter;
use crate::interface::Store;
use crate::query::{TimeRange, TraceQuery};
use crate::tags::TagFilter;
use crate::url_pattern::UrlPattern;
use carafe_telemetry::{Request, SpanId, TraceId, UnixNanos, otlp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const TRACES: u64 = 600;

/// A question in plain terms.
#[derive(Clone, Debug, Default)]
struct Question {
    service: Option<&'static str>,
    operation: Option<&'static str>,
    /// A key and a value as the client writes them, and the stable name of the key.
    tag: Option<(&'static str, &'static str, String)>,
    min: Option<u64>,
    max: Option<u64>,
    range: Option<(u64, u64)>,
    errors: bool,
}

impl Question {
    fn random(random: &mut Random, spans: &[ModelSpan]) -> Self {
        let example = &spans[random.below(spans.len() as u64) as usize];
        let tag = random.pick(&[
            ("http.method", "http.request.method"),
            ("http.request.method", "http.request.method"),
            ("http.status_code", "http.response.status_code"),
            ("http.response.status_code", "http.response.status_code"),
            ("user.id", "user.id"),
            ("load", "load"),
            ("is.old", "is.old"),
            ("host.name", "host.name"),
            ("error", "error"),
            ("otel.status_code", "otel.status_code"),
            ("span.kind", "span.kind"),
        ]);
        let value = example.tags().into_iter().find(|(key, _)| *key == tag.1);
        let names = ["GET /", "POST /add", "SELECT", "render", "nothing"];
        // Borders lie on spans or right beside them.
        let other = &spans[random.below(spans.len() as u64) as usize];
        let from = example.start - 1 + random.below(3);
        let to = if random.one_in(2) {
            from + random.below(100) * TRACE_STEP
        } else {
            other.start - 1 + random.below(3)
        };
        Self {
            service: random.one_in(2).then_some(example.service),
            operation: random.one_in(3).then(|| random.pick(&names)),
            tag: if random.one_in(2) { value.map(|(_, text)| (tag.0, tag.1, text)) } else { None },
            min: random.one_in(4).then(|| other.duration - 1 + random.below(3)),
            max: random.one_in(4).then(|| example.duration - 1 + random.below(3)),
            range: random.one_in(3).then_some((from, to)),
            errors: random.one_in(5),
        }
    }

    fn filter(&self) -> SpanFilter {
        SpanFilter {
            service: self.service.map(str::to_owned),
            operation: self.operation.map(str::to_owned),
            tags: self.tag.iter().map(|(key, _, text)| TagFilter::new(key, text)).collect(),
            min_duration: self.min.map(Duration::from_nanos),
            max_duration: self.max.map(Duration::from_nanos),
            range: self.range.map_or(TimeRange::ALL, |(start, end)| TimeRange {
                start: UnixNanos(start),
                end: UnixNanos(end),
            }),
            url: None,
            condition: None,
            errors_only: self.errors,
        }
    }

    fn fits(&self, span: &ModelSpan) -> bool {
        let tag_fits = |(_, key, text): &(&str, &str, String)| {
            span.tags().iter().any(|(k, t)| k == key && t == text)
        };
        self.service.is_none_or(|service| span.service == service)
            && self.operation.is_none_or(|operation| span.name == operation)
            && self.tag.as_ref().is_none_or(tag_fits)
            && self.min.is_none_or(|min| span.duration >= min)
            && self.max.is_none_or(|max| span.duration <= max)
            && self.range.is_none_or(|(start, end)| (start..=end).contains(&span.start))
    }

    /// The spans that fit, by start, newest first.
    fn spans<'a>(&self, spans: &'a [ModelSpan]) -> Vec<&'a ModelSpan> {
        let failed: BTreeSet<u64> = spans.iter().filter(|s| s.error).map(|s| s.trace).collect();
        let mut found: Vec<_> = spans
            .iter()
            .filter(|span| self.fits(span) && (!self.errors || failed.contains(&span.trace)))
            .collect();
        found.sort_by_key(|span| std::cmp::Reverse(span.start));
        found
    }

    /// The traces of these, by their start, newest first.
    fn traces(&self, spans: &[ModelSpan]) -> Vec<TraceId> {
        let traces: BTreeSet<u64> = self.spans(spans).iter().map(|span| span.trace).collect();
        // Traces are generated in the order of their starts.
        traces.into_iter().rev().map(data::trace_id).collect()
    }
}

async fn filled(subject: Subject, seed: u64) -> (Arc<dyn Store>, Vec<ModelSpan>) {
    let spans = data::spans(seed, TRACES);
    data::append_spans(&subject.store, &spans).await;
    (subject.settled().await.store, spans)
}

async fn found_traces(store: &Arc<dyn Store>, filter: SpanFilter, limit: usize) -> Vec<TraceId> {
    let page = store.find_traces(&TraceQuery::new(filter, limit)).await.expect("a page");
    page.traces.iter().map(|trace| trace.trace_id).collect()
}

pub(super) async fn searches_find_what_matches(subject: Subject) {
    let (store, spans) = filled(subject, 1).await;
    let mut random = Random::new(2);
    for _ in 0..300 {
        let question = Question::random(&mut random, &spans);
        let found = found_traces(&store, question.filter(), usize::MAX).await;
        assert_eq!(found, question.traces(&spans), "{question:?}");
    }
}

pub(super) async fn span_searches_find_what_matches(subject: Subject) {
    let (store, spans) = filled(subject, 3).await;
    let mut random = Random::new(4);
    for _ in 0..100 {
        let question = Question::random(&mut random, &spans);
        let limit = 1 + random.below(100) as usize;
        let query = TraceQuery::new(question.filter(), limit);
        let page = store.find_spans(&query).await.expect("a page");
        let found: Vec<SpanId> = page.spans.iter().map(|span| span.span_id).collect();
        let all = question.spans(&spans);
        let expected: Vec<SpanId> =
            all.iter().take(limit).map(|span| data::span_id(span.id)).collect();
        assert_eq!(found, expected, "{question:?}");
        assert_eq!(page.next.is_some(), all.len() > limit, "{question:?}");
    }
}

pub(super) async fn a_limit_keeps_the_newest(subject: Subject) {
    let (store, spans) = filled(subject, 5).await;
    let mut random = Random::new(6);
    for _ in 0..50 {
        let question = Question::random(&mut random, &spans);
        let all = question.traces(&spans);
        for limit in [1, 20, all.len().max(1)] {
            let query = TraceQuery::new(question.filter(), limit);
            let page = store.find_traces(&query).await.expect("a page");
            let found: Vec<TraceId> = page.traces.iter().map(|trace| trace.trace_id).collect();
            assert_eq!(found, all[..limit.min(all.len())], "{limit} of {question:?}");
            assert_eq!(page.next.is_some(), all.len() > limit, "{limit} of {question:?}");
        }
    }
}

/// On the span, its resource, its scope, its events; by fields of the span; by alias.
pub(super) async fn tags_are_found_wherever_they_are(subject: Subject) {
    let (store, spans) = filled(subject, 7).await;
    let all = |fits: &dyn Fn(&ModelSpan) -> bool| -> Vec<TraceId> {
        let traces: BTreeSet<u64> = spans.iter().filter(|s| fits(s)).map(|s| s.trace).collect();
        traces.into_iter().rev().map(data::trace_id).collect()
    };
    for (key, value, expected) in [
        ("user.id", "user-3", all(&|span| span.user == "user-3")),
        ("host.name", "host-of-stock", all(&|span| span.service == "stock")),
        ("scope.attribute", "yes", all(&|_| true)),
        ("exception.type", "KeyError", all(&|span| span.exception.is_some())),
        ("error", "true", all(&|span| span.error)),
        ("error", "false", all(&|span| !span.error)),
        ("span.kind", "CLIENT", all(&|span| span.kind == 3)),
        ("otel.status_code", "error", all(&|span| span.error)),
        ("otel.scope.name", "carafe.conformance", all(&|_| true)),
        ("http.method", "GET", all(&|span| span.method == "GET")),
        ("http.request.method", "GET", all(&|span| span.method == "GET")),
        ("http.request.method", "get", vec![]),
        ("user.id", "user-", vec![]),
    ] {
        let tags = vec![TagFilter::new(key, value)];
        let filter = SpanFilter { tags, ..SpanFilter::default() };
        assert_eq!(found_traces(&store, filter, usize::MAX).await, expected, "{key}={value}");
    }
}

/// Every client and server span has an address; a third of them as one URL, a third in the
/// old attributes, a third in the stable ones.
pub(super) async fn addresses_are_found(subject: Subject) {
    let paths = ["/", "/add", "/delete/7"];
    let attributes = |nth: usize| match nth % 3 {
        0 => vec![otlp::string("url.full", format!("http://shop:80{}", paths[nth / 3 % 3]))],
        1 => vec![
            otlp::string("http.host", "shop:80"),
            otlp::string("http.target", format!("{}?q=1", paths[nth / 3 % 3])),
        ],
        _ => vec![
            otlp::string("server.address", "shop"),
            otlp::int("server.port", 80),
            otlp::string("url.path", paths[nth / 3 % 3]),
        ],
    };
    let mut request = data::traces_request(&data::spans(9, 1)[..1]);
    let Request::Traces(traces) = &mut request else { panic!("traces were made") };
    let list = &mut traces.resource_spans[0].scope_spans[0].spans;
    let example = list.remove(0);
    list.extend((0..90).map(|nth| otlp::Span {
        trace_id: data::trace_id(nth as u64 + 1).0.to_vec(),
        start_time_unix_nano: T0 + nth as u64,
        attributes: attributes(nth),
        ..example.clone()
    }));
    data::append(&subject.store, &request).await;
    let store = subject.settled().await.store;
    for (pattern, of_path) in [
        ("/add", Some(1)),
        ("/delete/*", Some(2)),
        ("http://shop:80/delete/7", Some(2)),
        ("http://shop/add*", Some(1)),
        ("shop:80/add", Some(1)),
        ("*/d*7*", Some(2)),
        ("/nothing", None),
    ] {
        let expected: Vec<TraceId> = (0..90)
            .rev()
            .filter(|nth| of_path == Some(nth / 3 % 3))
            .map(|nth| data::trace_id(nth as u64 + 1))
            .collect();
        let url = Some(UrlPattern::new(pattern));
        let filter = SpanFilter { url, ..SpanFilter::default() };
        assert_eq!(found_traces(&store, filter, usize::MAX).await, expected, "{pattern}");
    }
    for (pattern, count) in [("shop", 90), ("SHOP:80", 90), ("sh*p", 90), ("shop:81", 0)] {
        let url = Some(UrlPattern::new(pattern));
        let filter = SpanFilter { url, ..SpanFilter::default() };
        assert_eq!(found_traces(&store, filter, usize::MAX).await.len(), count, "{pattern}");
    }
}

pub(super) async fn summaries_add_up(subject: Subject) {
    let (store, spans) = filled(subject, 8).await;
    let query = TraceQuery::new(SpanFilter::default(), usize::MAX);
    let page = store.find_traces(&query).await.expect("a page");
    assert_eq!(page.traces.len() as u64, TRACES);
    for summary in page.traces {
        let of_trace: Vec<_> =
            spans.iter().filter(|span| data::trace_id(span.trace) == summary.trace_id).collect();
        let root = of_trace[0];
        let mut services = BTreeMap::<&str, (u64, u64)>::new();
        for span in &of_trace {
            let counts = services.entry(span.service).or_default();
            *counts = (counts.0 + 1, counts.1 + u64::from(span.error));
        }
        let found: BTreeMap<&str, (u64, u64)> =
            summary.services.iter().map(|s| (&*s.name, (s.spans, s.errors))).collect();
        assert_eq!(found, services);
        let named = summary.root.expect("every trace has a root");
        assert_eq!((&*named.service, &named.operation), (root.service, &root.name));
        assert!(!named.is_orphan);
        assert_eq!(summary.start.0, root.start);
        assert_eq!(Some(summary.end.0), of_trace.iter().map(|span| span.end()).max());
        assert_eq!(summary.spans, of_trace.len() as u64);
        assert_eq!(summary.errors, of_trace.iter().filter(|span| span.error).count() as u64);
        assert_eq!(summary.orphans, 0);
        assert_eq!(summary.http_status.map(i64::from), Some(root.status));
    }
}
