//! What a node did, in items, for self-telemetry to read.

use carafe_telemetry::Signal;
use std::sync::atomic::{AtomicU64, Ordering};

/// One monotonic count per signal.
#[derive(Debug, Default)]
pub struct BySignal([AtomicU64; 3]);

impl BySignal {
    /// Adds `items` to the count of `signal`.
    pub fn add(&self, signal: Signal, items: u64) {
        self.0[signal as usize].fetch_add(items, Ordering::Relaxed);
    }

    /// Items so far.
    pub fn get(&self, signal: Signal) -> u64 {
        self.0[signal as usize].load(Ordering::Relaxed)
    }

    /// Items so far, all signals together.
    pub fn total(&self) -> u64 {
        Signal::ALL.into_iter().map(|signal| self.get(signal)).sum()
    }
}

/// Why items were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue was at one of its limits.
    QueueFull,
    /// They came after shutdown had begun.
    ShuttingDown,
    /// The consumer refused them for good, or retry gave up.
    Refused,
    /// The consumer took the batch but rejected them (OTLP's partial success).
    Rejected,
    /// They were still waiting when the shutdown deadline came.
    Deadline,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::QueueFull, Self::ShuttingDown, Self::Refused, Self::Rejected, Self::Deadline];

    /// The word in metrics: `queue_full`, `shutting_down`, `refused`, `rejected`, `deadline`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ShuttingDown => "shutting_down",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Deadline => "deadline",
        }
    }
}

/// The counts of one node, in spans, data points or log records. A receiver moves the first
/// three, an exporter's queue the others. Shared by `Arc` with whoever reads it.
#[derive(Debug, Default)]
pub struct NodeCounters {
    /// Arrived at the node.
    pub received: BySignal,
    /// Taken, and acknowledged to the sender.
    pub accepted: BySignal,
    /// Not taken; the sender was told.
    pub refused: BySignal,
    /// Delivered to the next consumer.
    pub sent: BySignal,
    /// Not delivered after all tries.
    pub send_failed: BySignal,
    dropped: [BySignal; DropReason::ALL.len()],
}

impl NodeCounters {
    /// Adds items that were given up.
    pub fn drop_items(&self, reason: DropReason, signal: Signal, items: u64) {
        self.dropped[reason as usize].add(signal, items);
    }

    /// Items given up for `reason`.
    pub fn dropped(&self, reason: DropReason) -> &BySignal {
        &self.dropped[reason as usize]
    }

    /// Items given up, all reasons and signals together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(BySignal::total).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_apart_by_signal_and_reason() {
        let counters = NodeCounters::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            counters.drop_items(reason, Signal::Logs, index as u64 + 1);
            assert_eq!(counters.dropped(reason).get(Signal::Logs), index as u64 + 1);
            assert_eq!(counters.dropped(reason).get(Signal::Traces), 0);
        }
        assert_eq!(counters.dropped_total(), 15);
        counters.sent.add(Signal::Metrics, 4);
        assert_eq!((counters.sent.total(), counters.sent.get(Signal::Metrics)), (4, 4));
    }
}
