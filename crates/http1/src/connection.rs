//! The state of one connection.

use crate::event::{Io, Role, Sink};
use crate::head::Buffer;
use crate::streams::Streams;

/// Both streams of one connection.
///
/// A fresh connection is all zeroes, and zero-filled memory of the right size and
/// alignment is a valid fresh connection: the layout is C's, and it holds only
/// integers, plain enums and booleans. Its buffers, two of about 8.5 KiB, lie at
/// the end and are written only when a head arrives in several pieces.
///
/// Whoever sends first sends requests: bytes read make the process a
/// [`Role::Server`], bytes written a [`Role::Client`]. When those bytes are not the
/// start of an HTTP/1 request, the connection is dead: everything else is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Connection {
    streams: Streams,
    requests: Buffer,
    responses: Buffer,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A connection before its first byte: all zeroes.
    pub const fn new() -> Self {
        Self { streams: Streams::new(), requests: Buffer::new(), responses: Buffer::new() }
    }

    /// Makes this a fresh connection again, without touching the buffers.
    pub fn reset(&mut self) {
        self.streams = Streams::new();
    }

    /// What the process is, known from the first whole request line on.
    pub fn role(&self) -> Option<Role> {
        self.streams.role()
    }

    /// Whether nothing more will be reported: not HTTP/1, a tunnel by now, or
    /// closed.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.streams.is_dead()
    }

    /// Takes the next bytes of one direction.
    #[inline]
    pub fn feed(&mut self, io: Io, bytes: &[u8], now_ns: u64, sink: &mut impl Sink) {
        if bytes.is_empty() || self.streams.is_dead() {
            return;
        }
        let message = self.streams.message(io);
        self.streams.feed(message, &mut self.requests, &mut self.responses, bytes, now_ns, sink);
    }

    /// Takes the number of bytes that passed in one direction without being seen
    /// (`sendfile`, `splice`). They can be content; where a head or chunk framing
    /// would have been among them, the framing is lost.
    pub fn skip(&mut self, io: Io, count: u64, now_ns: u64, sink: &mut impl Sink) {
        if count == 0 || self.streams.is_dead() {
            return;
        }
        let message = self.streams.message(io);
        self.streams.skip(message, count, now_ns, sink);
    }

    /// One direction ended: a read returned 0 ([`Io::Read`]), or the process shut
    /// down its sending side ([`Io::Write`]). The other direction goes on.
    pub fn eof(&mut self, io: Io, now_ns: u64, sink: &mut impl Sink) {
        if self.streams.is_dead() {
            return;
        }
        let message = self.streams.message(io);
        self.streams.finish(message, now_ns, sink);
    }

    /// The connection is closed, in both directions.
    pub fn close(&mut self, now_ns: u64, sink: &mut impl Sink) {
        if !self.streams.is_dead() {
            self.streams.close(now_ns, sink);
        }
    }
}
