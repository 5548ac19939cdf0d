//! What files find is what a look at every span finds.

use super::support::{KEYS, T0, records, small, value, write};
use crate::budget::{Budget, QueryLimits};
use crate::files::metadata::MetadataCache;
use crate::source::{SpanSource, Want};
use crate::spans::SpanFile;
use carafe_store::condition::{Field, Key, Operator, Test};
use carafe_store::{
    Condition, SpanFilter, SpanRecord, StoreErrorKind, TagFilter, TimeRange, UrlPattern, value,
};
use carafe_telemetry::otlp;
use carafe_telemetry::{TraceId, UnixNanos};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

fn open(spans: &[SpanRecord], group_rows: usize) -> SpanFile {
    let files = write("a", spans, group_rows);
    SpanFile::open(files.data, files.side, Arc::new(MetadataCache::default())).unwrap()
}

fn key() -> impl Strategy<Value = &'static str> {
    let fields =
        ["otel.status_code", "otel.status_description", "otel.scope.name", "otel.scope.version"];
    prop_oneof![4 => prop::sample::select(KEYS), 1 => prop::sample::select(fields.to_vec())]
}

fn text() -> impl Strategy<Value = String> {
    let words = ["", "true", "TRUE", "false", "server", "Client", "ERROR", "ok", "unset"];
    prop_oneof![
        2 => value().prop_map(|any| any.map(|any| value::text(&any).into_owned()).unwrap_or_default()),
        1 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "[ab]{0,2}",
    ]
}

fn test() -> impl Strategy<Value = Condition> {
    let field = prop::sample::select(vec![Field::Service, Field::Name, Field::Kind, Field::Status]);
    let keys = prop_oneof![
        3 => key().prop_map(|key| Key::Attribute(key.to_owned())),
        1 => field.prop_map(Key::Field),
        1 => Just(Key::Field(Field::Duration)),
    ];
    let operator = prop::sample::select(Operator::ALL.to_vec());
    let operand = prop_oneof![3 => text(), 1 => Just("300ns".to_owned())];
    (keys, operator, operand).prop_map(|(key, operator, operand)| {
        let test = Test::new(key.clone(), operator, operand);
        Condition::Test(test.unwrap_or_else(|_| Test::exists(key)))
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    test().prop_recursive(3, 8, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some().prop_map(Condition::All),
            some().prop_map(Condition::Any),
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn duration() -> impl Strategy<Value = Option<Duration>> {
    prop::option::weighted(0.2, (0..2_100_u64).prop_map(Duration::from_nanos))
}

prop_compose! {
    fn filter()(
        service in prop::option::weighted(0.2, "[ab]|missing-service-name"),
        operation in prop::option::weighted(0.2, "[ab]{0,2}"),
        tags in prop::collection::vec((key(), text()), 0..2),
        min_duration in duration(),
        max_duration in duration(),
        range in prop::option::weighted(0.3, (0..60_u64, 0..60_u64)),
        url in prop::option::weighted(0.15, "[ab]{1,2}|a\\*|/b"),
        condition in prop::option::weighted(0.4, condition()),
    ) -> SpanFilter {
        let at = |n: u64| UnixNanos(T0 + n * 1_000);
        SpanFilter {
            service,
            operation,
            tags: tags.iter().map(|(key, value)| TagFilter::new(key, value)).collect(),
            min_duration,
            max_duration,
            range: range.map_or(TimeRange::ALL, |(start, end)| TimeRange {
                start: at(start),
                end: at(end),
            }),
            url: url.as_deref().map(UrlPattern::new),
            condition,
            errors_only: false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn finds_what_matches(spans in records(40), group_rows in 1..30_usize, filters in prop::collection::vec(filter(), 1..12)) {
        let file = open(&spans, group_rows);
        for filter in &filters {
            let expected: Vec<_> =
                spans.iter().filter(|span| filter.matches_span(span)).collect();
            let budget = Budget::default();
            let found: Vec<_> = file.scan(filter, Want::Records, &budget).map(Result::unwrap).collect();
            let records: Vec<_> = found.iter().filter_map(|hit| hit.record.as_ref()).collect();
            prop_assert_eq!(format!("{records:?}"), format!("{expected:?}"), "{:?}", filter);
            let hits: Vec<_> = file.scan(filter, Want::Hits, &budget).map(Result::unwrap).collect();
            prop_assert_eq!(hits.len(), expected.len(), "{:?}", filter);
            for ((hit, found), span) in hits.iter().zip(&found).zip(&expected) {
                let bare = |hit: &crate::source::SpanHit| {
                    format!("{:?}", crate::source::SpanHit { record: None, ..hit.clone() })
                };
                prop_assert!(hit.record.is_none());
                prop_assert_eq!(bare(hit), bare(found));
                prop_assert_eq!((hit.trace_id, hit.span_id), (span.trace_id, span.span_id));
                prop_assert_eq!((hit.start, hit.end), (span.start, span.end));
                prop_assert_eq!(hit.kind, span.span.kind);
                prop_assert_eq!(hit.parent_span_id, span.parent_span_id);
                prop_assert_eq!(hit.is_error, span.is_error());
                prop_assert_eq!(&*hit.service, &**span.service());
                prop_assert_eq!(&*hit.name, &*span.span.name);
            }
        }
    }

    #[test]
    fn finds_traces(spans in records(40), group_rows in 1..30_usize, ids: BTreeSet<[u8; 16]>) {
        let file = open(&spans, group_rows);
        let known = [2, 4].map(|n| TraceId([n; 16]));
        let ids: BTreeSet<_> = ids.into_iter().map(TraceId).chain(known).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let mut found = Vec::new();
        file.traces(&ids, &Budget::default(), &mut found).unwrap();
        let expected: Vec<_> = spans.iter().filter(|span| ids.contains(&span.trace_id)).collect();
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        let failed = file.failed_traces(&ids, &Budget::default()).unwrap();
        let expected = expected.iter().filter(|span| span.is_error()).map(|span| span.trace_id);
        prop_assert_eq!(failed, expected.collect::<HashSet<_>>());
    }
}

fn many(count: u64) -> Vec<SpanRecord> {
    let attributes = |n: u64| {
        vec![
            otlp::string("http.route", if n.is_multiple_of(2) { "/even" } else { "/odd" }),
            otlp::string("rare", (n / 1_000).to_string()),
        ]
    };
    (0..count).rev().map(|n| small(n, "shop", attributes(n))).collect()
}

/// How many rows a query was charged before its first matches were there.
fn rows_for(file: &SpanFile, filter: &SpanFilter, want: Want, count: usize) -> u64 {
    let charged = |rows| {
        let budget = Budget::new(QueryLimits { rows, ..QueryLimits::default() });
        let mut scan = file.scan(filter, want, &budget).take(count);
        scan.all(|hit| hit.is_ok())
    };
    let (mut low, mut high) = (0, 1 << 20);
    while low < high {
        let middle = (low + high) / 2;
        if charged(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[test]
fn the_first_matches_cost_few_rows() {
    let spans = many(40_000);
    let file = open(&spans, 16_384);
    let with = |key: &str, value: &str| SpanFilter {
        tags: vec![TagFilter::new(key, value)],
        ..SpanFilter::default()
    };
    assert_eq!(rows_for(&file, &with("http.route", "/even"), Want::Records, 20), 8_192);
    assert_eq!(rows_for(&file, &SpanFilter::default(), Want::Hits, 20), 8_192);
    // In the second of three row groups only.
    assert_eq!(rows_for(&file, &with("rare", "9"), Want::Records, 20), 16_384);
    assert_eq!(rows_for(&file, &with("rare", "9"), Want::Records, usize::MAX), 16_384);
    assert_eq!(rows_for(&file, &with("rare", "not there"), Want::Records, 20), 0);
    let service = SpanFilter { service: Some("other".to_owned()), ..SpanFilter::default() };
    assert_eq!(rows_for(&file, &service, Want::Hits, 20), 0);
    let old = SpanFilter {
        range: TimeRange { start: UnixNanos(T0 + 100), end: UnixNanos(T0 + 119) },
        ..SpanFilter::default()
    };
    let found: Vec<_> = file.scan(&old, Want::Hits, &Budget::default()).collect();
    assert_eq!(found.len(), 20);
    assert!(rows_for(&file, &old, Want::Hits, usize::MAX) <= 8_192 + 20);
    let long = SpanFilter { min_duration: Some(Duration::from_secs(1)), ..SpanFilter::default() };
    assert_eq!(rows_for(&file, &long, Want::Hits, 20), 0);
}

#[test]
fn a_query_over_its_budget_ends_with_one_error() {
    let file = open(&many(20_000), 16_384);
    let budget = Budget::new(QueryLimits { rows: 10_000, ..QueryLimits::default() });
    let filter = SpanFilter::default();
    let found: Vec<_> = file.scan(&filter, Want::Hits, &budget).collect();
    assert_eq!(found.len(), 8_192 + 1);
    assert_eq!(found[8_192].as_ref().unwrap_err().kind, StoreErrorKind::TooExpensive);
}

#[test]
fn aliases_and_types_are_one() {
    let attributes = [
        vec![otlp::int("http.status_code", 500)],
        vec![otlp::string("http.response.status_code", "500")],
        vec![otlp::double("http.status_code", 500.0)],
        vec![otlp::int("http.response.status_code", 50)],
    ];
    let spans = attributes.into_iter().zip(0..).map(|(list, n)| small(9 - n, "shop", list));
    let file = open(&spans.collect::<Vec<_>>(), 2);
    for key in ["http.status_code", "http.response.status_code"] {
        let filter = SpanFilter { tags: vec![TagFilter::new(key, "500")], ..SpanFilter::default() };
        assert_eq!(file.scan(&filter, Want::Hits, &Budget::default()).count(), 3);
    }
}
