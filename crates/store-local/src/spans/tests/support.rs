//! Random spans, and files of them in memory.

use crate::files::{FileAccess, MemoryFile};
use crate::index::side_file::SideFileWriter;
use crate::spans::{ResourceRef, ScopeRef, SpanBatchBuilder, SpanRef, SpanWriter, Written};
use arrow_array::RecordBatch;
use carafe_store::{Records, ResourceRecord, ScopeRecord, SpanRecord};
use carafe_telemetry::otlp::{self, AnyValue, KeyValue, any_value::Value};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{Request, SpanId, TraceId, UnixNanos};
use proptest::prelude::*;
use prost::Message;
use std::cmp::Reverse;
use std::sync::Arc;

/// When generated spans start.
pub(in crate::spans) const T0: u64 = 1_767_225_600_000_000_000;

pub(in crate::spans) fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        4 => "[a-c]{0,3}".prop_map(Value::StringValue),
        2 => (-3_i64..600).prop_map(Value::IntValue),
        1 => any::<i64>().prop_map(Value::IntValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => (-3_i8..3).prop_map(|n| Value::DoubleValue(f64::from(n) / 2.0)),
        1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::BytesValue),
        1 => any::<i32>().prop_map(Value::StringValueStrindex),
    ];
    let any_value =
        leaf.prop_map(|value| AnyValue { value: Some(value) }).prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(|values| AnyValue {
                    value: Some(Value::ArrayValue(otlp::ArrayValue { values })),
                }),
                prop::collection::vec(("[a-c]{1,2}", prop::option::of(inner)), 0..3).prop_map(
                    |values| AnyValue {
                        value: Some(Value::KvlistValue(otlp::KeyValueList {
                            values: values
                                .into_iter()
                                .map(|(key, value)| KeyValue { key, value, key_strindex: 0 })
                                .collect(),
                        })),
                    },
                ),
            ]
        });
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(AnyValue { value: None })),
        12 => any_value.prop_map(Some),
    ]
}

/// Keys of which some have columns, some are aliases of each other and some are virtual tags.
pub(in crate::spans) const KEYS: &[&str] = &[
    "http.method",
    "http.request.method",
    "http.status_code",
    "http.response.status_code",
    "http.url",
    "url.full",
    "http.route",
    "http.host",
    "server.address",
    "net.host.name",
    "server.port",
    "error",
    "span.kind",
    "service.name",
    "custom",
    "",
];

pub(in crate::spans) fn attributes(max: usize) -> impl Strategy<Value = Vec<KeyValue>> {
    let strindex = prop_oneof![9 => Just(0), 1 => any::<i32>()];
    let attribute =
        (prop::sample::select(KEYS), value(), strindex).prop_map(|(key, value, key_strindex)| {
            KeyValue { key: key.to_owned(), value, key_strindex }
        });
    prop::collection::vec(attribute, 0..=max)
}

fn event() -> impl Strategy<Value = otlp::span::Event> {
    (any::<u64>(), "[a-c]{0,3}", attributes(3), 0..3_u32).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| otlp::span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = otlp::span::Link> {
    (prop::collection::vec(any::<u8>(), 0..17), attributes(2), any::<u32>()).prop_map(
        |(id, attributes, flags)| otlp::span::Link {
            trace_id: id.clone(),
            span_id: id,
            trace_state: "a=b".to_owned(),
            attributes,
            dropped_attributes_count: flags / 7,
            flags,
        },
    )
}

fn status() -> impl Strategy<Value = otlp::Status> {
    let code = prop_oneof![4 => 0..3_i32, 1 => any::<i32>()];
    ("[ab]{0,2}", code).prop_map(|(message, code)| otlp::Status { message, code })
}

fn times() -> impl Strategy<Value = (u64, u64)> {
    prop_oneof![
        8 => (0..50_u64, -2..2_000_i64).prop_map(|(start, duration)| {
            let start = T0 + start * 1_000;
            (start, start.wrapping_add_signed(duration))
        }),
        1 => (any::<u64>(), any::<u64>()),
    ]
}

prop_compose! {
    fn span()(
        ids in (0..4_u8, 1..200_u8, prop::option::of(0..5_u8)),
        (start, end) in times(),
        (trace_state, name) in ("(a=b)?", "[ab]{0,2}"),
        kind in prop_oneof![9 => 0..6_i32, 1 => any::<i32>()],
        (attributes, events, links) in (
            attributes(6),
            prop::collection::vec(event(), 0..3),
            prop::collection::vec(link(), 0..2),
        ),
        (flags, dropped) in (any::<u32>(), any::<[u32; 3]>()),
        status in prop::option::of(status()),
    ) -> otlp::Span {
        otlp::Span {
            trace_id: vec![ids.0 + 1; 16],
            span_id: vec![ids.1; 8],
            trace_state,
            parent_span_id: ids.2.map(|id| vec![id; 8]).unwrap_or_default(),
            flags,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: dropped[0],
            events,
            dropped_events_count: dropped[1],
            links,
            dropped_links_count: dropped[2],
            status,
        }
    }
}

/// Spans of some resources and scopes, newest first, then by span id, as files have them.
pub(in crate::spans) fn records(max: usize) -> impl Strategy<Value = Vec<SpanRecord>> {
    let resource = (attributes(3), prop::option::of("[ab]"), "(http://a/1)?");
    let scope = ("[ab]{0,1}", "[ab]{0,1}", attributes(2), "(http://a/1)?");
    let group = (resource, scope, prop::collection::vec(span(), 0..=max / 3));
    prop::collection::vec(group, 1..4).prop_map(|groups| {
        let of_group = |(resource, scope, spans): (_, _, Vec<otlp::Span>)| {
            let (mut attributes, service, url): (Vec<KeyValue>, Option<String>, String) = resource;
            attributes.extend(service.map(|name| otlp::string("service.name", name)));
            let resource = otlp::Resource { attributes, ..Default::default() };
            let (name, version, attributes, scope_url): (_, _, _, String) = scope;
            let scope = otlp::InstrumentationScope {
                name,
                version,
                attributes,
                dropped_attributes_count: 0,
            };
            otlp::ResourceSpans {
                resource: Some(resource),
                schema_url: url,
                scope_spans: vec![otlp::ScopeSpans {
                    scope: Some(scope),
                    schema_url: scope_url,
                    spans,
                }],
            }
        };
        let resource_spans = groups.into_iter().map(of_group).collect();
        let request = Request::Traces(otlp::ExportTraceServiceRequest { resource_spans });
        let decoded = carafe_store::decode(&request.encode(), UnixNanos(T0)).unwrap();
        let Records::Spans(mut spans) = decoded.records else { panic!("spans expected") };
        sort(&mut spans);
        spans
    })
}

/// Into the order of files.
pub(in crate::spans) fn sort(spans: &mut [SpanRecord]) {
    spans.sort_by_key(|span| (Reverse(span.start), span.span_id));
}

/// A small span.
pub(in crate::spans) fn small(n: u64, service: &str, attributes: Vec<KeyValue>) -> SpanRecord {
    let resource = otlp::Resource {
        attributes: vec![otlp::string("service.name", service)],
        ..Default::default()
    };
    let trace_id = TraceId((u128::from(n / 4) + 1).to_be_bytes());
    let span_id = SpanId((n + 1).to_be_bytes());
    let span = otlp::Span {
        trace_id: trace_id.0.to_vec(),
        span_id: span_id.0.to_vec(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: T0 + n,
        end_time_unix_nano: T0 + n + 1_000,
        attributes,
        ..Default::default()
    };
    SpanRecord {
        trace_id,
        span_id,
        parent_span_id: None,
        start: UnixNanos(T0 + n),
        end: UnixNanos(T0 + n + 1_000),
        resource: Arc::new(ResourceRecord::new(resource, String::new())),
        scope: Arc::new(ScopeRecord::default()),
        span: Arc::new(span),
    }
}

/// The spans as batches of so many rows.
pub(in crate::spans) fn batches(spans: &[SpanRecord], rows: usize) -> Vec<RecordBatch> {
    spans.chunks(rows).map(|spans| batch(spans, &[None])).collect()
}

/// The spans as one batch, called by these services in turn.
pub(in crate::spans) fn batches_with_callers(
    spans: &[SpanRecord],
    callers: &[Option<&str>],
) -> Vec<RecordBatch> {
    vec![batch(spans, callers)]
}

fn batch(spans: &[SpanRecord], callers: &[Option<&str>]) -> RecordBatch {
    let mut builder = SpanBatchBuilder::new();
    for (span, caller) in spans.iter().zip(callers.iter().cycle()) {
        let bytes = span.span.encode_to_vec();
        let resource = span.resource.resource.encode_to_vec();
        let scope = span.scope.scope.encode_to_vec();
        let span = SpanRef {
            trace_id: span.trace_id,
            span_id: span.span_id,
            view: SpanView::parse(&bytes).unwrap(),
            resource: ResourceRef {
                bytes: &resource,
                schema_url: &span.resource.schema_url,
                service: &span.resource.service,
            },
            scope: ScopeRef { bytes: &scope, schema_url: &span.scope.schema_url },
            caller: *caller,
        };
        builder.push(&span).unwrap();
    }
    builder.finish().unwrap()
}

/// A Parquet file and its side file.
pub(in crate::spans) struct Files {
    pub(in crate::spans) data: Arc<dyn FileAccess>,
    pub(in crate::spans) side: Arc<dyn FileAccess>,
    pub(in crate::spans) written: Written,
}

/// The files of these spans, in row groups of so many rows.
pub(in crate::spans) fn write(name: &str, spans: &[SpanRecord], group_rows: usize) -> Files {
    let mut bytes = Vec::new();
    let mut writer = SpanWriter::with_group_rows(&mut bytes, group_rows).unwrap();
    for batch in batches(spans, 7) {
        writer.write(&batch).unwrap();
    }
    files(name, writer.finish().unwrap(), bytes)
}

/// Written bytes as files.
pub(in crate::spans) fn files(name: &str, written: Written, bytes: Vec<u8>) -> Files {
    let mut side = SideFileWriter::new();
    for (section, bytes) in &written.side {
        side.add(*section, bytes.clone());
    }
    let mut side_bytes = Vec::new();
    side.finish(&mut side_bytes).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    Files {
        data: Arc::new(MemoryFile::new(format!("{name}.parquet"), bytes)),
        side: Arc::new(MemoryFile::new(format!("{name}.idx"), side_bytes)),
        written,
    }
}
