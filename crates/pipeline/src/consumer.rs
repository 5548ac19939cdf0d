//! The one interface between the nodes of a pipeline.

use async_trait::async_trait;
use carafe_telemetry::Batch;
use std::sync::Arc;
use std::time::Duration;

/// Takes batches: an exporter, a queue in front of one, a store.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Returns once the batch is safe (stored, queued durably, or delivered), or refuses it.
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal>;
}

#[async_trait]
impl<C: Consumer + ?Sized> Consumer for Arc<C> {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        (**self).consume(batch).await
    }
}

/// The batch was taken, perhaps without some of its items (OTLP's partial success).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans, data points or log records that were rejected for good.
    pub rejected_items: u64,
    /// Why, or a warning when nothing was rejected; empty when there is nothing to say.
    pub message: String,
}

/// What kind of refusal it is; maps once to an HTTP status and a gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The data is wrong; sending it again cannot help. 400, INVALID_ARGUMENT.
    InvalidData,
    /// The peer does not let us in. 401 or 403, UNAUTHENTICATED.
    Unauthenticated,
    /// No capacity now (memory, queue, disk). 429, RESOURCE_EXHAUSTED with RetryInfo.
    Exhausted,
    /// Away, or shutting down. 503, UNAVAILABLE.
    Unavailable,
    /// The data is larger than the limit. 413, RESOURCE_EXHAUSTED without RetryInfo.
    TooLarge,
    /// A fault that sending again will not cure. 500, INTERNAL.
    Internal,
}

impl RefusalKind {
    /// Whether the same batch may be accepted later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Exhausted | Self::Unavailable)
    }
}

/// A batch that was not taken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal it is.
    pub kind: RefusalKind,
    /// What a person reads: lower case, with the values in it.
    pub message: String,
    /// When the peer asks to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with no wish about the next try.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }
}
