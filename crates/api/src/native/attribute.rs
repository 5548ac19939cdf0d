//! Attributes with their types.

use carafe_store::value;
use carafe_telemetry::otlp::{AnyValue, KeyValue, any_value::Value};
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Serialize)]
pub(super) struct Attribute {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    value: Json,
}

pub(super) fn attributes(attributes: &[KeyValue]) -> Vec<Attribute> {
    attributes
        .iter()
        .map(|kv| Attribute {
            key: kv.key.clone(),
            kind: kv.value.as_ref().map_or("string", kind),
            value: kv.value.as_ref().map_or_else(|| Json::from(""), json),
        })
        .collect()
}

fn kind(any: &AnyValue) -> &'static str {
    match any.value {
        None | Some(Value::StringValue(_) | Value::StringValueStrindex(_)) => "string",
        Some(Value::BoolValue(_)) => "bool",
        Some(Value::IntValue(_)) => "int",
        Some(Value::DoubleValue(_)) => "double",
        Some(Value::ArrayValue(_)) => "array",
        Some(Value::KvlistValue(_)) => "kvlist",
        Some(Value::BytesValue(_)) => "bytes",
    }
}

/// Integers as text, because a browser reads numbers as doubles.
fn json(any: &AnyValue) -> Json {
    match any.value {
        None | Some(Value::IntValue(_)) => Json::from(value::text(any)),
        _ => value::json(any),
    }
}
