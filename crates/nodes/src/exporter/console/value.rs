//! Attributes, resources and the other parts that all signals print.

use super::json::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use carafe_telemetry::otlp::{AnyValue, KeyValue, Resource, any_value::Value};
use carafe_telemetry::{SpanId, TraceId};

/// How a byte string is printed: the SDK does it differently in resources.
#[derive(Clone, Copy)]
enum Bytes {
    Base64,
    Hex,
}

/// `"attributes": {...}` of a span, event, link or point: empty ones are `{}`.
pub(super) fn attributes(json: &mut Json, attributes: &[KeyValue]) {
    members(json, attributes, Bytes::Base64);
}

/// As [`attributes`], but null when there are none, as in log records and scopes.
pub(super) fn attributes_or_null(json: &mut Json, list: &[KeyValue]) {
    if list.is_empty() { json.null() } else { attributes(json, list) }
}

/// Any value; null when it is not set.
pub(super) fn any(json: &mut Json, value: Option<&AnyValue>) {
    print(json, value, Bytes::Base64);
}

/// `{"attributes": {...}, "schema_url": ...}`.
pub(super) fn resource(json: &mut Json, resource: Option<&Resource>, schema_url: &str) {
    json.object(|json| {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        members(json.key("attributes"), attributes, Bytes::Hex);
        json.key("schema_url").string(schema_url);
    });
}

/// `0x` and 32 digits; an absent id is all zeroes.
pub(super) fn trace_id(bytes: &[u8]) -> String {
    format!("0x{}", TraceId::from_slice(bytes).unwrap_or_default())
}

/// `0x` and 16 digits; an absent id is all zeroes.
pub(super) fn span_id(bytes: &[u8]) -> String {
    format!("0x{}", SpanId::from_slice(bytes).unwrap_or_default())
}

/// The text, unless it is empty: what OTLP cannot tell from one that was never set.
pub(super) fn set(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn members(json: &mut Json, attributes: &[KeyValue], bytes: Bytes) {
    json.object(|json| {
        for attribute in attributes {
            print(json.key(&attribute.key), attribute.value.as_ref(), bytes);
        }
    });
}

/// Recursion is bounded: prost refuses messages nested deeper than 100.
fn print(json: &mut Json, value: Option<&AnyValue>, bytes: Bytes) {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(value)) => json.string(value),
        Some(Value::BoolValue(value)) => json.bool(*value),
        Some(Value::IntValue(value)) => json.integer(*value),
        Some(Value::DoubleValue(value)) => json.float(*value),
        Some(Value::ArrayValue(list)) => {
            json.array(&list.values, |json, value| print(json, Some(value), bytes));
        }
        Some(Value::KvlistValue(list)) => members(json, &list.values, bytes),
        Some(Value::BytesValue(value)) => match bytes {
            Bytes::Base64 => json.string(&BASE64.encode(value)),
            Bytes::Hex => json.string(&hex::encode(value)),
        },
        // The last one belongs to profiles; opentelemetry-proto wants it treated as absent.
        None | Some(Value::StringValueStrindex(_)) => json.null(),
    }
}
