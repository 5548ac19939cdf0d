//! The attributes, events and links of a span.

use super::{Sink, database, failure, http, messaging, rpc};
use crate::random::Random;
use crate::shop::{Language, Protocol};
use crate::text::Text;
use crate::trace::{Shape, Span, Trace};
use crate::world::{World, span_id};

/// How often a span that answers has an event of its own, in millionths.
const NOTED_MILLIONTHS: u32 = 60_000;

/// How many earlier traces a job links to.
const JOB_LINKS: u64 = 3;

/// An event of a span, its attributes aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventNote {
    pub(crate) name: &'static str,
    pub(crate) time: u64,
    random: u64,
}

/// A link of a span, its attributes aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkNote {
    /// Which trace, by index.
    pub(crate) trace: u64,
    pub(crate) span: u64,
}

/// Tells the attributes of a span.
pub(crate) fn span(world: &World, trace: &Trace, span: &Span, sink: &mut impl Sink) {
    let mut random = Random::from_bits(span.random);
    match span.shape {
        Shape::Serve(endpoint) | Shape::Call(endpoint) => {
            let serves = matches!(span.shape, Shape::Serve(_));
            let callee = endpoint.get().service.get();
            match endpoint.get().protocol {
                Protocol::Http(method, route) if serves => {
                    http::server((method, route), trace, span, &mut random, sink);
                }
                Protocol::Http(method, route) => {
                    http::client((method, route), callee, trace, span, &mut random, sink);
                }
                Protocol::Rpc(service, method) => {
                    rpc::call((service, method), callee, span, &mut random, sink);
                }
                Protocol::Topic(_) | Protocol::Job(_) => {}
            }
        }
        Shape::Publish(endpoint) | Shape::Consume(endpoint) => {
            if let Protocol::Topic(topic) = endpoint.get().protocol {
                let publishes = matches!(span.shape, Shape::Publish(_));
                messaging::message(topic, publishes, span, &mut random, sink);
            }
        }
        Shape::Ask(query) => database::ask(query.get(), span, &mut random, sink),
        Shape::Job(_) | Shape::Work(..) => own(world, span, &mut random, sink),
    }
    shared(trace, span, &mut random, sink);
}

/// What the shop's own code says of a piece of work.
fn own(world: &World, span: &Span, random: &mut Random, sink: &mut impl Sink) {
    let service = span.service.get();
    let function = Text::new().push(service.name).push("::").push(span.name(world));
    sink.text("code.function.name", function.as_str());
    sink.text("code.file.path", Text::new().push("src/").push(service.name).as_str());
    sink.int("code.line.number", 10 + random.below(900) as i64);
    sink.double("shop.work.score", random.below(1_000_000) as f64 / 8_192.0);
    sink.boolean("shop.work.cached", random.chance(300_000));
    sink.int("shop.work.items", random.below(400) as i64);
    if random.chance(20_000) {
        let phase = Text::new().number(random.below(5));
        sink.map("shop.work.plan", &[("phase", phase.as_str()), ("mode", "eager")]);
    }
}

/// What all spans of the shop carry along.
fn shared(trace: &Trace, span: &Span, random: &mut Random, sink: &mut impl Sink) {
    let context = &trace.context;
    sink.text("shop.tenant", Text::new().push("tenant-").number(context.tenant).as_str());
    if matches!(span.shape, Shape::Serve(_) | Shape::Consume(_)) {
        sink.text("user.id", Text::new().push("u").number(context.user).as_str());
        sink.text("session.id", Text::new().hex(context.session, 16).as_str());
    }
    if let Language::Java | Language::Dotnet = span.service.get().language {
        let thread = 20 + random.below(200);
        sink.int("thread.id", thread as i64);
        sink.text("thread.name", Text::new().push("worker-").number(thread).as_str());
    }
    if span.parent.is_none() {
        sink.text("shop.request.id", Text::new().hex(trace.bits, 16).as_str());
        sink.boolean("shop.experiment.new_cart", context.user.is_multiple_of(10));
    }
}

/// Event `number` of a span.
pub(crate) fn event(span: &Span, number: usize) -> Option<EventNote> {
    let mut random = Random::from_bits(!span.random);
    let within = |random: &mut Random| span.start + random.below(span.duration.max(1));
    let noted = span.answers() && random.chance(NOTED_MILLIONTHS);
    let noted = noted.then(|| EventNote {
        name: "cache lookup",
        time: within(&mut random),
        random: random.next(),
    });
    let raised = span.raised.then(|| EventNote {
        name: "exception",
        time: within(&mut random),
        random: random.next(),
    });
    noted.into_iter().chain(raised).nth(number)
}

impl EventNote {
    /// Tells the attributes of the event.
    pub(crate) fn visit(&self, span: &Span, sink: &mut impl Sink) {
        if self.name == "exception" {
            let exception = failure::exception(span.service.get().language, span.random);
            sink.text("exception.type", exception.kind);
            sink.text("exception.message", exception.message);
            sink.text("exception.stacktrace", exception.stack);
        } else {
            let mut random = Random::from_bits(self.random);
            let key = Text::new().push("page:").number(random.below(10_000));
            sink.text("cache.key", key.as_str());
            sink.boolean("cache.hit", random.chance(700_000));
        }
    }
}

/// Link `number` of a span: a consumer links to the producer, a job to traces before its own.
pub(crate) fn link(world: &World, trace: &Trace, span: &Span, number: usize) -> Option<LinkNote> {
    match span.shape {
        Shape::Consume(_) if number == 0 => {
            Some(LinkNote { trace: trace.index, span: trace.parent(span)?.id })
        }
        Shape::Job(_) if (number as u64) < JOB_LINKS => {
            let earlier = trace.index.checked_sub(1 + number as u64)?;
            let bits = world.trace_bits(earlier);
            Some(LinkNote { trace: earlier, span: span_id(bits, 0) })
        }
        _ => None,
    }
}

impl LinkNote {
    /// Tells the attributes of the link.
    pub(crate) fn visit(&self, sink: &mut impl Sink) {
        sink.text("shop.link.reason", "follows");
        sink.int("shop.link.trace_number", self.trace as i64);
    }
}
