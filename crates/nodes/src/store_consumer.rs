//! A store as the end of a pipeline.

use async_trait::async_trait;
use carafe_pipeline::{Accepted, Consumer, DropReason, NodeCounters, Refusal, RefusalKind};
use carafe_store::{Store, StoreError, StoreErrorKind};
use carafe_telemetry::Batch;
use std::sync::Arc;

/// Appends every batch to a store, and acknowledges what the store has acknowledged.
pub struct StoreConsumer {
    store: Arc<dyn Store>,
    counters: Arc<NodeCounters>,
}

impl StoreConsumer {
    /// A consumer in front of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, counters: Arc::default() }
    }

    /// What went into the store (`sent`), what did not (`send_failed`), and what it dropped.
    pub fn counters(&self) -> Arc<NodeCounters> {
        self.counters.clone()
    }
}

#[async_trait]
impl Consumer for StoreConsumer {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let signal = batch.signal;
        let items = batch.items().unwrap_or(0);
        match self.store.append(batch).await {
            Ok(appended) => {
                let rejected = appended.rejected_items.min(items);
                self.counters.sent.add(signal, items - rejected);
                self.counters.drop_items(DropReason::Rejected, signal, rejected);
                Ok(Accepted { rejected_items: rejected, message: appended.message })
            }
            Err(error) => {
                self.counters.send_failed.add(signal, items);
                Err(refusal(&error))
            }
        }
    }
}

fn refusal(error: &StoreError) -> Refusal {
    let kind = match error.kind {
        StoreErrorKind::InvalidData => RefusalKind::InvalidData,
        StoreErrorKind::Full => RefusalKind::Exhausted,
        StoreErrorKind::Unavailable => RefusalKind::Unavailable,
        StoreErrorKind::TooExpensive
        | StoreErrorKind::Cancelled
        | StoreErrorKind::Corrupt
        | StoreErrorKind::Internal => RefusalKind::Internal,
    };
    Refusal::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_store::MemoryStore;
    use carafe_telemetry::{Request, Signal, TraceId, otlp};

    fn traces(spans: Vec<otlp::Span>) -> Batch {
        let scope_spans = vec![otlp::ScopeSpans { spans, ..Default::default() }];
        let resource_spans = vec![otlp::ResourceSpans { scope_spans, ..Default::default() }];
        Request::Traces(otlp::ExportTraceServiceRequest { resource_spans }).encode()
    }

    fn span(trace_id: u8) -> otlp::Span {
        otlp::Span { trace_id: vec![trace_id; 16], span_id: vec![1; 8], ..Default::default() }
    }

    #[tokio::test]
    async fn what_is_accepted_is_in_the_store() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let consumer = StoreConsumer::new(store.clone());
        // The all-zero id is invalid: the store keeps the one span and rejects the other.
        let accepted = consumer.consume(traces(vec![span(7), span(0)])).await.unwrap();
        assert_eq!(accepted.rejected_items, 1);
        assert!(!accepted.message.is_empty());
        assert!(store.trace(TraceId([7; 16])).await.unwrap().is_some());
        let counters = consumer.counters();
        assert_eq!(counters.sent.get(Signal::Traces), 1);
        assert_eq!(counters.dropped(DropReason::Rejected).get(Signal::Traces), 1);
    }

    #[tokio::test]
    async fn what_the_store_cannot_read_is_refused_for_good() {
        let consumer = StoreConsumer::new(Arc::new(MemoryStore::default()));
        let mut batch = traces(vec![otlp::Span { name: "four".into(), ..span(7) }]);
        let mut bytes = batch.bytes.to_vec();
        let at = bytes.windows(4).position(|window| window == b"four").unwrap();
        bytes[at] = 0xff;
        batch.bytes = bytes.into();
        let refusal = consumer.consume(batch).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::InvalidData);
        assert_eq!(consumer.counters().send_failed.get(Signal::Traces), 1);
    }

    #[test]
    fn only_passing_faults_are_retryable() {
        for kind in [
            StoreErrorKind::InvalidData,
            StoreErrorKind::Full,
            StoreErrorKind::Unavailable,
            StoreErrorKind::Corrupt,
            StoreErrorKind::Internal,
        ] {
            let refusal = refusal(&StoreError::new(kind, "why"));
            assert_eq!(refusal.kind.is_retryable(), kind.is_retryable(), "{kind:?}");
            assert_eq!(refusal.message, "why");
        }
    }
}
