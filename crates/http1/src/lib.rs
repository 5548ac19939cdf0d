//! Finds the HTTP/1.x messages in the two byte streams of one connection.
//!
//! The caller hands over what it sees pass, in pieces of any size, and gets one
//! [`Event`] per message head, end, or (when a whole message was in one piece)
//! both. Nothing is decoded beyond what framing needs (RFC 9112 section 6);
//! [`parse`] reads the reported heads later, somewhere else.
//!
//! The code runs inside other people's programs, so it never allocates, never
//! locks and never panics, whatever the bytes are.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::panic, clippy::expect_used, clippy::unreachable)
)]

mod body;
mod connection;
mod event;
mod framing;
mod head;
mod pending;
mod slices;
mod start;
mod streams;

pub mod parse;

pub use connection::Connection;
pub use event::{Event, EventKind, Io, Message, Outcome, Role, Sink};
pub use pending::PENDING_LIMIT;

/// Bytes of a message head that are kept and reported. A longer head is reported
/// cut to this length, as truncated; its framing is still followed.
pub const HEAD_LIMIT: usize = 8192;
