//! A file of spans that version 1 of the format wrote stays readable.
//!
//! A format that old files cannot be read in needs a new version, and a folder beside `v1`.
//! `cargo test -p carafe-store-local --test golden_spans -- --ignored` writes the files.

use carafe_store::{Records, SpanFilter, SpanRecord, StoreErrorKind, TagFilter, decode};
use carafe_store_local::budget::{Budget, QueryLimits};
use carafe_store_local::calls::CallSums;
use carafe_store_local::files::metadata::MetadataCache;
use carafe_store_local::files::{FileAccess, LocalFile, MemoryFile};
use carafe_store_local::index::side_file::{Section, SideFileWriter};
use carafe_store_local::rollup::RollupBuilder;
use carafe_store_local::rollup::edges::EdgesView;
use carafe_store_local::rollup::keys::KeysView;
use carafe_store_local::rollup::red::RedView;
use carafe_store_local::rollup::totals::Totals;
use carafe_store_local::source::{SpanSource, Want};
use carafe_store_local::spans::{
    ResourceRef, ScopeRef, SpanBatchBuilder, SpanFile, SpanRef, SpanWriter, merge_spans,
};
use carafe_telemetry::otlp::{self, any_value::Value};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{Request, TraceId, UnixNanos};
use proptest::prelude::*;
use prost::Message;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const T0: u64 = 1_767_225_600_000_000_000;

/// Rows of a row group of the golden file.
const GROUP_ROWS: usize = 48;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn some(value: Value) -> Option<otlp::AnyValue> {
    Some(otlp::AnyValue { value: Some(value) })
}

/// Attributes with a column and without, of the column's type and of others, out of order,
/// twice, and with values of each type.
fn attributes(n: u64) -> Vec<otlp::KeyValue> {
    let list = otlp::ArrayValue {
        values: vec![otlp::AnyValue { value: Some(Value::IntValue(n as i64)) }],
    };
    let other = |key: &str, value| otlp::KeyValue { key: key.to_owned(), value, key_strindex: 0 };
    let mut attributes = vec![
        otlp::string("http.request.method", ["GET", "POST", "PUT"][n as usize % 3]),
        otlp::string("custom", format!("value {}", n % 10)),
        otlp::string("http.route", "/items/{id}"),
        otlp::int("http.response.status_code", [200, 404, 500][n as usize % 3]),
        otlp::bool("cached", n.is_multiple_of(2)),
        otlp::double("score", n as f64 / 8.0),
        other("list", some(Value::ArrayValue(list))),
        other("bytes", some(Value::BytesValue(vec![n as u8, 255]))),
        other("empty", None),
    ];
    attributes.truncate(n as usize % 10 + 1);
    if n.is_multiple_of(7) {
        attributes.push(otlp::string("http.response.status_code", "200"));
        attributes.push(otlp::string("http.route", "/second"));
    }
    if n.is_multiple_of(5) {
        attributes.reverse();
    }
    attributes
}

fn span(n: u64) -> otlp::Span {
    otlp::Span {
        trace_id: vec![(n / 10) as u8 + 1; 16],
        span_id: (n + 1).to_be_bytes().to_vec(),
        trace_state: ["", "vendor=1"][n as usize % 2].to_owned(),
        parent_span_id: match n % 10 {
            0 => Vec::new(),
            1 => vec![0; 8],
            _ => n.to_be_bytes().to_vec(),
        },
        flags: (n % 3) as u32 * 128,
        name: format!("operation {}", n % 4),
        kind: [0, 1, 2, 3, 4, 5, 77][n as usize % 7],
        start_time_unix_nano: T0 + (n / 2) * 1_000_000,
        end_time_unix_nano: (T0 + (n / 2) * 1_000_000 + n * 1_000).wrapping_sub((n % 9) * 2_000),
        attributes: attributes(n),
        dropped_attributes_count: (n % 2) as u32,
        events: (0..n % 3)
            .map(|at| otlp::span::Event {
                time_unix_nano: T0 + at,
                name: "exception".to_owned(),
                attributes: vec![otlp::string("exception.type", format!("Error{at}"))],
                dropped_attributes_count: 0,
            })
            .collect(),
        dropped_events_count: (n % 4) as u32,
        links: (0..n % 2)
            .map(|_| otlp::span::Link {
                trace_id: vec![9; 16],
                span_id: vec![9; 8],
                attributes: vec![otlp::int("n", n as i64)],
                ..Default::default()
            })
            .collect(),
        dropped_links_count: (n % 5) as u32,
        status: (!n.is_multiple_of(4)).then(|| otlp::Status {
            message: if n % 4 == 2 { "failed".to_owned() } else { String::new() },
            code: (n % 4) as i32,
        }),
    }
}

/// What is in the golden file, in its order.
fn expected() -> Vec<SpanRecord> {
    let group = |service: Option<&str>, first: u64| otlp::ResourceSpans {
        resource: service.map(|name| otlp::Resource {
            attributes: vec![otlp::string("service.name", name), otlp::int("replica", 3)],
            ..Default::default()
        }),
        schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
        scope_spans: vec![otlp::ScopeSpans {
            scope: service.map(|_| otlp::InstrumentationScope {
                name: "shop".to_owned(),
                version: "1.2".to_owned(),
                attributes: vec![otlp::string("custom", "of the scope")],
                ..Default::default()
            }),
            schema_url: String::new(),
            spans: (0..100).filter(|n| n % 3 == first).map(span).collect(),
        }],
    };
    let resource_spans = vec![group(Some("basket"), 0), group(Some("stock"), 1), group(None, 2)];
    let request = Request::Traces(otlp::ExportTraceServiceRequest { resource_spans });
    let decoded = decode(&request.encode(), UnixNanos(T0)).expect("a valid request");
    let Records::Spans(mut spans) = decoded.records else { panic!("spans expected") };
    spans.sort_by_key(|span| (Reverse(span.start), span.span_id));
    spans
}

fn golden() -> SpanFile {
    let part = |name: &str| -> Arc<dyn FileAccess> {
        Arc::new(LocalFile::open(&path(name), name).expect("a golden file"))
    };
    let cache = Arc::new(MetadataCache::default());
    SpanFile::open(part("spans.parquet"), part("spans.idx"), cache).expect("a readable file")
}

#[test]
fn spans_of_version_1() {
    let file = golden();
    let expected = expected();
    assert_eq!(file.rows().unwrap(), 100);
    let found = |filter: &SpanFilter| -> Vec<SpanRecord> {
        let budget = Budget::default();
        let hits: Result<Vec<_>, _> = file.scan(filter, Want::Records, &budget).collect();
        hits.unwrap().into_iter().filter_map(|hit| hit.record).collect()
    };
    assert_eq!(found(&SpanFilter::default()), expected);
    let tag = |key: &str, value: &str| SpanFilter {
        tags: vec![TagFilter::new(key, value)],
        ..SpanFilter::default()
    };
    for filter in [
        tag("http.status_code", "200"),
        tag("http.response.status_code", "500"),
        tag("custom", "value 3"),
        tag("custom", "of the scope"),
        tag("exception.type", "Error1"),
        tag("error", "true"),
        tag("span.kind", "server"),
        tag("replica", "3"),
        tag("score", "0.625"),
        SpanFilter { service: Some("stock".to_owned()), ..SpanFilter::default() },
        SpanFilter { operation: Some("operation 2".to_owned()), ..SpanFilter::default() },
        SpanFilter { min_duration: Some(Duration::from_micros(80)), ..SpanFilter::default() },
    ] {
        let matching: Vec<_> =
            expected.iter().filter(|span| filter.matches_span(span)).cloned().collect();
        assert!(!matching.is_empty(), "{filter:?}");
        assert_eq!(found(&filter), matching, "{filter:?}");
    }
    // The filters say that there is nothing, without a look at a row.
    let none = Budget::new(QueryLimits { rows: 0, ..QueryLimits::default() });
    for filter in [tag("custom", "value 99"), tag("replica", "4"), tag("http.host", "x")] {
        assert_eq!(file.scan(&filter, Want::Hits, &none).count(), 0, "{filter:?}");
    }
}

#[test]
fn sums_of_version_1() {
    let expected = expected();
    let side = golden().side_file().unwrap();
    let mut rollup = RollupBuilder::new();
    let mut calls = CallSums::default();
    for (n, span) in expected.iter().enumerate() {
        rollup.add_record(span);
        if n.is_multiple_of(6) {
            let is_error = u64::from(span.is_error());
            calls.add(&"web".into(), span.service(), 1, is_error);
        }
    }
    let totals = Totals::decode(&side.section(Section::Totals).unwrap().unwrap());
    assert_eq!(totals.expect("totals"), rollup.totals());
    let red = RedView::open(Arc::clone(&side)).unwrap().expect("requests");
    assert_eq!(red.to_builder().unwrap().encode(), rollup.red().encode());
    let edges = EdgesView::open(Arc::clone(&side)).unwrap().expect("calls");
    let mut found = CallSums::default();
    edges.edges_into(0..u64::MAX, &mut found).unwrap();
    assert_eq!(found.finish(), calls.finish());
    let keys = KeysView::open(side).unwrap().expect("keys");
    let routes = keys.get("http.route").unwrap().expect("routes");
    let values: Vec<_> =
        routes.values.values().iter().map(|value| value.value.to_owned()).collect();
    assert_eq!(values, ["/items/{id}", "/second"]);
}

#[test]
fn traces_of_version_1() {
    let mut found = Vec::new();
    let ids = [TraceId([3; 16]), TraceId([7; 16]), TraceId([200; 16])];
    golden().traces(&ids, &Budget::default(), &mut found).unwrap();
    let expected: Vec<_> =
        expected().into_iter().filter(|span| ids.contains(&span.trace_id)).collect();
    assert_eq!(found, expected);
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("a golden file")
}

/// Does everything with a file, and gives its errors.
fn errors(data: Vec<u8>, side: Vec<u8>) -> Vec<carafe_store::StoreError> {
    let data: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("x.parquet", data));
    let side: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("x.idx", side));
    let cache = Arc::new(MetadataCache::default());
    let file = match SpanFile::open(data, side, cache) {
        Ok(file) => file,
        Err(error) => return vec![error],
    };
    let budget = Budget::default();
    let tagged =
        SpanFilter { tags: vec![TagFilter::new("custom", "value 3")], ..SpanFilter::default() };
    let mut errors = Vec::new();
    for filter in [&SpanFilter::default(), &tagged] {
        for want in [Want::Hits, Want::Records] {
            errors.extend(file.scan(filter, want, &budget).filter_map(Result::err));
        }
    }
    let ids = [TraceId([3; 16]), TraceId([7; 16])];
    errors.extend(file.traces(&ids, &budget, &mut Vec::new()).err());
    match merge_spans([&file]) {
        Ok(merge) => errors.extend(merge.filter_map(Result::err)),
        Err(error) => errors.push(error),
    }
    errors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_is_an_error_that_names_the_file(
        at in any::<prop::sample::Index>(),
        patch in prop::collection::vec(any::<u8>(), 1..64),
        is_torn: bool,
        is_side: bool,
    ) {
        let (mut data, mut side) = (bytes("spans.parquet"), bytes("spans.idx"));
        let damaged = if is_side { &mut side } else { &mut data };
        let at = at.index(damaged.len());
        if is_torn {
            damaged.truncate(at);
        } else {
            let end = (at + patch.len()).min(damaged.len());
            damaged[at..end].copy_from_slice(&patch[..end - at]);
        }
        for error in errors(data, side) {
            prop_assert_eq!(error.kind, StoreErrorKind::Corrupt, "{}", error);
            prop_assert!(error.to_string().contains("x."), "{}", error);
        }
    }
}

#[test]
fn other_parquet_files_are_refused() {
    let errors = errors(bytes("logs.parquet"), bytes("spans.idx"));
    assert_eq!(errors[0].kind, StoreErrorKind::Corrupt);
    assert!(errors[0].to_string().contains("not spans"), "{}", errors[0]);
}

#[test]
#[ignore = "writes the files that the others read; once for each version of the format"]
fn write_golden_files() {
    let mut data = Vec::new();
    let mut writer = SpanWriter::with_group_rows(&mut data, GROUP_ROWS).unwrap();
    let mut builder = SpanBatchBuilder::new();
    for (span, n) in expected().iter().zip(0_u64..) {
        let item = span.span.encode_to_vec();
        let resource = span.resource.resource.encode_to_vec();
        let scope = span.scope.scope.encode_to_vec();
        builder
            .push(&SpanRef {
                trace_id: span.trace_id,
                span_id: span.span_id,
                view: SpanView::parse(&item).unwrap(),
                resource: ResourceRef {
                    bytes: &resource,
                    schema_url: &span.resource.schema_url,
                    service: &span.resource.service,
                },
                scope: ScopeRef { bytes: &scope, schema_url: &span.scope.schema_url },
                caller: n.is_multiple_of(6).then_some("web"),
            })
            .unwrap();
    }
    writer.write(&builder.finish().unwrap()).unwrap();
    let written = writer.finish().unwrap();
    let mut side = SideFileWriter::new();
    written.side.into_iter().for_each(|(section, bytes)| side.add(section, bytes));
    let mut side_bytes = Vec::new();
    side.finish(&mut side_bytes).expect("room in memory");
    std::fs::write(path("spans.parquet"), data).expect("a file");
    std::fs::write(path("spans.idx"), side_bytes).expect("a file");
}
