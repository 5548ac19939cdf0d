//! What a receiver says about itself.

use carafe_telemetry::Signal;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP, protobuf or JSON.
    Http,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// The value of the `transport` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pipeline took it.
    Accepted,
    /// The pipeline, or the receiver's memory limit, turned it away.
    Refused,
    /// It was not a request that OTLP knows.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Failed];

    /// The word in the names of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One number per transport and outcome.
type Cells = [[AtomicU64; 3]; 2];

/// Requests and items by transport, signal and outcome, since the start.
#[derive(Debug, Default)]
pub struct ReceiverCounters {
    items: [Cells; 3],
    requests: Cells,
}

impl ReceiverCounters {
    pub(crate) fn add(&self, transport: Transport, outcome: Outcome, signal: Signal, items: u64) {
        self.items[signal as usize][transport as usize][outcome as usize]
            .fetch_add(items, Ordering::Relaxed);
    }

    pub(crate) fn add_request(&self, transport: Transport, outcome: Outcome) {
        self.requests[transport as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Spans, data points or log records.
    pub fn items(&self, transport: Transport, outcome: Outcome, signal: Signal) -> u64 {
        self.items[signal as usize][transport as usize][outcome as usize].load(Ordering::Relaxed)
    }

    /// Export requests of all signals.
    pub fn requests(&self, transport: Transport, outcome: Outcome) -> u64 {
        self.requests[transport as usize][outcome as usize].load(Ordering::Relaxed)
    }
}
