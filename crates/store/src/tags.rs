//! How `key=value` matches a span: aliases of attribute names and virtual tags.

use crate::record::{LogRecord, SpanRecord};
use crate::value;
use carafe_telemetry::otlp::{AnyValue, KeyValue, any_value::Value, span::SpanKind, status};
use std::borrow::Cow;

/// Attribute names that mean the same in the old and the stable HTTP and network conventions
/// (semantic conventions, "HTTP migration"). Within a group each name finds all of them.
const ALIASES: &[&[&str]] = &[
    &["http.method", "http.request.method"],
    &["http.status_code", "http.response.status_code"],
    &["http.target", "url.path"],
    &["http.url", "url.full"],
    &["http.host", "http.server_name", "net.host.name", "net.peer.name", "server.address"],
    &["net.host.port", "net.peer.port", "server.port"],
    &["http.scheme", "url.scheme"],
    &["http.flavor", "network.protocol.version"],
    &["http.user_agent", "user_agent.original"],
    &["http.client_ip", "client.address"],
    &["net.peer.ip", "net.sock.peer.addr", "network.peer.address"],
    &["net.sock.peer.port", "network.peer.port"],
    &["http.request_content_length", "http.request.body.size"],
    &["http.response_content_length", "http.response.body.size"],
    &["db.system", "db.system.name"],
    &["db.statement", "db.query.text"],
    &["db.name", "db.namespace"],
    &["db.operation", "db.operation.name"],
];

/// Tags that every span has although they are fields of the span, not attributes; the names
/// under which Jaeger shows the fields.
pub(crate) const VIRTUAL_TAGS: &[&str] = &["error", "otel.status_code", "span.kind"];

/// All names that mean the same as `key`, itself included.
pub fn aliases(key: &str) -> impl Iterator<Item = &str> {
    let others = ALIASES.iter().find(|group| group.contains(&key)).copied().unwrap_or(&[]);
    std::iter::once(key).chain(others.iter().copied().filter(move |name| *name != key))
}

/// The name under which an index keeps `key` and all its aliases. It is part of the embedded
/// store's file format: a group's first name stays, and a group that grows is a new format.
pub fn canonical(key: &str) -> &str {
    ALIASES.iter().find(|group| group.contains(&key)).map_or(key, |group| group[0])
}

/// The lower-case name of a span kind, empty where it is unspecified, as Jaeger writes it.
pub fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

/// The value of a tag that is a field of the span: `error`, `span.kind`, `otel.status_code`,
/// `otel.status_description`, `otel.scope.name`, `otel.scope.version`.
pub fn virtual_tag<'a>(span: &'a SpanRecord, key: &str) -> Option<&'a str> {
    let field = match key {
        "error" if span.is_error() => "true",
        "error" => "false",
        "span.kind" => kind_name(span.kind()),
        "otel.status_code" => match span.status_code() {
            status::StatusCode::Unset => "UNSET",
            status::StatusCode::Ok => "OK",
            status::StatusCode::Error => "ERROR",
        },
        "otel.status_description" => &span.span.status.as_ref()?.message,
        "otel.scope.name" => &span.scope.scope.name,
        "otel.scope.version" => &span.scope.scope.version,
        _ => return None,
    };
    Some(field).filter(|text| !text.is_empty())
}

/// As [`virtual_tag`], of a log record: `otel.scope.name`, `otel.scope.version`.
pub(crate) fn virtual_log_tag<'a>(log: &'a LogRecord, key: &str) -> Option<&'a str> {
    let field = match key {
        "otel.scope.name" => &log.scope.scope.name,
        "otel.scope.version" => &log.scope.scope.version,
        _ => return None,
    };
    Some(field.as_str()).filter(|text| !text.is_empty())
}

/// Whether [`virtual_tag`] knows the key: its values are no attributes.
pub fn is_virtual_tag(key: &str) -> bool {
    VIRTUAL_TAGS.contains(&key)
        || ["otel.status_description", "otel.scope.name", "otel.scope.version"].contains(&key)
}

/// A `key=value` condition on a span: true where a virtual tag, or an attribute of the span,
/// its resource, its scope or its events has the key, or an alias of it, and the value.
#[derive(Clone, Debug)]
pub struct TagFilter {
    keys: Vec<String>,
    value: String,
    int: Option<i64>,
    double: Option<f64>,
}

impl TagFilter {
    /// Values compare by their text form.
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            keys: aliases(key).map(str::to_owned).collect(),
            value: value.to_owned(),
            int: value.parse().ok().filter(|int: &i64| int.to_string() == value),
            double: value.parse().ok().filter(|double: &f64| double.to_string() == value),
        }
    }

    /// The key as it was asked for.
    pub fn key(&self) -> &str {
        &self.keys[0]
    }

    /// The value, as text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether an integer is the value.
    pub fn is_int(&self, int: i64) -> bool {
        self.int == Some(int)
    }

    /// Whether a floating point number is the value: zero and minus zero, whose texts differ,
    /// are two, and NaN is itself.
    pub fn is_double(&self, double: f64) -> bool {
        self.double
            .is_some_and(|own| own.to_bits() == double.to_bits() || own.is_nan() && double.is_nan())
    }

    /// Whether `log` has the tag: among its attributes, its resource's or its scope's.
    pub fn matches_log(&self, log: &LogRecord) -> bool {
        virtual_log_tag(log, self.key()).is_some_and(|text| text == self.value)
            || self.among(&log.log.attributes)
            || self.among(&log.resource.resource.attributes)
            || self.among(&log.scope.scope.attributes)
    }

    /// Whether `span` has the tag.
    pub fn matches(&self, span: &SpanRecord) -> bool {
        if let Some(text) = virtual_tag(span, self.key()) {
            let matches = match self.key() {
                "error" | "span.kind" | "otel.status_code" => {
                    text.eq_ignore_ascii_case(&self.value)
                }
                _ => text == self.value,
            };
            if matches {
                return true;
            }
            // A span that failed is never `error=false`, whatever an attribute says.
            if self.key() == "error" && span.is_error() {
                return false;
            }
        }
        self.among(&span.span.attributes)
            || self.among(&span.resource.resource.attributes)
            || self.among(&span.scope.scope.attributes)
            || span.span.events.iter().any(|event| self.among(&event.attributes))
    }

    fn among(&self, attributes: &[KeyValue]) -> bool {
        attributes.iter().any(|kv| self.is(kv))
    }

    fn is(&self, kv: &KeyValue) -> bool {
        self.keys.contains(&kv.key) && kv.value.as_ref().is_some_and(|value| self.equals(value))
    }

    fn equals(&self, any: &AnyValue) -> bool {
        match &any.value {
            Some(Value::StringValue(text)) => *text == self.value,
            Some(Value::IntValue(int)) => self.is_int(*int),
            Some(Value::DoubleValue(double)) => self.is_double(*double),
            _ => value::text(any) == self.value,
        }
    }
}

/// The values that a span has under `key` or an alias of it, as text: what [`TagFilter`] of
/// the same key would find, events left out.
pub(crate) fn values<'a>(span: &'a SpanRecord, keys: &[&str]) -> Option<Cow<'a, str>> {
    let key = *keys.first()?;
    if let Some(text) = virtual_tag(span, key) {
        return Some(Cow::Borrowed(text));
    }
    let found = [&span.span.attributes, &span.resource.resource.attributes];
    let kv = found.into_iter().flatten().find(|kv| keys.contains(&kv.key.as_str()))?;
    kv.value.as_ref().map(value::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::testing::any_value;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn no_name_is_in_two_groups() {
        let mut seen = HashSet::new();
        for name in ALIASES.iter().copied().flatten() {
            assert!(seen.insert(*name), "{name}");
        }
    }

    #[test]
    fn aliases_work_both_ways() {
        assert_eq!(aliases("url.full").collect::<Vec<_>>(), ["url.full", "http.url"]);
        assert_eq!(aliases("http.url").collect::<Vec<_>>(), ["http.url", "url.full"]);
        assert_eq!(aliases("other").collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn aliases_have_one_canonical_name() {
        for name in ALIASES.iter().copied().flatten() {
            let names: HashSet<_> = aliases(name).map(canonical).collect();
            assert_eq!(names.len(), 1, "{name}");
        }
        assert_eq!(canonical("server.address"), "http.host");
        assert_eq!(canonical("other"), "other");
    }

    proptest! {
        #[test]
        fn values_compare_by_their_text(any in any_value(), other in any_value()) {
            for text in [value::text(&any).into_owned(), value::text(&other).into_owned()] {
                let tag = TagFilter::new("k", &text);
                prop_assert_eq!(tag.equals(&any), value::text(&any) == text, "{}", text);
            }
        }
    }

    #[test]
    fn numbers_compare_by_their_text() {
        let tag = TagFilter::new("n", "5");
        assert!(tag.equals(&AnyValue { value: Some(Value::IntValue(5)) }));
        assert!(tag.equals(&AnyValue { value: Some(Value::StringValue("5".into())) }));
        assert!(tag.equals(&AnyValue { value: Some(Value::DoubleValue(5.0)) }));
        assert!(!TagFilter::new("n", "+5").equals(&AnyValue { value: Some(Value::IntValue(5)) }));
        let double = |double| AnyValue { value: Some(Value::DoubleValue(double)) };
        for (text, same, other) in [("0", 0.0, -0.0), ("-0", -0.0, 0.0), ("NaN", f64::NAN, 1.0)] {
            assert!(TagFilter::new("n", text).equals(&double(same)), "{text}");
            assert!(!TagFilter::new("n", text).equals(&double(other)), "{text}");
        }
    }
}
