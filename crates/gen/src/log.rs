//! Log records: those that services write while they work on a trace, and others.

use crate::attributes::{self, Sink};
use crate::random::{Purpose, Random};
use crate::shop::{SERVICES, WORDS};
use crate::text::Text;
use crate::trace::{Shape, Span, Trace};
use crate::world::World;
use carafe_telemetry::otlp::SeverityNumber;
use carafe_telemetry::{SpanId, TraceId};

/// How often a span that answers says that it did, in millionths.
const HANDLED_MILLIONTHS: u32 = 220_000;

/// How often other spans say something.
const DETAIL_MILLIONTHS: u32 = 50_000;

/// How often there is a record between traces, in millionths of traces.
const BACKGROUND_MILLIONTHS: u32 = 150_000;

/// A span that takes longer than this, in nanoseconds, is called slow.
const SLOW: u64 = 400_000_000;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Handled,
    Slow,
    Failed(&'static str, &'static str),
    Detail,
    Background,
}

/// A log record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    topic: Topic,
    /// The place of its process among all.
    pub(crate) instance: u16,
    /// By its process' clock.
    pub(crate) time: u64,
    pub(crate) severity: SeverityNumber,
    /// Where it belongs; none for what happens between traces.
    pub(crate) context: Option<(TraceId, SpanId)>,
    subject: &'static str,
    random: u64,
}

/// Adds the records that come with a trace.
pub(crate) fn of_trace(world: &World, trace: &Trace, logs: &mut Vec<Log>) {
    for span in &trace.spans {
        let mut random = Random::new(span.random, Purpose::Log, span.id);
        let log = |topic, severity, random: &mut Random| Log {
            topic,
            instance: span.instance,
            time: span.start + random.below(span.duration.max(1)),
            severity,
            context: Some((trace.id, span.id())),
            subject: subject(span),
            random: random.next(),
        };
        if span.raised {
            let exception = attributes::exception(span.service.get().language, span.random);
            let topic = Topic::Failed(exception.kind, exception.message);
            logs.push(log(topic, SeverityNumber::Error, &mut random));
        }
        if span.answers() {
            if span.duration > SLOW {
                logs.push(log(Topic::Slow, SeverityNumber::Warn, &mut random));
            }
            if random.chance(HANDLED_MILLIONTHS) {
                logs.push(log(Topic::Handled, SeverityNumber::Info, &mut random));
            }
        } else if random.chance(DETAIL_MILLIONTHS) {
            logs.push(log(Topic::Detail, SeverityNumber::Debug, &mut random));
        }
    }
    let mut random = Random::new(trace.bits, Purpose::Log, 0);
    if random.chance(BACKGROUND_MILLIONTHS) {
        let instance = random.below(world.instances.len() as u64) as u16;
        let process = &world.instances[usize::from(instance)];
        let severity = match random.below(40) {
            0 => SeverityNumber::Fatal,
            1..=3 => SeverityNumber::Warn2,
            _ => SeverityNumber::Info,
        };
        logs.push(Log {
            topic: Topic::Background,
            instance,
            time: process.clock(world.trace_start(trace.index) + random.below(world.step().max(2))),
            severity,
            context: None,
            subject: SERVICES[random.below(SERVICES.len() as u64) as usize].name,
            random: random.next(),
        });
    }
}

fn subject(span: &Span) -> &'static str {
    match span.shape {
        Shape::Serve(_) | Shape::Call(_) => "request",
        Shape::Publish(_) | Shape::Consume(_) => "message",
        Shape::Job(_) => "job",
        Shape::Ask(_) => "query",
        Shape::Work(..) => "work",
    }
}

impl Log {
    /// When somebody saw it.
    pub(crate) fn observed(&self) -> u64 {
        self.time + 1_000 + self.random % 40_000
    }

    /// What names the record among all.
    pub(crate) fn uid(&self) -> Text {
        Text::new().hex(self.random, 16)
    }

    pub(crate) fn severity_text(&self) -> &'static str {
        match self.severity {
            SeverityNumber::Fatal => "FATAL",
            SeverityNumber::Error => "ERROR",
            SeverityNumber::Warn => "WARN",
            SeverityNumber::Warn2 => "warning",
            SeverityNumber::Debug => "DEBUG",
            _ => "INFO",
        }
    }

    pub(crate) fn event_name(&self) -> &'static str {
        match self.topic {
            Topic::Background if self.random.is_multiple_of(8) => "shop.cache.refreshed",
            _ => "",
        }
    }

    /// Some words that records have, by random bits; the last are rare.
    fn word(&self) -> &'static str {
        let mut random = Random::from_bits(self.random);
        let most = WORDS.len() as u64;
        WORDS[random.below(most).min(random.below(most)) as usize]
    }

    /// The text of the body, or the message in a body that is a map.
    pub(crate) fn body(&self) -> Text {
        let text = Text::new();
        let number = self.random >> 40;
        match self.topic {
            Topic::Handled => {
                let text = text.push("handled ").push(self.subject).push(" #").number(number);
                text.push(" for ").push(self.word())
            }
            Topic::Slow => text.push("slow ").push(self.subject).push(" #").number(number),
            Topic::Failed(_, message) => {
                text.push(self.subject).push(" failed: ").push(message).push(" #").number(number)
            }
            Topic::Detail => text.push("cache of ").push(self.word()).push(" missed, asking again"),
            Topic::Background => {
                let text = text.push("Refreshed ").push(self.word()).push(" table of ");
                text.push(self.subject).push(" with ").number(number).push(" rows")
            }
        }
    }

    /// The entries of a body that is a map.
    pub(crate) fn body_map<'a>(&self, body: &'a Text) -> Option<[(&'static str, &'a str); 2]> {
        let is_map = self.topic == Topic::Background && self.random.is_multiple_of(5);
        is_map.then(|| [("message", body.as_str()), ("component", self.subject)])
    }

    /// Tells its attributes.
    pub(crate) fn attributes(&self, world: &World, sink: &mut impl Sink) {
        let mut random = Random::from_bits(!self.random);
        let service = world.instances[usize::from(self.instance)].service;
        let logger = Text::new().push("shop.").push(service.name).push(".").push(self.subject);
        sink.text("log.record.uid", self.uid().as_str());
        sink.text("log.logger", logger.as_str());
        match self.topic {
            Topic::Handled | Topic::Slow => {
                sink.double("shop.elapsed_ms", random.below(1 << 20) as f64 / 1_024.0);
                sink.int("shop.attempt", 1 + random.below(3) as i64);
            }
            Topic::Failed(kind, message) => {
                sink.text("exception.type", kind);
                sink.text("exception.message", message);
            }
            Topic::Detail => sink.boolean("shop.cache.stale", random.chance(400_000)),
            Topic::Background => sink.int("shop.rows", (self.random >> 40) as i64),
        }
    }
}
