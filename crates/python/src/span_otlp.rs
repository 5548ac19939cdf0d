//! Spans in OTLP.

use crate::current::{Parent, TraceState};
use crate::engine;
use crate::otlp::Writer;
use crate::span::{Data, Span};
use carafe_wire::record::{Record, Scoped};
use pyo3::prelude::*;

/// `SpanFlags`: the next bit has a meaning.
const HAS_IS_REMOTE: u32 = 0x100;

/// `SpanFlags`: the parent, or a link's target, is in another process.
const IS_REMOTE: u32 = 0x200;

impl Span {
    /// Writes a span that has ended into the ring.
    #[inline]
    pub(crate) fn write(&self, py: Python<'_>) {
        let Some(scope) = self.scope(py).defined(py) else { return };
        // Asked before the data is open: it can run Python code.
        let trace_state = header(py, &self.start.trace_state);
        let Some(data) = self.data.open(py) else { return };
        engine::write_encoded(
            py,
            |writer| self.encode(py, &data, &trace_state, writer),
            |otlp| Record::Span(Scoped { scope, otlp }),
        );
    }

    fn encode(&self, py: Python<'_>, data: &Data, trace_state: &str, writer: &mut Writer<'_>) {
        writer.bytes(1, &self.start.trace_id);
        writer.bytes(2, &self.start.span_id);
        writer.string(3, trace_state);
        if let Some(parent) = &self.parent {
            writer.bytes(4, &parent.span_id);
        }
        writer.text(5, data.name.bind(py));
        // OTLP counts kinds from 1.
        writer.uint(6, u64::from(self.kind) + 1);
        writer.fixed64(7, self.start_ns);
        writer.fixed64(8, data.end_ns);
        data.attributes.encode(py, writer, 9);
        writer.uint(10, data.attributes.dropped.into());
        for event in &data.events {
            writer.message(11, |message| {
                message.fixed64(1, event.time_ns);
                message.text(2, event.name.bind(py));
                event.attributes.encode(py, message, 3);
                message.uint(4, event.attributes.dropped.into());
            });
        }
        writer.uint(12, data.dropped_events.into());
        for link in &data.links {
            writer.message(13, |message| {
                message.bytes(1, &link.target.trace_id);
                message.bytes(2, &link.target.span_id);
                if let TraceState::Raw(state) = &link.target.trace_state {
                    message.string(3, state);
                }
                link.attributes.encode(py, message, 4);
                message.uint(5, link.attributes.dropped.into());
                message.fixed32(6, flags(link.target.flags, Some(&link.target)));
            });
        }
        writer.uint(14, data.dropped_links.into());
        if data.status.code != 0 {
            writer.message(15, |message| {
                if let Some(description) = &data.status.description {
                    message.text(2, description.bind(py));
                }
                message.uint(3, data.status.code.into());
            });
        }
        writer.fixed32(16, flags(self.start.flags, self.parent.as_ref()));
    }
}

/// The flags of a span whose parent, or of a link whose target, is `other`.
pub(crate) fn flags(trace_flags: u8, other: Option<&Parent>) -> u32 {
    let remote = if other.is_some_and(|other| other.is_remote) { IS_REMOTE } else { 0 };
    u32::from(trace_flags) | HAS_IS_REMOTE | remote
}

#[inline]
fn header(py: Python<'_>, state: &TraceState) -> String {
    match state {
        TraceState::Empty => String::new(),
        state => state.to_header(py).unwrap_or_default(),
    }
}
