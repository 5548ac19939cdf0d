//! How telemetry moves: consumers, bounded queues, retry and shutdown. Knows no protocol.
//!
//! Every edge is a call to [`Consumer::consume`] whose answer travels back to whoever sent the
//! data: a receiver acknowledges to its client only what has been consumed.

pub mod consumer;

pub use consumer::{Accepted, Consumer, Refusal, RefusalKind};
