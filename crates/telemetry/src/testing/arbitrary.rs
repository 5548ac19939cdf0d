//! Requests that use all fields, and values that are hard to keep.

use crate::otlp::{self, AnyValue, KeyValue, any_value::Value};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "", "GET", "GET /items/{id}", "caf\u{e9}", "\u{65e5}\u{672c}", "a\0b", "500", "frontend",
        ])
        .prop_map(str::to_owned),
        1 => vec(any::<char>(), 0..6).prop_map(String::from_iter),
        1 => "[a-z/.]{0,200}",
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "http.request.method", "http.method", "http.response.status_code", "url.path",
            "http.route", "server.address", "db.statement", "service.name", "k", "",
        ])
        .prop_map(str::to_owned),
        1 => text(),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 0.25, 5e-324]),
        any::<f64>(),
    ]
}

/// A value of any type; lists and maps are up to three deep.
pub fn any_value() -> impl Strategy<Value = AnyValue> {
    let bytes = vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        4 => text().prop_map(|text| Some(Value::StringValue(text))),
        1 => any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        1 => (-1000_i64..1000).prop_map(|number| Some(Value::IntValue(number))),
        1 => any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        1 => double().prop_map(|number| Some(Value::DoubleValue(number))),
        1 => bytes.prop_map(|bytes| Some(Value::BytesValue(bytes))),
        1 => Just(None),
        1 => any::<i32>().prop_map(|index| Some(Value::StringValueStrindex(index))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4)
                .prop_map(|values| Value::ArrayValue(otlp::ArrayValue { values })),
            vec(key_value_of(inner), 0..4)
                .prop_map(|values| Value::KvlistValue(otlp::KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value_of(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (key(), prop::option::weighted(0.95, value), prop_oneof![9 => Just(0), 1 => any::<i32>()])
        .prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex })
}

/// Up to seven attributes; keys may repeat.
pub fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value_of(any_value()), 0..8)
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0_u32..300, any::<u32>()]
}

/// Mostly one that is valid.
fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => vec(any::<u8>(), length),
        1 => Just(vec![]),
        1 => Just(vec![0; length]),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 1_767_225_600_000_000_000_u64..1_767_225_700_000_000_000,
        1 => Just(0),
        1 => any::<u64>(),
    ]
}

fn event() -> impl Strategy<Value = otlp::span::Event> {
    (time(), text(), attributes(), number()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| otlp::span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = otlp::span::Link> {
    (id(16), id(8), text(), attributes(), number(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| {
            otlp::span::Link {
                trace_id,
                span_id,
                trace_state,
                attributes,
                dropped_attributes_count,
                flags,
            }
        },
    )
}

fn status() -> impl Strategy<Value = otlp::Status> {
    (text(), prop_oneof![9 => 0..3, 1 => any::<i32>()])
        .prop_map(|(message, code)| otlp::Status { message, code })
}

/// A span with any of its fields set.
pub fn span() -> impl Strategy<Value = otlp::Span> {
    let ids = (id(16), id(8), prop_oneof![Just(vec![]), id(8)], text(), number());
    let what = (text(), prop_oneof![9 => 0..6, 1 => any::<i32>()], time(), time());
    let parts = (
        attributes(),
        vec(event(), 0..3),
        vec(link(), 0..3),
        prop::option::of(status()),
        number(),
        number(),
        number(),
    );
    (ids, what, parts).prop_map(|(ids, what, parts)| otlp::Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: ids.3,
        flags: ids.4,
        name: what.0,
        kind: what.1,
        start_time_unix_nano: what.2,
        end_time_unix_nano: what.3,
        attributes: parts.0,
        events: parts.1,
        links: parts.2,
        status: parts.3,
        dropped_attributes_count: parts.4,
        dropped_events_count: parts.5,
        dropped_links_count: parts.6,
    })
}

/// A log record with any of its fields set.
pub fn log_record() -> impl Strategy<Value = otlp::LogRecord> {
    let what = (time(), time(), prop_oneof![9 => 0..25, 1 => any::<i32>()], text(), text());
    let parts = (prop::option::of(any_value()), attributes(), number(), number());
    let ids = (prop_oneof![Just(vec![]), id(16)], prop_oneof![Just(vec![]), id(8)]);
    (what, parts, ids).prop_map(|(what, parts, ids)| otlp::LogRecord {
        time_unix_nano: what.0,
        observed_time_unix_nano: what.1,
        severity_number: what.2,
        severity_text: what.3,
        event_name: what.4,
        body: parts.0,
        attributes: parts.1,
        dropped_attributes_count: parts.2,
        flags: parts.3,
        trace_id: ids.0,
        span_id: ids.1,
    })
}

fn resource() -> impl Strategy<Value = otlp::Resource> {
    (attributes(), number()).prop_map(|(attributes, dropped_attributes_count)| otlp::Resource {
        attributes,
        dropped_attributes_count,
        entity_refs: Vec::new(),
    })
}

fn scope() -> impl Strategy<Value = otlp::InstrumentationScope> {
    (text(), text(), attributes(), number()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| otlp::InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

/// A request with a few spans.
pub fn traces_request() -> impl Strategy<Value = otlp::ExportTraceServiceRequest> {
    let of_scope = (prop::option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| otlp::ScopeSpans { scope, spans, schema_url });
    let of_resource = (prop::option::of(resource()), vec(of_scope, 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| otlp::ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    );
    vec(of_resource, 0..3)
        .prop_map(|resource_spans| otlp::ExportTraceServiceRequest { resource_spans })
}

/// A request with a few log records.
pub fn logs_request() -> impl Strategy<Value = otlp::ExportLogsServiceRequest> {
    let of_scope = (prop::option::of(scope()), vec(log_record(), 0..4), text()).prop_map(
        |(scope, log_records, schema_url)| otlp::ScopeLogs { scope, log_records, schema_url },
    );
    let of_resource = (prop::option::of(resource()), vec(of_scope, 0..3), text()).prop_map(
        |(resource, scope_logs, schema_url)| otlp::ResourceLogs {
            resource,
            scope_logs,
            schema_url,
        },
    );
    vec(of_resource, 0..3)
        .prop_map(|resource_logs| otlp::ExportLogsServiceRequest { resource_logs })
}
