//! A store as the end of a pipeline.

use async_trait::async_trait;
use carafe_pipeline::{Accepted, Consumer, DropReason, NodeCounters, Refusal, RefusalKind, count};
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
        let items = count::items(&batch);
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
        StoreErrorKind::Corrupt | StoreErrorKind::Internal => RefusalKind::Internal,
    };
    Refusal::new(kind, error.to_string())
}
