//! What a condition sees of a span and of a log record.

use super::Field;
use crate::record::{LogRecord, SpanRecord};
use crate::tags::{self, TagFilter};
use crate::value;
use carafe_telemetry::otlp::{KeyValue, span::SpanKind, status::StatusCode};
use std::borrow::Cow;

/// The value of a field.
pub(super) enum FieldValue<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// One of a few words, which compare in either case.
    Word(&'static str),
    /// Nanoseconds, or a severity number.
    Number(u64),
}

pub(super) trait Subject {
    fn field(&self, field: Field) -> Option<FieldValue<'_>>;

    fn virtual_tag(&self, key: &str) -> Option<&str>;

    fn has_tag(&self, tag: &TagFilter) -> bool;

    /// Whether one of the attributes passes.
    fn any_attribute(&self, passes: impl Fn(&KeyValue) -> bool) -> bool;
}

impl Subject for SpanRecord {
    fn field(&self, field: Field) -> Option<FieldValue<'_>> {
        Some(match field {
            Field::Service => FieldValue::Text(Cow::Borrowed(self.service())),
            Field::Name => FieldValue::Text(Cow::Borrowed(&self.span.name)),
            Field::Kind => FieldValue::Word(kind_word(self.kind())),
            Field::Status => FieldValue::Word(status_word(self.status_code())),
            Field::Duration => FieldValue::Number(self.end.0.saturating_sub(self.start.0)),
            Field::Severity | Field::Body => return None,
        })
    }

    fn virtual_tag(&self, key: &str) -> Option<&str> {
        tags::virtual_tag(self, key)
    }

    fn has_tag(&self, tag: &TagFilter) -> bool {
        tag.matches(self)
    }

    fn any_attribute(&self, passes: impl Fn(&KeyValue) -> bool) -> bool {
        let attributes = self.span.attributes.iter();
        attributes
            .chain(&self.resource.resource.attributes)
            .chain(&self.scope.scope.attributes)
            .chain(self.span.events.iter().flat_map(|event| &event.attributes))
            .any(passes)
    }
}

impl Subject for LogRecord {
    fn field(&self, field: Field) -> Option<FieldValue<'_>> {
        Some(match field {
            Field::Service => FieldValue::Text(Cow::Borrowed(&self.resource.service)),
            Field::Name if self.log.event_name.is_empty() => return None,
            Field::Name => FieldValue::Text(Cow::Borrowed(&self.log.event_name)),
            Field::Severity => {
                let number = u64::try_from(self.log.severity_number).ok();
                FieldValue::Number(number.filter(|number| *number > 0)?)
            }
            Field::Body => FieldValue::Text(value::text(self.log.body.as_ref()?)),
            Field::Kind | Field::Status | Field::Duration => return None,
        })
    }

    fn virtual_tag(&self, key: &str) -> Option<&str> {
        tags::virtual_log_tag(self, key)
    }

    fn has_tag(&self, tag: &TagFilter) -> bool {
        tag.matches_log(self)
    }

    fn any_attribute(&self, passes: impl Fn(&KeyValue) -> bool) -> bool {
        let attributes = self.log.attributes.iter();
        attributes
            .chain(&self.resource.resource.attributes)
            .chain(&self.scope.scope.attributes)
            .any(passes)
    }
}

fn kind_word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        other => tags::kind_name(other),
    }
}

fn status_word(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}
