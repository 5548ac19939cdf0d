//! Telemetry as protobuf bytes, written without a tree in between.

use crate::attributes::{self, Sink};
use crate::log::Log;
use crate::model::{flags, trace_state};
use crate::trace::{Span, Trace};
use crate::wire::{Writer, varint_len};
use crate::world::World;

/// About how long messages get, so that room for their lengths fits.
const SPAN_GUESS: usize = 600;
const EVENT_GUESS: usize = 400;
const LINK_GUESS: usize = 130;
const LOG_GUESS: usize = 350;

/// Writes attributes into a message under construction, as fields of this number. Lengths are
/// computed beforehand.
pub(crate) struct To<'a>(pub(crate) &'a mut Writer, pub(crate) u32);

/// The bytes of a field whose tag is one byte and whose content is `len` bytes long.
fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

impl To<'_> {
    /// Begins a `KeyValue` whose value's message is `value` bytes long.
    #[inline]
    fn begin(&mut self, key: &'static str, value: usize) {
        let Self(writer, field) = self;
        let length = delimited_len(key.len()) + delimited_len(value);
        writer.varint(u64::from(*field << 3 | 2));
        writer.varint(length as u64);
        writer.delimited(1, key.as_bytes());
        writer.bytes.push(2 << 3 | 2);
        writer.varint(value as u64);
    }
}

impl Sink for To<'_> {
    #[inline]
    fn text(&mut self, key: &'static str, value: &str) {
        self.begin(key, delimited_len(value.len()));
        self.0.delimited(1, value.as_bytes());
    }

    #[inline]
    fn int(&mut self, key: &'static str, value: i64) {
        self.begin(key, 1 + varint_len(value as u64));
        self.0.uint(3, value as u64);
    }

    fn double(&mut self, key: &'static str, value: f64) {
        self.begin(key, 9);
        self.0.fixed64(4, value.to_bits());
    }

    fn boolean(&mut self, key: &'static str, value: bool) {
        self.begin(key, 2);
        self.0.uint(2, u64::from(value));
    }

    fn texts(&mut self, key: &'static str, values: &[&str]) {
        let list: usize = values.iter().map(|v| delimited_len(delimited_len(v.len()))).sum();
        self.begin(key, delimited_len(list));
        self.0.message(5, list, |writer| {
            for value in values {
                writer.message(1, value.len() + 2, |writer| writer.delimited(1, value.as_bytes()));
            }
        });
    }

    fn map(&mut self, key: &'static str, entries: &[(&'static str, &str)]) {
        let entry = |(key, value): &(&str, &str)| {
            delimited_len(delimited_len(key.len()) + delimited_len(delimited_len(value.len())))
        };
        let list: usize = entries.iter().map(entry).sum();
        self.begin(key, delimited_len(list));
        self.0.message(6, list, |writer| {
            for (key, value) in entries {
                To(writer, 1).text(key, value);
            }
        });
    }

    fn bytes(&mut self, key: &'static str, value: &[u8]) {
        self.begin(key, delimited_len(value.len()));
        self.0.delimited(7, value);
    }
}

/// Writes a span as field `field`.
pub(crate) fn span(writer: &mut Writer, field: u32, world: &World, trace: &Trace, span: &Span) {
    writer.message(field, SPAN_GUESS, |writer| {
        writer.delimited(1, &trace.id.0);
        writer.delimited(2, &span.id().0);
        let state = trace_state(trace);
        if !state.is_empty() {
            writer.delimited(3, state.as_bytes());
        }
        if let Some(parent) = trace.parent(span) {
            writer.delimited(4, &parent.id().0);
        }
        writer.delimited(5, span.name(world).as_bytes());
        writer.uint(6, span.kind() as u64);
        writer.fixed64(7, span.start);
        writer.fixed64(8, span.end());
        attributes::span(world, trace, span, &mut To(writer, 9));
        if span.dropped_attributes() != 0 {
            writer.uint(10, span.dropped_attributes().into());
        }
        for note in (0..).map_while(|number| attributes::event(span, number)) {
            writer.message(11, EVENT_GUESS, |writer| {
                writer.fixed64(1, note.time);
                writer.delimited(2, note.name.as_bytes());
                note.visit(span, &mut To(writer, 3));
            });
        }
        for note in (0..).map_while(|number| attributes::link(world, trace, span, number)) {
            writer.message(13, LINK_GUESS, |writer| {
                writer.delimited(1, &world.trace_id(note.trace).0);
                writer.delimited(2, &note.span.to_be_bytes());
                note.visit(&mut To(writer, 4));
                writer.fixed32(6, flags(true));
            });
        }
        if let Some((code, message)) = span.status() {
            writer.message(15, message.len() + 2, |writer| {
                if !message.is_empty() {
                    writer.delimited(2, message.as_bytes());
                }
                writer.uint(3, code as u64);
            });
        }
        writer.fixed32(16, flags(span.is_remote_child()));
    });
}

/// Writes a log record as field `field`.
pub(crate) fn log(writer: &mut Writer, field: u32, world: &World, log: &Log) {
    writer.message(field, LOG_GUESS, |writer| {
        writer.fixed64(1, log.time);
        writer.uint(2, log.severity as u64);
        writer.delimited(3, log.severity_text().as_bytes());
        let body = log.body();
        match log.body_map(&body) {
            None => writer.message(5, body.as_str().len() + 3, |writer| {
                writer.delimited(1, body.as_str().as_bytes());
            }),
            Some(entries) => writer.message(5, 100, |writer| {
                writer.message(6, 100, |writer| {
                    for (key, value) in entries {
                        To(writer, 1).text(key, value);
                    }
                });
            }),
        }
        log.attributes(world, &mut To(writer, 6));
        if let Some((trace, span)) = log.context {
            writer.fixed32(8, 1);
            writer.delimited(9, &trace.0);
            writer.delimited(10, &span.0);
        }
        writer.fixed64(11, log.observed());
        if !log.event_name().is_empty() {
            writer.delimited(12, log.event_name().as_bytes());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log;
    use crate::model;
    use crate::world::test_world;
    use carafe_telemetry::otlp;
    use prost::Message;

    #[test]
    fn spans_and_logs_are_written_as_prost_writes_them() {
        let world = test_world(30_000);
        let mut trace = Trace::default();
        let mut logs = Vec::new();
        let (mut events, mut links, mut maps) = (0, 0, 0);
        for index in 0..world.traces() {
            trace.generate(&world, index);
            for span in &trace.spans {
                let mut writer = Writer::default();
                super::span(&mut writer, 2, &world, &trace, span);
                let expected = model::span(&world, &trace, span);
                events += expected.events.len();
                links += expected.links.len();
                let request = otlp::ScopeSpans { spans: vec![expected], ..Default::default() };
                assert_eq!(otlp::ScopeSpans::decode(&*writer.bytes).unwrap(), request);
                assert_eq!(writer.bytes, request.encode_to_vec());
            }
            logs.clear();
            log::of_trace(&world, &trace, &mut logs);
            for log in &logs {
                let mut writer = Writer::default();
                super::log(&mut writer, 2, &world, log);
                let expected = model::log(&world, log);
                maps += usize::from(log.body_map(&log.body()).is_some());
                let request = otlp::ScopeLogs { log_records: vec![expected], ..Default::default() };
                assert_eq!(otlp::ScopeLogs::decode(&*writer.bytes).unwrap(), request);
                assert_eq!(writer.bytes, request.encode_to_vec());
            }
        }
        assert!(events > 100 && links > 10 && maps > 10, "{events} {links} {maps}");
    }
}
