//! Traces as OTLP/JSON: ids in hexadecimal, 64-bit integers as strings, default values left
//! out (OTLP specification, "JSON Protobuf Encoding").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carafe_store::{SpanRecord, Trace};
use carafe_telemetry::otlp::{self, AnyValue, KeyValue, any_value::Value};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A `TracesData` message with all spans of `traces`, by resource and scope.
pub(super) fn traces_data(traces: &[Trace]) -> Json {
    let resource_spans: Vec<Json> = traces.iter().flat_map(resource_spans).collect();
    json!({ "resourceSpans": resource_spans })
}

fn resource_spans(trace: &Trace) -> Vec<Json> {
    groups(trace.spans.iter(), |span| Arc::as_ptr(&span.resource))
        .into_iter()
        .map(|spans| {
            let scopes = groups(spans.iter().copied(), |span| Arc::as_ptr(&span.scope));
            let resource = &spans[0].resource;
            let mut json = Object::default();
            json.always("resource", self::resource(&resource.resource));
            json.always("scopeSpans", scopes.iter().map(|spans| scope_spans(spans)).collect());
            json.text("schemaUrl", &resource.schema_url);
            json.finish()
        })
        .collect()
}

/// Groups by a key, in the order in which the keys come.
fn groups<'a, K: std::hash::Hash + Eq>(
    spans: impl Iterator<Item = &'a SpanRecord>,
    key: impl Fn(&SpanRecord) -> K,
) -> Vec<Vec<&'a SpanRecord>> {
    let mut places = HashMap::new();
    let mut groups = Vec::<Vec<&SpanRecord>>::new();
    for span in spans {
        let place = *places.entry(key(span)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(span);
    }
    groups
}

/// A JSON object under construction.
#[derive(Default)]
struct Object(Map<String, Json>);

impl Object {
    fn always(&mut self, key: &str, value: Json) {
        self.0.insert(key.to_owned(), value);
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.always(key, Json::from(text));
        }
    }

    fn number(&mut self, key: &str, number: u32) {
        if number != 0 {
            self.always(key, Json::from(number));
        }
    }

    fn long(&mut self, key: &str, number: u64) {
        if number != 0 {
            self.always(key, Json::from(number.to_string()));
        }
    }

    fn id(&mut self, key: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.text(key, &hex);
    }

    fn list(&mut self, key: &str, list: Vec<Json>) {
        if !list.is_empty() {
            self.always(key, Json::Array(list));
        }
    }

    fn attributes(&mut self, attributes: &[KeyValue]) {
        self.list("attributes", key_values(attributes));
    }

    fn finish(self) -> Json {
        Json::Object(self.0)
    }
}

fn resource(resource: &otlp::Resource) -> Json {
    let mut json = Object::default();
    json.attributes(&resource.attributes);
    json.number("droppedAttributesCount", resource.dropped_attributes_count);
    json.finish()
}

fn scope_spans(spans: &[&SpanRecord]) -> Json {
    let scope = &spans[0].scope;
    let mut inner = Object::default();
    inner.text("name", &scope.scope.name);
    inner.text("version", &scope.scope.version);
    inner.attributes(&scope.scope.attributes);
    inner.number("droppedAttributesCount", scope.scope.dropped_attributes_count);
    let mut json = Object::default();
    json.always("scope", inner.finish());
    json.always("spans", spans.iter().map(|record| span(&record.span)).collect());
    json.text("schemaUrl", &scope.schema_url);
    json.finish()
}

fn span(span: &otlp::Span) -> Json {
    let mut json = Object::default();
    json.id("traceId", &span.trace_id);
    json.id("spanId", &span.span_id);
    json.text("traceState", &span.trace_state);
    json.id("parentSpanId", &span.parent_span_id);
    json.number("flags", span.flags);
    json.text("name", &span.name);
    json.number("kind", u32::try_from(span.kind).unwrap_or(0));
    json.long("startTimeUnixNano", span.start_time_unix_nano);
    json.long("endTimeUnixNano", span.end_time_unix_nano);
    json.attributes(&span.attributes);
    json.number("droppedAttributesCount", span.dropped_attributes_count);
    json.list("events", span.events.iter().map(event).collect());
    json.number("droppedEventsCount", span.dropped_events_count);
    json.list("links", span.links.iter().map(link).collect());
    json.number("droppedLinksCount", span.dropped_links_count);
    let mut status = Object::default();
    if let Some(known) = &span.status {
        status.text("message", &known.message);
        status.number("code", u32::try_from(known.code).unwrap_or(0));
    }
    json.always("status", status.finish());
    json.finish()
}

fn event(event: &otlp::span::Event) -> Json {
    let mut json = Object::default();
    json.long("timeUnixNano", event.time_unix_nano);
    json.text("name", &event.name);
    json.attributes(&event.attributes);
    json.number("droppedAttributesCount", event.dropped_attributes_count);
    json.finish()
}

fn link(link: &otlp::span::Link) -> Json {
    let mut json = Object::default();
    json.id("traceId", &link.trace_id);
    json.id("spanId", &link.span_id);
    json.text("traceState", &link.trace_state);
    json.attributes(&link.attributes);
    json.number("droppedAttributesCount", link.dropped_attributes_count);
    json.number("flags", link.flags);
    json.finish()
}

fn key_values(attributes: &[KeyValue]) -> Vec<Json> {
    let json = |kv: &KeyValue| {
        let value = kv.value.as_ref().map_or_else(|| json!({}), any);
        json!({"key": kv.key, "value": value})
    };
    attributes.iter().map(json).collect()
}

/// Values keep their type, so here defaults are written too.
fn any(value: &AnyValue) -> Json {
    match &value.value {
        None => json!({}),
        Some(Value::StringValue(text)) => json!({"stringValue": text}),
        Some(Value::BoolValue(flag)) => json!({"boolValue": flag}),
        Some(Value::IntValue(int)) => json!({"intValue": int.to_string()}),
        Some(Value::DoubleValue(double)) => json!({"doubleValue": json_double(*double)}),
        Some(Value::BytesValue(bytes)) => json!({"bytesValue": STANDARD.encode(bytes)}),
        Some(Value::ArrayValue(list)) => {
            let values: Vec<Json> = list.values.iter().map(any).collect();
            json!({"arrayValue": {"values": values}})
        }
        Some(Value::KvlistValue(list)) => {
            json!({"kvlistValue": {"values": key_values(&list.values)}})
        }
        Some(Value::StringValueStrindex(index)) => json!({"stringValueStrindex": index}),
    }
}

/// Protobuf's JSON writes what is no number as text.
fn json_double(double: f64) -> Json {
    if double.is_finite() {
        Json::from(double)
    } else if double.is_nan() {
        Json::from("NaN")
    } else {
        Json::from(if double > 0.0 { "Infinity" } else { "-Infinity" })
    }
}
