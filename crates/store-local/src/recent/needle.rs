//! Telling from encoded bytes that a value cannot be in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;

/// Tags whose values are numbers in the message, not texts.
const ENUMS: &[&str] = &["error", "span.kind", "otel.status_code"];

/// Byte strings one of which is in every encoded message that has a value with a certain text
/// form. Searching for them is far cheaper than decoding the message.
#[derive(Clone, Debug)]
pub struct Needle {
    finders: Vec<Finder<'static>>,
}

impl Needle {
    /// What to look for where the tag `key` must have the text form `value`; none where that
    /// may be the text form of something that is encoded in another way.
    pub fn of_tag(key: &str, value: &str) -> Option<Self> {
        if ENUMS.contains(&key) {
            return None;
        }
        let is_encoded = value.is_empty()
            || value.starts_with(['[', '{'])
            || value.parse::<f64>().is_ok()
            || matches!(value, "true" | "false");
        if is_encoded {
            return None;
        }
        let bytes = STANDARD.decode(value).ok();
        let strings = std::iter::once(value.as_bytes().to_vec()).chain(bytes);
        Some(Self { finders: strings.map(|text| Finder::new(&text).into_owned()).collect() })
    }

    /// Whether the value may be in one of these messages.
    pub fn may_be_in(&self, messages: &[&[u8]]) -> bool {
        messages.iter().any(|message| self.finders.iter().any(|f| f.find(message).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_store::value;
    use carafe_telemetry::otlp::{self, AnyValue, any_value::Value};
    use proptest::prelude::*;
    use prost::Message;

    fn any_value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            "[a-zA-Z0-9 /{}\\[\\]\"+=.-]{0,12}".prop_map(Value::StringValue),
            any::<bool>().prop_map(Value::BoolValue),
            any::<i64>().prop_map(Value::IntValue),
            any::<f64>().prop_map(Value::DoubleValue),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
        ];
        let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(|values| AnyValue {
                value: Some(Value::ArrayValue(otlp::ArrayValue { values })),
            })
        })
    }

    proptest! {
        #[test]
        fn what_has_the_value_is_never_excluded(value in any_value()) {
            let text = value::text(&value).into_owned();
            let bytes = value.encode_to_vec();
            if let Some(needle) = Needle::of_tag("key", &text) {
                prop_assert!(needle.may_be_in(&[b"other", &bytes]), "{text}");
            }
        }
    }

    #[test]
    fn excludes_what_does_not_have_it() {
        let needle = Needle::of_tag("http.host", "shop.example").unwrap();
        assert!(!needle.may_be_in(&[b"basket.example", b""]));
        assert!(Needle::of_tag("http.status_code", "200").is_none());
        assert!(Needle::of_tag("span.kind", "server").is_none());
    }
}
