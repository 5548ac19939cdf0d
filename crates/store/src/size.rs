//! About how many bytes of memory a message takes.
//!
//! What counts is that no message takes much more than it is charged with, so that a limit in
//! bytes holds: every field of variable length is walked, and what the allocator adds is
//! covered by [`ALLOCATION`].

use carafe_telemetry::otlp::{AnyValue, KeyValue, LogRecord, Span, any_value::Value};
use std::mem::size_of;

/// What one allocation costs besides its content.
const ALLOCATION: usize = 16;

/// What a record costs in the store's own tables, on top of its content: its place in the
/// trace, in the set of identities, and its share of the indexes.
pub(crate) const INDEX: usize = 160;

pub(crate) fn span(span: &Span) -> usize {
    let events: usize = span
        .events
        .iter()
        .map(|event| size_of_val(event) + text(&event.name) + attributes(&event.attributes))
        .sum();
    let links: usize = span
        .links
        .iter()
        .map(|link| {
            size_of_val(link)
                + 24
                + 3 * ALLOCATION
                + text(&link.trace_state)
                + attributes(&link.attributes)
        })
        .sum();
    let status = span.status.as_ref().map_or(0, |status| text(&status.message));
    let ids = span.trace_id.len() + span.span_id.len() + span.parent_span_id.len();
    size_of::<Span>()
        + 4 * ALLOCATION
        + ids
        + text(&span.name)
        + text(&span.trace_state)
        + attributes(&span.attributes)
        + events
        + links
        + status
}

pub(crate) fn log(log: &LogRecord) -> usize {
    size_of::<LogRecord>()
        + 3 * ALLOCATION
        + log.trace_id.len()
        + log.span_id.len()
        + text(&log.severity_text)
        + text(&log.event_name)
        + log.body.as_ref().map_or(0, any)
        + attributes(&log.attributes)
}

pub(crate) fn attributes(attributes: &[KeyValue]) -> usize {
    ALLOCATION
        + attributes
            .iter()
            .map(|kv| size_of_val(kv) + text(&kv.key) + kv.value.as_ref().map_or(0, any))
            .sum::<usize>()
}

fn any(value: &AnyValue) -> usize {
    match &value.value {
        Some(Value::StringValue(content)) => text(content),
        Some(Value::BytesValue(bytes)) => bytes.len() + ALLOCATION,
        Some(Value::ArrayValue(list)) => {
            list.values.iter().map(|v| size_of_val(v) + any(v)).sum::<usize>() + ALLOCATION
        }
        Some(Value::KvlistValue(list)) => attributes(&list.values),
        _ => 0,
    }
}

fn text(text: &str) -> usize {
    text.len() + ALLOCATION
}
