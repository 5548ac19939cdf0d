//! Searches by condition.

use super::Subject;
use super::data::{self, ModelLog, ModelSpan, Random};
use crate::condition::Condition;
use crate::filter::SpanFilter;
use crate::query::{LogQuery, RedQuery, TimeRange, TraceQuery};
use carafe_telemetry::{SpanId, UnixNanos};
use std::collections::BTreeSet;
use std::time::Duration;

/// A condition as people write it, and in plain terms.
struct Asked<T> {
    text: String,
    fits: Box<dyn Fn(&T) -> bool + Send>,
}

impl<T: 'static> Asked<T> {
    fn new(text: impl Into<String>, fits: impl Fn(&T) -> bool + Send + 'static) -> Self {
        Self { text: text.into(), fits: Box::new(fits) }
    }

    /// Up to a few tests, joined by chance.
    fn random(random: &mut Random, test: &dyn Fn(&mut Random) -> Self) -> Self {
        let mut asked = test(random);
        for _ in 0..random.below(3) {
            let other = test(random);
            let (a, b) = (asked.fits, other.fits);
            asked = match random.below(3) {
                0 => Self::new(format!("({}) and ({})", asked.text, other.text), move |item| {
                    a(item) && b(item)
                }),
                1 => Self::new(format!("{} or {}", asked.text, other.text), move |item| {
                    a(item) || b(item)
                }),
                _ => Self::new(format!("not ({}) and ({})", asked.text, other.text), move |item| {
                    !a(item) && b(item)
                }),
            };
        }
        asked
    }

    fn condition(&self) -> Condition {
        self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.text))
    }
}

fn span_test(random: &mut Random, spans: &[ModelSpan]) -> Asked<ModelSpan> {
    let example = spans[random.below(spans.len() as u64) as usize].clone();
    let status_key = random.pick(&["http.status_code", "http.response.status_code"]);
    let method_key = random.pick(&["http.method", "http.request.method"]);
    let ModelSpan { status, duration, load, method, user, service, name, .. } = example;
    match random.below(13) {
        0 => Asked::<ModelSpan>::new(format!("{status_key} >= {status}"), move |s| {
            s.status >= status
        }),
        1 => {
            Asked::<ModelSpan>::new(format!("{status_key} < {status}"), move |s| s.status < status)
        }
        2 => Asked::<ModelSpan>::new(format!("{status_key} != {status}"), move |s| {
            s.status != status
        }),
        3 => Asked::<ModelSpan>::new(format!("duration > {duration}ns"), move |s| {
            s.duration > duration
        }),
        4 => Asked::<ModelSpan>::new(format!("duration <= {duration}ns"), move |s| {
            s.duration <= duration
        }),
        5 => Asked::<ModelSpan>::new(format!("load <= {load}"), move |s| s.load <= load),
        6 => {
            Asked::<ModelSpan>::new(format!("{method_key} = {method}"), move |s| s.method == method)
        }
        7 => Asked::<ModelSpan>::new(format!("user.id = {user}"), move |s| s.user == user),
        8 => Asked::<ModelSpan>::new("user.id =~ \"user-[0-4]\"", |s| {
            ["user-0", "user-1", "user-2", "user-3", "user-4"].contains(&s.user.as_str())
        }),
        9 => Asked::<ModelSpan>::new(
            format!("service = {service} and name = \"{name}\""),
            move |s| s.service == service && s.name == name,
        ),
        10 => Asked::<ModelSpan>::new(
            "exists(exception.type) and host.name startswith host-of-s",
            |s| s.exception.is_some() && s.service.starts_with('s'),
        ),
        11 => {
            Asked::<ModelSpan>::new("kind = server or status = error", |s| s.kind == 2 || s.error)
        }
        _ => Asked::<ModelSpan>::new("(name contains dd or exists(no.such))", |s| {
            s.name.contains("dd")
        }),
    }
}

pub(super) async fn spans_are_found_by_condition(subject: Subject) {
    let spans = data::spans(71, 300);
    data::append_spans(&subject.store, &spans).await;
    let store = subject.settled().await.store;
    let mut random = Random::new(72);
    for nth in 0..200 {
        let asked = Asked::random(&mut random, &|random| span_test(random, &spans));
        let condition = Some(asked.condition());
        let service = random.one_in(4).then(|| random.pick(&data::SERVICES));
        let filter =
            SpanFilter { service: service.map(str::to_owned), condition, ..SpanFilter::default() };
        let fits =
            |s: &&ModelSpan| service.is_none_or(|service| s.service == service) && (asked.fits)(s);
        let matching: Vec<&ModelSpan> = spans.iter().filter(fits).collect();

        let mut expected = matching.clone();
        expected.sort_by_key(|span| std::cmp::Reverse(span.start));
        let expected: Vec<SpanId> = expected.iter().map(|span| data::span_id(span.id)).collect();
        let limit = random.pick(&[10, usize::MAX]);
        let page = store.find_spans(&TraceQuery::new(filter.clone(), limit)).await.expect("spans");
        let found: Vec<SpanId> = page.spans.iter().map(|span| span.span_id).collect();
        assert_eq!(found, expected[..limit.min(expected.len())], "{}", asked.text);

        let traces: BTreeSet<u64> = matching.iter().map(|span| span.trace).collect();
        let expected: Vec<_> = traces.into_iter().rev().map(data::trace_id).take(limit).collect();
        let page =
            store.find_traces(&TraceQuery::new(filter.clone(), limit)).await.expect("traces");
        let found: Vec<_> = page.traces.iter().map(|trace| trace.trace_id).collect();
        assert_eq!(found, expected, "{}", asked.text);

        if nth % 10 == 0 {
            let range = TimeRange {
                start: UnixNanos(data::T0),
                end: UnixNanos(data::T0 + 400 * data::TRACE_STEP),
            };
            let filter = SpanFilter { range, ..filter };
            let query = RedQuery { filter, step: Duration::from_secs(1) };
            let red = store.red(&query).await.expect("a series");
            let answers = |s: &&&ModelSpan| s.parent.is_none() || [2, 5].contains(&s.kind);
            let expected = matching.iter().filter(answers).count() as u64;
            assert_eq!(red.points.iter().map(|p| p.count).sum::<u64>(), expected, "{}", asked.text);
        }
    }
}

fn log_test(random: &mut Random) -> Asked<ModelLog> {
    let service = random.pick(&data::SERVICES);
    match random.below(7) {
        0 => Asked::<ModelLog>::new("severity >= warn", |log| log.severity >= 13),
        1 => Asked::<ModelLog>::new("severity = info", |log| (9..13).contains(&log.severity)),
        2 => Asked::<ModelLog>::new("not exists(severity)", |log| log.severity == 0),
        3 => Asked::<ModelLog>::new(format!("service = {service}"), move |log| {
            log.service == service
        }),
        4 => Asked::<ModelLog>::new("body startswith Added", |log| log.body.starts_with("Added")),
        5 => Asked::<ModelLog>::new("body =~ \".* task [0-9]7\"", |log| {
            log.body.ends_with('7') && log.body.len() == log.body.find("task").unwrap_or(0) + 7
        }),
        _ => Asked::<ModelLog>::new(
            format!("host.name = host-of-{service} and nth < 2"),
            move |log| log.service == service,
        ),
    }
}

pub(super) async fn logs_are_found_by_condition(subject: Subject) {
    let logs = data::logs(73, 600);
    for request in logs.chunks(83) {
        data::append(&subject.store, &data::logs_request(request)).await;
    }
    let store = subject.settled().await.store;
    let mut random = Random::new(74);
    for _ in 0..100 {
        let asked = Asked::random(&mut random, &log_test);
        let fits = |log: &&ModelLog| (asked.fits)(log);
        let expected: Vec<&str> = logs.iter().rev().filter(fits).map(|l| l.body.as_str()).collect();
        let limit = random.pick(&[7, 10_000]);
        let query = LogQuery { condition: Some(asked.condition()), ..LogQuery::all(limit) };
        let page = store.find_logs(&query).await.expect("a page");
        let found: Vec<String> = page.logs.iter().map(data::body).collect();
        assert_eq!(found, expected[..limit.min(expected.len())], "{}", asked.text);
    }
}
