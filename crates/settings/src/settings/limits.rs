//! Limits of attributes, events and links.

use crate::reader::Reader;

const COUNT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
const LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const DEFAULT_COUNT: u32 = 128;

/// Limits of what is recorded. Lengths are in characters; none is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes of a span.
    pub span_attribute_count: u32,
    /// Value of a span's attribute.
    pub span_attribute_value_length: Option<u32>,
    /// Events of a span.
    pub span_event_count: u32,
    /// Links of a span.
    pub span_link_count: u32,
    /// Attributes of an event.
    pub event_attribute_count: u32,
    /// Attributes of a link.
    pub link_attribute_count: u32,
    /// Attributes of a log record.
    pub log_attribute_count: u32,
    /// Value of a log record's attribute.
    pub log_attribute_value_length: Option<u32>,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let count = reader.number(&[COUNT], 0, DEFAULT_COUNT).unwrap_or(DEFAULT_COUNT);
        let length = reader.number(&[LENGTH], 0, "no limit");
        let mut counted =
            |variable, common| reader.number(&[variable], 0, common).unwrap_or(common);
        let span_attribute_count = counted("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count);
        let span_event_count = counted("OTEL_SPAN_EVENT_COUNT_LIMIT", DEFAULT_COUNT);
        let span_link_count = counted("OTEL_SPAN_LINK_COUNT_LIMIT", DEFAULT_COUNT);
        let event_attribute_count = counted("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count);
        let link_attribute_count = counted("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count);
        let log_attribute_count = counted("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", count);
        let mut measured = |variable| reader.number(&[variable], 0, LENGTH).or(length);
        Self {
            span_attribute_count,
            span_attribute_value_length: measured("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
            span_event_count,
            span_link_count,
            event_attribute_count,
            link_attribute_count,
            log_attribute_count,
            log_attribute_value_length: measured("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        }
    }
}
