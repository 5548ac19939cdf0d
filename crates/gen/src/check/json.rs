//! The forms in which the native API shows things.

use crate::shop::Protocol;
use crate::trace::{Shape, Trace};
use crate::world::World;
use carafe_telemetry::otlp::{AnyValue, KeyValue, any_value::Value as Any};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Attributes with their types, in order.
pub(super) fn attributes(attributes: &[KeyValue]) -> Value {
    let attribute = |kv: &KeyValue| {
        let value = kv.value.as_ref().and_then(|value| value.value.as_ref());
        let (kind, value) = match value {
            Some(Any::IntValue(int)) => ("int", Value::from(int.to_string())),
            Some(Any::DoubleValue(double)) => ("double", Value::from(*double)),
            Some(Any::BoolValue(flag)) => ("bool", Value::from(*flag)),
            Some(Any::StringValue(text)) => ("string", Value::from(text.as_str())),
            _ => ("", Value::Null),
        };
        json!({"key": kv.key, "type": kind, "value": value})
    };
    attributes.iter().map(attribute).collect()
}

/// A body as text: maps as JSON.
pub(super) fn body(body: Option<&AnyValue>) -> Value {
    match body.and_then(|body| body.value.as_ref()) {
        Some(Any::StringValue(text)) => Value::from(text.as_str()),
        Some(Any::KvlistValue(list)) => {
            let entries =
                list.values.iter().map(|kv| (kv.key.clone(), self::body(kv.value.as_ref())));
            Value::Object(entries.collect())
        }
        _ => Value::Null,
    }
}

/// A trace in one line.
pub(super) fn summary(world: &World, trace: &Trace) -> Value {
    let start = trace.spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = trace.spans.iter().map(|span| span.end()).max().unwrap_or(start);
    let root = &trace.spans[0];
    let mut services = BTreeMap::<&str, (u64, u64)>::new();
    for span in &trace.spans {
        let counts = services.entry(span.service.get().name).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(span.failed));
    }
    let services = services.iter().map(
        |(name, (spans, errors))| json!({"name": name, "spanCount": spans, "errorCount": errors}),
    );
    let http_status = match root.shape {
        Shape::Serve(endpoint) if matches!(endpoint.get().protocol, Protocol::Http(..)) => {
            Some(root.code)
        }
        _ => None,
    };
    json!({
        "traceId": trace.id.to_string(),
        "rootService": root.service.get().name,
        "rootOperation": root.name(world),
        "startMicros": start / 1_000,
        "durationMicros": (end - start) as f64 / 1e3,
        "spanCount": trace.spans.len(),
        "errorCount": trace.spans.iter().filter(|span| span.failed).count(),
        "services": services.collect::<Vec<_>>(),
        "httpStatus": http_status,
    })
}
