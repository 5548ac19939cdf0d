//! A log record, each part of it once, borrowed from an OTLP message or from a file.

use carafe_telemetry::UnixNanos;
use carafe_telemetry::view::{LogView, ValueView};
use prost::Message;
use prost::encoding::encode_varint;
use std::borrow::Cow;

/// The key of the field `attributes` of OTLP's `LogRecord`: number 6, with its length.
const ATTRIBUTES_KEY: u8 = 6 << 3 | 2;

/// Whose time [`LogRow::time`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOrigin {
    /// The record's own.
    Own,
    /// When it was observed; it has no own.
    Observed,
    /// When it arrived; it has no other.
    Received,
}

impl TimeOrigin {
    /// The number in files.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Own => 0,
            Self::Observed => 1,
            Self::Received => 2,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Own, Self::Observed, Self::Received].into_iter().find(|o| o.number() == number)
    }
}

/// What was logged.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// Nothing.
    None,
    /// A string.
    Text(&'a str),
    /// Another value: an OTLP `AnyValue`.
    Value(Cow<'a, [u8]>),
}

/// A log record for a file.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRow<'a> {
    /// When it happened, was observed or arrived.
    pub time: UnixNanos,
    /// Which of these.
    pub time_origin: TimeOrigin,
    /// When it was observed; 0 where that is not known.
    pub observed_time: u64,
    /// The trace id as it came, valid or not; mostly empty.
    pub trace_id: &'a [u8],
    /// The span id as it came.
    pub span_id: &'a [u8],
    /// OTLP's number of the severity, known or not.
    pub severity_number: i32,
    /// The severity as the source named it.
    pub severity_text: &'a str,
    /// What was logged.
    pub body: Body<'a>,
    /// The name of the event, where the record is one.
    pub event_name: &'a str,
    /// W3C trace flags.
    pub flags: u32,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
    /// Who recorded it.
    pub service: &'a str,
    /// The OTLP resource.
    pub resource: &'a [u8],
    /// The schema of the resource; may be empty.
    pub resource_schema_url: &'a str,
    /// The OTLP scope.
    pub scope: &'a [u8],
    /// The schema of the scope; may be empty.
    pub scope_schema_url: &'a str,
    /// An OTLP `LogRecord` that has the attributes and nothing else.
    pub attributes: Cow<'a, [u8]>,
}

/// Who recorded a log record.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The service.
    pub service: &'a str,
    /// The OTLP resource.
    pub resource: &'a [u8],
    /// The schema of the resource; may be empty.
    pub resource_schema_url: &'a str,
    /// The OTLP scope.
    pub scope: &'a [u8],
    /// The schema of the scope; may be empty.
    pub scope_schema_url: &'a str,
}

impl<'a> LogRow<'a> {
    /// The row of a record that arrived. `time` is what it counts as.
    pub fn new(view: &LogView<'a>, time: UnixNanos, source: Source<'a>) -> Self {
        let mut attributes = Vec::new();
        for attribute in view.attributes() {
            attributes.push(ATTRIBUTES_KEY);
            encode_varint(attribute.bytes.len() as u64, &mut attributes);
            attributes.extend_from_slice(attribute.bytes);
        }
        Self {
            time,
            time_origin: match (view.time, view.observed) {
                (0, 0) => TimeOrigin::Received,
                (0, _) => TimeOrigin::Observed,
                _ => TimeOrigin::Own,
            },
            observed_time: view.observed,
            trace_id: view.trace_id,
            span_id: view.span_id,
            severity_number: view.severity_number,
            severity_text: view.severity_text,
            body: match view.body {
                None => Body::None,
                Some(ValueView::Str(text)) => Body::Text(text),
                Some(value) => Body::Value(value.to_owned().encode_to_vec().into()),
            },
            event_name: view.event_name,
            flags: view.flags,
            dropped_attributes: view.dropped_attributes,
            service: source.service,
            resource: source.resource,
            resource_schema_url: source.resource_schema_url,
            scope: source.scope,
            scope_schema_url: source.scope_schema_url,
            attributes: attributes.into(),
        }
    }
}
