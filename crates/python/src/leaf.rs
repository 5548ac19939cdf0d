//! Spans without children that are over when they are told: written without an object for them.

use crate::context::current;
use crate::current::{RANDOM, SAMPLED, TraceState, parent_in};
use crate::engine;
use crate::otlp::Writer;
use crate::span_otlp::flags;
use crate::tracer::Tracer;
use carafe_wire::record::{Record, Scoped};
use pyo3::prelude::*;

/// Attributes that a leaf may have; with a lower limit of the user's it becomes a span like others.
const ATTRIBUTE_LIMIT: usize = 8;

/// A span that is over.
pub(crate) struct Leaf<'a> {
    pub(crate) name: &'a str,
    /// See [`kind`](crate::tracer::kind).
    pub(crate) kind: u8,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// See [`status`](crate::span::status); without a description.
    pub(crate) status: u8,
}

impl Leaf<'_> {
    /// Writes it as a child of what is current. `attributes` writes at most [`ATTRIBUTE_LIMIT`]
    /// of them, as field 9. False where it must become a span like others: Python code decides
    /// of spans or looks at them.
    pub(crate) fn write(
        &self,
        py: Python<'_>,
        tracer: &Tracer,
        attributes: impl Fn(&mut Writer<'_>),
    ) -> PyResult<bool> {
        let provider = tracer.provider.get();
        let wishes = provider.wishes(py);
        let Ok(sampler) = wishes.sampler else { return Ok(false) };
        if wishes.processor.is_some()
            || wishes.id_generator.is_some()
            || wishes.limits.attributes.is_some_and(|limit| limit < ATTRIBUTE_LIMIT)
            || wishes.limits.span_attribute_length.is_some()
        {
            return Ok(false);
        }
        let Some(context) = current(py) else { return Ok(false) };
        let Some(parent) = parent_in(&context)? else { return Ok(false) };
        let trace_state = match &parent.trace_state {
            TraceState::Empty => "",
            TraceState::Raw(text) => text,
            TraceState::Object(_) => return Ok(false),
        };
        if !provider.to_ring || !sampler.samples(Some(parent.is_sampled()), &parent.trace_id) {
            return Ok(true);
        }
        let Some(scope) = tracer.scope.defined(py) else { return Ok(true) };
        let span_id = engine::ids(py, |ids| ids.span_id());
        engine::write_encoded(
            py,
            |writer| {
                writer.bytes(1, &parent.trace_id);
                writer.bytes(2, &span_id);
                writer.string(3, trace_state);
                writer.bytes(4, &parent.span_id);
                writer.bytes(5, self.name.as_bytes());
                // OTLP counts kinds from 1.
                writer.uint(6, u64::from(self.kind) + 1);
                writer.fixed64(7, self.start_ns);
                writer.fixed64(8, self.end_ns);
                attributes(writer);
                if self.status != 0 {
                    writer.message(15, |message| message.uint(3, self.status.into()));
                }
                writer.fixed32(16, flags(parent.flags & RANDOM | SAMPLED, Some(&parent)));
            },
            |otlp| Record::Span(Scoped { scope, otlp }),
        );
        Ok(true)
    }
}
