//! What both transports share: from the bytes of a request to the consumer's answer.

use super::counters::{Outcome, ReceiverCounters, Transport};
use super::limits::{Limits, MemoryBudget};
use bytes::Bytes;
use carafe_pipeline::{Accepted, Consumer, Refusal, RefusalKind};
use carafe_telemetry::{Batch, Signal};
use std::sync::Arc;

/// The consumer of a receiver, its limits and its counters.
pub(crate) struct Ingest {
    pub(crate) limits: Limits,
    pub(crate) memory: MemoryBudget,
    pub(crate) counters: Arc<ReceiverCounters>,
    consumer: Arc<dyn Consumer>,
}

impl Ingest {
    pub(crate) fn new(
        limits: Limits,
        counters: Arc<ReceiverCounters>,
        consumer: Arc<dyn Consumer>,
    ) -> Self {
        let memory = MemoryBudget::new(limits.in_flight_bytes);
        Self { limits, memory, counters, consumer }
    }

    /// Hands on one request. An empty one succeeds without being handed on.
    pub(crate) async fn consume(
        &self,
        transport: Transport,
        signal: Signal,
        bytes: Bytes,
    ) -> Result<Accepted, Refusal> {
        let batch = Batch { signal, bytes };
        let items = batch.items().map_err(|error| {
            let message = format!("not an OTLP {signal} request: {error}");
            Refusal::new(RefusalKind::InvalidData, message)
        })?;
        if items == 0 {
            return Ok(Accepted::default());
        }
        let result = self.consumer.consume(batch).await;
        match &result {
            Ok(accepted) => {
                let rejected = accepted.rejected_items.min(items);
                self.counters.add(transport, Outcome::Accepted, signal, items - rejected);
                self.counters.add(transport, Outcome::Refused, signal, rejected);
            }
            Err(refusal) => self.counters.add(transport, outcome(refusal), signal, items),
        }
        result
    }

    /// Counts a whole request once its answer is known.
    pub(crate) fn count_request<T>(&self, transport: Transport, result: &Result<T, Refusal>) {
        let outcome = result.as_ref().map_or_else(outcome, |_| Outcome::Accepted);
        self.counters.add_request(transport, outcome);
    }
}

fn outcome(refusal: &Refusal) -> Outcome {
    match refusal.kind {
        RefusalKind::InvalidData | RefusalKind::TooLarge => Outcome::Failed,
        _ => Outcome::Refused,
    }
}
