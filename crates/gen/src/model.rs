//! Telemetry as OTLP's own types: what is expected to come back.

use crate::attributes::{self, Sink};
use crate::log::Log;
use crate::trace::{Span, Trace};
use crate::world::World;
use carafe_telemetry::otlp::{self, AnyValue, KeyValue, any_value::Value};

/// Collects attributes.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) attributes: Vec<KeyValue>,
}

impl Model {
    fn push(&mut self, key: &str, value: Value) {
        self.attributes.push(KeyValue {
            key: key.to_owned(),
            value: Some(any(value)),
            ..Default::default()
        });
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

impl Sink for Model {
    fn text(&mut self, key: &'static str, value: &str) {
        self.attributes.push(otlp::string(key, value));
    }

    fn int(&mut self, key: &'static str, value: i64) {
        self.attributes.push(otlp::int(key, value));
    }

    fn double(&mut self, key: &'static str, value: f64) {
        self.attributes.push(otlp::double(key, value));
    }

    fn boolean(&mut self, key: &'static str, value: bool) {
        self.attributes.push(otlp::bool(key, value));
    }

    fn texts(&mut self, key: &'static str, values: &[&str]) {
        let values = values.iter().map(|text| any(Value::StringValue((*text).to_owned())));
        self.push(key, Value::ArrayValue(otlp::ArrayValue { values: values.collect() }));
    }

    fn map(&mut self, key: &'static str, entries: &[(&'static str, &str)]) {
        let values = entries.iter().map(|(key, value)| otlp::string(key, *value)).collect();
        self.push(key, Value::KvlistValue(otlp::KeyValueList { values }));
    }

    fn bytes(&mut self, key: &'static str, value: &[u8]) {
        self.push(key, Value::BytesValue(value.to_vec()));
    }
}

/// What the `flags` of a span or link say: sampled, and whether the parent is remote is
/// known (OTLP, `SpanFlags`).
pub(crate) fn flags(remote: bool) -> u32 {
    0x101 | u32::from(remote) << 9
}

/// The `tracestate` of all spans of a trace; most have none.
pub(crate) fn trace_state(trace: &Trace) -> &'static str {
    if trace.context.session.is_multiple_of(16) { "shop=edge,vendor=00f067aa0ba902b7" } else { "" }
}

/// A span in full.
pub(crate) fn span(world: &World, trace: &Trace, span: &Span) -> otlp::Span {
    let mut model = Model::default();
    attributes::span(world, trace, span, &mut model);
    let events = (0..).map_while(|number| attributes::event(span, number)).map(|note| {
        let mut model = Model::default();
        note.visit(span, &mut model);
        otlp::span::Event {
            time_unix_nano: note.time,
            name: note.name.to_owned(),
            attributes: model.attributes,
            ..Default::default()
        }
    });
    let links =
        (0..).map_while(|number| attributes::link(world, trace, span, number)).map(|note| {
            let mut model = Model::default();
            note.visit(&mut model);
            otlp::span::Link {
                trace_id: world.trace_id(note.trace).0.to_vec(),
                span_id: note.span.to_be_bytes().to_vec(),
                attributes: model.attributes,
                flags: flags(true),
                ..Default::default()
            }
        });
    otlp::Span {
        trace_id: trace.id.0.to_vec(),
        span_id: span.id().0.to_vec(),
        parent_span_id: trace.parent(span).map(|parent| parent.id().0.to_vec()).unwrap_or_default(),
        trace_state: trace_state(trace).to_owned(),
        flags: flags(span.is_remote_child()),
        name: span.name(world).to_owned(),
        kind: span.kind() as i32,
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end(),
        dropped_attributes_count: span.dropped_attributes(),
        events: events.collect(),
        links: links.collect(),
        status: span
            .status()
            .map(|(code, message)| otlp::Status { code: code as i32, message: message.to_owned() }),
        attributes: model.attributes,
        ..Default::default()
    }
}

/// A log record in full.
pub(crate) fn log(world: &World, log: &Log) -> otlp::LogRecord {
    let mut model = Model::default();
    log.attributes(world, &mut model);
    let body = log.body();
    let value = match log.body_map(&body) {
        None => Value::StringValue(body.as_str().to_owned()),
        Some(entries) => Value::KvlistValue(otlp::KeyValueList {
            values: entries.iter().map(|(key, value)| otlp::string(key, *value)).collect(),
        }),
    };
    let (trace_id, span_id) =
        log.context.map(|(trace, span)| (trace.0.to_vec(), span.0.to_vec())).unwrap_or_default();
    otlp::LogRecord {
        time_unix_nano: log.time,
        observed_time_unix_nano: log.observed(),
        severity_number: log.severity as i32,
        severity_text: log.severity_text().to_owned(),
        body: Some(any(value)),
        attributes: model.attributes,
        flags: u32::from(log.context.is_some()),
        trace_id,
        span_id,
        event_name: log.event_name().to_owned(),
        ..Default::default()
    }
}
