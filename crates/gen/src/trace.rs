//! Traces before they have names and attributes.

mod build;

use crate::attributes;
use crate::shop::{EndpointId, Protocol, QueryId, Service, ServiceId, Step};
use crate::world::{ScopeKind, World, span_id};
use build::Builder;
use carafe_telemetry::otlp::span::SpanKind;
use carafe_telemetry::otlp::status::StatusCode;
use carafe_telemetry::{SpanId, TraceId};

/// No trace has more spans.
pub(crate) const MAX_TRACE_SPANS: usize = 4_096;

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// Answers a call.
    Serve(EndpointId),
    /// Calls an endpoint.
    Call(EndpointId),
    /// Publishes to a topic.
    Publish(EndpointId),
    /// Takes a message from a topic.
    Consume(EndpointId),
    /// Runs by the clock.
    Job(EndpointId),
    /// Asks a database.
    Ask(QueryId),
    /// The step of this number of an endpoint, which is [`Step::Work`].
    Work(EndpointId, u8),
}

/// A span: all that its attributes, events and links are a function of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) id: u64,
    /// The place of its parent in the trace.
    pub(crate) parent: Option<u16>,
    pub(crate) shape: Shape,
    pub(crate) service: ServiceId,
    /// The place of its process among all.
    pub(crate) instance: u16,
    /// By its process' clock, in nanoseconds since the epoch.
    pub(crate) start: u64,
    /// In nanoseconds.
    pub(crate) duration: u64,
    /// An HTTP status code, whatever the protocol.
    pub(crate) code: u16,
    /// Whether its status is an error.
    pub(crate) failed: bool,
    /// Whether the failure began here.
    pub(crate) raised: bool,
    /// Where its details come from.
    pub(crate) random: u64,
}

/// A trace, to be filled again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) index: u64,
    pub(crate) id: TraceId,
    /// The lower half of its id.
    pub(crate) bits: u64,
    /// What the spans of the trace have in common.
    pub(crate) context: Context,
    /// Parents before their children.
    pub(crate) spans: Vec<Span>,
}

/// Who asked for it, and where.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    pub(crate) tenant: u64,
    pub(crate) user: u64,
    pub(crate) session: u64,
    pub(crate) product: u64,
    /// Places in the shop's tables.
    pub(crate) host: usize,
    pub(crate) agent: usize,
}

impl Trace {
    /// Makes trace `index`.
    pub(crate) fn generate(&mut self, world: &World, index: u64) {
        self.index = index;
        self.id = world.trace_id(index);
        self.bits = world.trace_bits(index);
        self.spans.clear();
        Builder::new(world, self).build(world.trace_start(index));
        for span in &mut self.spans {
            span.start = world.instances[usize::from(span.instance)].clock(span.start);
        }
    }

    pub(crate) fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.get(usize::from(span.parent?))
    }

    fn span_id(&self) -> u64 {
        span_id(self.bits, self.spans.len() as u16)
    }
}

impl Span {
    pub(crate) fn id(&self) -> SpanId {
        SpanId(self.id.to_be_bytes())
    }

    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.duration)
    }

    pub(crate) fn kind(&self) -> SpanKind {
        self.shape.kind()
    }

    /// Whether it answers someone: what requests, errors and durations are counted of.
    pub(crate) fn answers(&self) -> bool {
        matches!(self.shape, Shape::Serve(_) | Shape::Consume(_)) || self.parent.is_none()
    }

    /// Whether its parent, if it has one, is in another process.
    pub(crate) fn is_remote_child(&self) -> bool {
        self.parent.is_some() && matches!(self.shape, Shape::Serve(_) | Shape::Consume(_))
    }

    /// What its recorder left out.
    pub(crate) fn dropped_attributes(&self) -> u32 {
        if self.random.is_multiple_of(2_000) { 3 } else { 0 }
    }

    /// The status, where it is set, and its message.
    pub(crate) fn status(&self) -> Option<(StatusCode, &'static str)> {
        if self.raised {
            let exception = attributes::exception(self.service.get().language, self.random);
            return Some((StatusCode::Error, exception.message));
        }
        if self.failed {
            return Some((StatusCode::Error, ""));
        }
        let ok = matches!(self.shape, Shape::Work(..)) && self.random.is_multiple_of(8);
        ok.then_some((StatusCode::Ok, ""))
    }

    pub(crate) fn scope(&self) -> ScopeKind {
        match self.shape {
            Shape::Serve(endpoint) | Shape::Call(endpoint) => match endpoint.get().protocol {
                Protocol::Rpc(..) => ScopeKind::Rpc,
                _ => ScopeKind::Http,
            },
            Shape::Publish(_) | Shape::Consume(_) => ScopeKind::Messaging,
            Shape::Ask(_) => ScopeKind::Database,
            Shape::Job(_) | Shape::Work(..) => ScopeKind::Own,
        }
    }

    pub(crate) fn name<'w>(&self, world: &'w World) -> &'w str {
        self.shape.name(world, self.service.get())
    }
}

impl Shape {
    pub(crate) fn kind(self) -> SpanKind {
        match self {
            Self::Serve(_) => SpanKind::Server,
            Self::Call(_) | Self::Ask(_) => SpanKind::Client,
            Self::Publish(_) => SpanKind::Producer,
            Self::Consume(_) => SpanKind::Consumer,
            Self::Job(_) | Self::Work(..) => SpanKind::Internal,
        }
    }

    /// The name of such a span of `service`.
    pub(crate) fn name<'w>(self, world: &'w World, service: &Service) -> &'w str {
        match self {
            Self::Serve(endpoint) | Self::Consume(endpoint) | Self::Job(endpoint) => {
                world.names.server(endpoint)
            }
            Self::Call(endpoint) | Self::Publish(endpoint) => world.names.client(endpoint, service),
            Self::Ask(query) => query.get().name,
            Self::Work(endpoint, step) => match endpoint.get().steps.get(usize::from(step)) {
                Some(Step::Work(name, ..)) => name,
                _ => "",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::test_world;
    use std::collections::HashSet;

    #[test]
    fn a_trace_is_a_function_of_its_index() {
        let world = test_world(1_000);
        let (mut once, mut again) = (Trace::default(), Trace::default());
        for index in 0..50 {
            once.generate(&world, index);
        }
        again.generate(&world, 49);
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }

    #[test]
    fn spans_lie_within_their_parents_and_have_ids_of_their_own() {
        let world = test_world(50_000);
        let mut trace = Trace::default();
        let mut sizes = 0;
        for index in 0..world.traces() {
            trace.generate(&world, index);
            sizes += trace.spans.len();
            assert!(!trace.spans.is_empty() && trace.spans.len() <= MAX_TRACE_SPANS);
            let ids: HashSet<u64> = trace.spans.iter().map(|span| span.id).collect();
            assert_eq!(ids.len(), trace.spans.len());
            assert!(!ids.contains(&0));
            for span in &trace.spans {
                let Some(parent) = trace.parent(span) else { continue };
                assert!(span.start >= parent.start, "{span:?} {parent:?}");
                if !matches!(span.shape, Shape::Consume(_)) {
                    assert!(span.end() <= parent.end(), "{span:?} {parent:?}");
                }
            }
        }
        let mean = sizes as f64 / world.traces() as f64;
        assert!((8.0..25.0).contains(&mean), "{mean}");
        assert!((sizes as f64 / 50_000.0 - 1.0).abs() < 0.1, "{sizes}");
    }
}
