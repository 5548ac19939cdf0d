//! What a connection tells its sink.

/// The direction of bytes, as the observed process moves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// The process received them.
    Read,
    /// The process sent them.
    Write,
}

/// What the observed process is on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It reads requests.
    Server,
    /// It writes requests.
    Client,
}

/// Which of the two streams a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request,
    /// A final response, or 101. Other interim responses are not reported.
    Response,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As its framing said.
    Complete,
    /// The connection was closed in the middle of it.
    Aborted,
    /// The connection became a tunnel: 101, or 2xx to CONNECT.
    Upgraded,
    /// Its framing could not be followed any further.
    Lost,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// The head is known, the end is not: an [`EventKind::End`] follows.
    Head {
        /// From the first byte of the start line, the empty line included; at
        /// most [`HEAD_LIMIT`](crate::HEAD_LIMIT) bytes.
        head: &'a [u8],
        /// Whether the head is longer than `head`.
        truncated: bool,
    },
    /// Head and end were found in one call. Counts as `Head` and then an `End`
    /// with [`Outcome::Complete`].
    Complete {
        /// As in `Head`.
        head: &'a [u8],
        /// As in `Head`.
        truncated: bool,
        /// As in `End`.
        body_bytes: u64,
    },
    /// The end of the message whose head was reported last in this direction.
    ///
    /// For a response, an outcome other than `Complete` also says that requests
    /// without a response so far will not get one. Where there are such requests
    /// and no response is open, the `End` comes without a `Head` before it, with
    /// both stamps equal and no bytes.
    End {
        /// Bytes of content: without the head, chunk framing and trailers.
        body_bytes: u64,
        /// How it ended.
        outcome: Outcome,
    },
}

/// One event of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which message.
    pub message: Message,
    /// What happened to it.
    pub kind: EventKind<'a>,
    /// Stamp of the call that brought the first byte of the head.
    pub started_ns: u64,
    /// Stamp of the call that caused this event.
    pub at_ns: u64,
}

/// Receives the events of a connection, in order.
pub trait Sink {
    /// Called once per event, from within the call that caused it.
    fn message(&mut self, event: Event<'_>);
}
