//! Kafka.

use super::{Sink, named};
use crate::random::Random;
use crate::text::Text;
use crate::trace::Span;

pub(super) fn message(
    topic: &'static str,
    publishes: bool,
    span: &Span,
    random: &mut Random,
    sink: &mut impl Sink,
) {
    let stable = span.service.get().stable;
    let service = span.service.get().name;
    let operation = if publishes { "publish" } else { "process" };
    sink.text("messaging.system", "kafka");
    sink.text(named(stable, "messaging.destination.name", "messaging.destination"), topic);
    sink.text(named(stable, "messaging.operation.type", "messaging.operation"), operation);
    sink.text("messaging.message.id", Text::new().hex(random.next(), 16).as_str());
    let client = Text::new().push(service).push("-").number(random.below(4));
    sink.text(named(stable, "messaging.client.id", "messaging.client_id"), client.as_str());
    let partition = random.below(24);
    if stable {
        sink.text("messaging.destination.partition.id", Text::new().number(partition).as_str());
    } else {
        sink.int("messaging.kafka.destination.partition", partition as i64);
    }
    sink.int("messaging.kafka.message.offset", random.below(1 << 40) as i64);
    sink.int("messaging.message.body.size", 120 + random.below(9_000) as i64);
    if !publishes {
        sink.text("messaging.consumer.group.name", service);
        sink.bytes("messaging.kafka.message.key", &random.next().to_be_bytes());
    }
}
