//! The text and JSON forms of attribute values.

use crate::otlp::{AnyValue, any_value::Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// The value as people write it: strings as they are, lists and maps as JSON, bytes in
/// base64; an empty value is the empty string.
pub fn text(value: &AnyValue) -> Cow<'_, str> {
    match &value.value {
        None => Cow::Borrowed(""),
        Some(Value::StringValue(text)) => Cow::Borrowed(text),
        Some(Value::BoolValue(true)) => Cow::Borrowed("true"),
        Some(Value::BoolValue(false)) => Cow::Borrowed("false"),
        Some(Value::IntValue(number)) => Cow::Owned(number.to_string()),
        Some(Value::DoubleValue(number)) => Cow::Owned(number.to_string()),
        Some(Value::BytesValue(bytes)) => Cow::Owned(STANDARD.encode(bytes)),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) => Cow::Owned(json(value).to_string()),
        // Only profiles refer to a table of strings; nothing to resolve it with here.
        Some(Value::StringValueStrindex(index)) => Cow::Owned(index.to_string()),
    }
}

/// The value as plain JSON. Bytes become base64; numbers that JSON lacks become text.
pub fn json(value: &AnyValue) -> serde_json::Value {
    use serde_json::Value as Json;
    match &value.value {
        None => Json::Null,
        Some(Value::BoolValue(flag)) => Json::Bool(*flag),
        Some(Value::IntValue(number)) => Json::from(*number),
        Some(Value::DoubleValue(number)) if number.is_finite() => Json::from(*number),
        Some(Value::ArrayValue(list)) => list.values.iter().map(json).collect(),
        Some(Value::KvlistValue(list)) => Json::Object(
            list.values
                .iter()
                .map(|kv| (kv.key.clone(), kv.value.as_ref().map_or(Json::Null, json)))
                .collect(),
        ),
        Some(_) => Json::String(text(value).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{self, ArrayValue, KeyValueList};

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn text_forms() {
        assert_eq!(text(&any(Value::DoubleValue(1.5))), "1.5");
        assert_eq!(text(&any(Value::BytesValue(vec![1, 2]))), "AQI=");
        let list = any(Value::ArrayValue(ArrayValue {
            values: vec![any(Value::IntValue(1)), any(Value::DoubleValue(f64::NAN))],
        }));
        assert_eq!(text(&list), r#"[1,"NaN"]"#);
        let map = any(Value::KvlistValue(KeyValueList {
            values: vec![otlp::string("a", "b\""), otlp::bool("c", true)],
        }));
        assert_eq!(text(&map), r#"{"a":"b\"","c":true}"#);
        assert_eq!(text(&AnyValue { value: None }), "");
    }
}
