//! One connection's state without its buffers: two streams and what pairs them.

use crate::body::{Body, Progress, Skipped};
use crate::event::{Event, EventKind, Io, Message, Outcome, Role, Sink};
use crate::framing::Plan;
use crate::head::{Buffer, Head, Scan};
use crate::pending::{Asked, Pending};
use crate::slices::split;
use crate::start;

/// Zero-filled memory must be a valid value of everything in here, so that the
/// enums are plain ones whose first variant is the fresh state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Side {
    Unknown = 0,
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// In a head, or before one.
    Head = 0,
    Body,
    /// Behind a CONNECT: what comes next depends on its response.
    Undecided,
    /// As `Undecided`, and bytes have come.
    UndecidedPassed,
    /// The framing is not known any more.
    Lost,
    /// The stream ended.
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
struct Stream {
    head: Head,
    body: Body,
    state: State,
    /// A head was reported, its end was not.
    open: bool,
    /// The message is not reported: a response that nothing asked for.
    silent: bool,
    /// The head was reported before it was complete.
    early: bool,
}

impl Stream {
    const fn new() -> Self {
        Self {
            head: Head::new(),
            body: Body::new(),
            state: State::Head,
            open: false,
            silent: false,
            early: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Streams {
    requests: Stream,
    responses: Stream,
    pending: Pending,
    side: Side,
    /// A whole request line proved that this is HTTP/1.
    proven: bool,
    dead: bool,
}

impl Streams {
    pub(crate) const fn new() -> Self {
        Self {
            requests: Stream::new(),
            responses: Stream::new(),
            pending: Pending::new(),
            side: Side::Unknown,
            proven: false,
            dead: false,
        }
    }

    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(crate) fn role(&self) -> Option<Role> {
        match self.side {
            Side::Server if self.proven => Some(Role::Server),
            Side::Client if self.proven => Some(Role::Client),
            _ => None,
        }
    }

    /// The stream that bytes in this direction belong to. The first bytes of all
    /// decide: whoever speaks first asks.
    #[inline]
    pub(crate) fn message(&mut self, io: Io) -> Message {
        if self.side == Side::Unknown {
            self.side = match io {
                Io::Read => Side::Server,
                Io::Write => Side::Client,
            };
        }
        match (self.side, io) {
            (Side::Server, Io::Read) | (Side::Client, Io::Write) => Message::Request,
            _ => Message::Response,
        }
    }

    #[inline]
    fn stream(&mut self, message: Message) -> &mut Stream {
        match message {
            Message::Request => &mut self.requests,
            Message::Response => &mut self.responses,
        }
    }

    /// Follows one stream through the next bytes.
    pub(crate) fn feed(
        &mut self,
        message: Message,
        requests: &mut Buffer,
        responses: &mut Buffer,
        bytes: &[u8],
        now_ns: u64,
        sink: &mut impl Sink,
    ) {
        match message {
            Message::Request => self.resynchronise(bytes, now_ns, sink),
            // Before a request there is nothing to answer: another protocol, in
            // which the other side speaks first.
            Message::Response if !self.proven => {
                self.dead = true;
                return;
            }
            Message::Response => {}
        }
        let mut rest = bytes;
        while !rest.is_empty() && !self.dead {
            let stream = self.stream(message);
            match stream.state {
                State::Head => {
                    if stream.head.is_fresh() {
                        // Empty lines before a message (RFC 9112 section 2.2).
                        while let [b'\r' | b'\n', after @ ..] = rest {
                            rest = after;
                        }
                        if rest.is_empty() {
                            return;
                        }
                    }
                    let buffer = match message {
                        Message::Request => &mut *requests,
                        Message::Response => &mut *responses,
                    };
                    let scan = stream.head.scan(message, buffer, rest, now_ns);
                    self.proven |= scan != Scan::Broken && self.requests.head.has_start_line();
                    match scan {
                        Scan::More => return,
                        Scan::Broken => return self.lose(message, now_ns, sink),
                        Scan::End(used) => {
                            let (last, after) = split(rest, used);
                            let (stream, buffer) = match message {
                                Message::Request => (&self.requests, &*requests),
                                Message::Response => (&self.responses, &*responses),
                            };
                            let (head, truncated) = stream.head.reported(buffer, last);
                            let seen = Seen { head, truncated };
                            rest = match message {
                                Message::Request => self.begin_request(seen, after, now_ns, sink),
                                Message::Response => {
                                    self.begin_response(seen, after, requests, now_ns, sink)
                                }
                            };
                        }
                    }
                }
                State::Body => match stream.body.feed(rest) {
                    Progress::More => return,
                    Progress::Broken => return self.lose(message, now_ns, sink),
                    Progress::End(used) => {
                        rest = split(rest, used).1;
                        self.end(message, Outcome::Complete, now_ns, sink);
                        self.next(message);
                    }
                },
                State::Undecided => {
                    stream.state = State::UndecidedPassed;
                    return;
                }
                State::UndecidedPassed | State::Lost | State::Ended => return,
            }
        }
    }

    /// Starts both streams anew when one is lost and a request begins.
    #[inline]
    fn resynchronise(&mut self, bytes: &[u8], now_ns: u64, sink: &mut impl Sink) {
        let between = self.requests.state == State::Head && self.requests.head.is_fresh();
        let lost =
            self.requests.state == State::Lost || (self.responses.state == State::Lost && between);
        if lost && start::begins_with_request(bytes) {
            self.lose(Message::Response, now_ns, sink);
            self.requests = Stream::new();
            self.responses = Stream::new();
        }
    }

    /// A server may answer before it has read the whole head (RFC 9110 sections
    /// 15.5.9 and 15.5.14, RFC 6585 section 5): what is there of it is reported.
    fn answer_early(&mut self, requests: &Buffer, now_ns: u64, sink: &mut impl Sink) {
        let stream = &mut self.requests;
        let in_head = stream.state == State::Head && stream.head.has_start_line();
        if !self.pending.is_empty() || !in_head || stream.early {
            return;
        }
        let (head, _) = stream.head.reported(requests, &[]);
        stream.early = true;
        stream.open = true;
        self.pending.push(start::asked(head));
        let kind = EventKind::Head { head, truncated: true };
        let started_ns = stream.head.started_ns;
        sink.message(Event { message: Message::Request, kind, started_ns, at_ns: now_ns });
    }

    fn begin_request<'a>(
        &mut self,
        seen: Seen<'_>,
        after: &'a [u8],
        now_ns: u64,
        sink: &mut impl Sink,
    ) -> &'a [u8] {
        let early = self.requests.early;
        let asked = start::asked(seen.head);
        let plan = self.requests.head.framing.request();
        if !early && !self.pending.push(asked) {
            // Nothing can be paired any more, in either direction.
            self.emit_head(Message::Request, seen, now_ns, sink);
            self.lose(Message::Request, now_ns, sink);
            self.lose(Message::Response, now_ns, sink);
            return &[];
        }
        let rest = self.begin(Message::Request, seen, plan, after, now_ns, sink);
        if asked == Asked::Connect && !early && self.requests.state == State::Head {
            self.requests.state = State::Undecided;
        }
        rest
    }

    fn begin_response<'a>(
        &mut self,
        seen: Seen<'_>,
        after: &'a [u8],
        requests: &Buffer,
        now_ns: u64,
        sink: &mut impl Sink,
    ) -> &'a [u8] {
        let Some(status) = start::status(seen.head) else {
            self.lose(Message::Response, now_ns, sink);
            return &[];
        };
        // Interim responses (RFC 9110 section 15.2) come before the one that counts.
        if matches!(status, 100 | 102..=199) {
            self.next(Message::Response);
            return after;
        }
        self.answer_early(requests, now_ns, sink);
        let asked = self.pending.pop();
        self.responses.silent = asked.is_none();
        let asked = asked.unwrap_or(Asked::Other);
        if status == 101 || (asked == Asked::Connect && matches!(status, 200..=299)) {
            self.emit_head(Message::Response, seen, now_ns, sink);
            self.end(Message::Response, Outcome::Upgraded, now_ns, sink);
            self.end(Message::Request, Outcome::Upgraded, now_ns, sink);
            self.dead = true;
            return &[];
        }
        if asked == Asked::Connect {
            match self.requests.state {
                State::Undecided => self.requests.state = State::Head,
                // What the client sent ahead was meant for the tunnel.
                State::UndecidedPassed => self.lose(Message::Request, now_ns, sink),
                _ => {}
            }
        }
        let plan = self.responses.head.framing.response(status, asked);
        self.begin(Message::Response, seen, plan, after, now_ns, sink)
    }

    /// Reports the head, together with the end where that is known already, and
    /// returns the bytes behind what is known.
    #[inline]
    fn begin<'a>(
        &mut self,
        message: Message,
        seen: Seen<'_>,
        plan: Plan,
        after: &'a [u8],
        now_ns: u64,
        sink: &mut impl Sink,
    ) -> &'a [u8] {
        let Some(mut body) = Body::begin(plan) else {
            self.emit_head(message, seen, now_ns, sink);
            self.lose(message, now_ns, sink);
            return &[];
        };
        let progress = body.feed(after);
        let stream = self.stream(message);
        stream.body = body;
        stream.state = State::Body;
        match progress {
            Progress::More => {
                self.emit_head(message, seen, now_ns, sink);
                &[]
            }
            Progress::Broken => {
                self.emit_head(message, seen, now_ns, sink);
                self.lose(message, now_ns, sink);
                &[]
            }
            Progress::End(used) => {
                if stream.open {
                    self.end(message, Outcome::Complete, now_ns, sink);
                } else if !stream.silent {
                    let kind = EventKind::Complete {
                        head: seen.head,
                        truncated: seen.truncated,
                        body_bytes: stream.body.bytes(),
                    };
                    let started_ns = stream.head.started_ns;
                    sink.message(Event { message, kind, started_ns, at_ns: now_ns });
                }
                self.next(message);
                split(after, used).1
            }
        }
    }

    fn emit_head(&mut self, message: Message, seen: Seen<'_>, at_ns: u64, sink: &mut impl Sink) {
        let stream = self.stream(message);
        if stream.silent || stream.open {
            return;
        }
        stream.open = true;
        let kind = EventKind::Head { head: seen.head, truncated: seen.truncated };
        let started_ns = stream.head.started_ns;
        sink.message(Event { message, kind, started_ns, at_ns });
    }

    /// Reports the end of the open message, if there is one.
    fn end(&mut self, message: Message, outcome: Outcome, at_ns: u64, sink: &mut impl Sink) {
        let stream = self.stream(message);
        if !stream.open {
            return;
        }
        stream.open = false;
        let kind = EventKind::End { body_bytes: stream.body.bytes(), outcome };
        let started_ns = stream.head.started_ns;
        sink.message(Event { message, kind, started_ns, at_ns });
    }

    /// Prepares a stream for its next message.
    #[inline]
    fn next(&mut self, message: Message) {
        *self.stream(message) = Stream::new();
    }

    /// Ends the responses for good: the open one, and those that will not come.
    fn end_responses(&mut self, outcome: Outcome, at_ns: u64, sink: &mut impl Sink) {
        let told = self.responses.open && outcome != Outcome::Complete;
        self.end(Message::Response, outcome, at_ns, sink);
        if !told && !self.pending.is_empty() {
            let outcome = if outcome == Outcome::Lost { outcome } else { Outcome::Aborted };
            let kind = EventKind::End { body_bytes: 0, outcome };
            sink.message(Event { message: Message::Response, kind, started_ns: at_ns, at_ns });
        }
        self.pending.clear();
    }

    fn lose(&mut self, message: Message, at_ns: u64, sink: &mut impl Sink) {
        match message {
            Message::Request => self.end(message, Outcome::Lost, at_ns, sink),
            Message::Response => self.end_responses(Outcome::Lost, at_ns, sink),
        }
        *self.stream(message) = Stream { state: State::Lost, ..Stream::new() };
        self.dead |= !self.proven;
    }

    pub(crate) fn skip(&mut self, message: Message, count: u64, at_ns: u64, sink: &mut impl Sink) {
        let stream = self.stream(message);
        let skipped = match stream.state {
            State::Head => Skipped::Broken,
            State::Body => stream.body.skip(count),
            State::Undecided => {
                stream.state = State::UndecidedPassed;
                return;
            }
            State::UndecidedPassed | State::Lost | State::Ended => return,
        };
        if matches!(skipped, Skipped::End | Skipped::EndBefore) {
            self.end(message, Outcome::Complete, at_ns, sink);
            self.next(message);
        }
        if matches!(skipped, Skipped::EndBefore | Skipped::Broken) {
            self.lose(message, at_ns, sink);
        }
    }

    /// The stream has no more bytes.
    pub(crate) fn finish(&mut self, message: Message, at_ns: u64, sink: &mut impl Sink) {
        match message {
            Message::Request => self.end(message, Outcome::Aborted, at_ns, sink),
            Message::Response => {
                let stream = &self.responses;
                let proper = stream.state == State::Body && stream.body.is_until_close();
                let outcome = if proper { Outcome::Complete } else { Outcome::Aborted };
                self.end_responses(outcome, at_ns, sink);
            }
        }
        *self.stream(message) = Stream { state: State::Ended, ..Stream::new() };
        self.dead |= !self.proven;
    }

    pub(crate) fn close(&mut self, at_ns: u64, sink: &mut impl Sink) {
        self.finish(Message::Request, at_ns, sink);
        self.finish(Message::Response, at_ns, sink);
        self.dead = true;
    }
}

/// A head as it is reported.
#[derive(Clone, Copy)]
struct Seen<'a> {
    head: &'a [u8],
    truncated: bool,
}
