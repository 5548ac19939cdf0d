//! How telemetry moves: consumers, bounded queues, retry and shutdown. Knows no protocol.
//!
//! Every edge is a call to [`Consumer::consume`] whose answer travels back to whoever sent the
//! data: a receiver acknowledges to its client only what has been consumed. Where the sender
//! cannot wait (the launcher, which drains rings), a [`Queue`] stands between the two.

#![forbid(unsafe_code)]

pub mod consumer;
pub mod counters;
pub mod fanout;
pub mod queue;
pub mod retry;

pub use consumer::{Accepted, Consumer, Refusal, RefusalKind};
pub use counters::{DropReason, NodeCounters};
pub use fanout::Fanout;
pub use queue::{Leftover, Queue, QueueConfig, QueueSender, QueueStats};
pub use retry::{Retry, RetryPolicy};

#[cfg(test)]
mod testing;
