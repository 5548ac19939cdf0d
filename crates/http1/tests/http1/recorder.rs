//! A sink that puts messages together from their events and checks their order.

use carafe_http1::parse::{RequestHead, ResponseHead};
use carafe_http1::{Connection, Event, EventKind, HEAD_LIMIT, Io, Message, Outcome, Sink};

/// One reported message; no outcome while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) head: Vec<u8>,
    pub(crate) truncated: bool,
    pub(crate) started_ns: u64,
    pub(crate) body_bytes: u64,
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) requests: Vec<Seen>,
    pub(crate) responses: Vec<Seen>,
    /// Outcomes of response ends that had no head.
    pub(crate) unanswered: Vec<Outcome>,
    /// How many messages came as one event.
    pub(crate) complete: usize,
}

impl Recorder {
    fn list(&mut self, message: Message) -> &mut Vec<Seen> {
        match message {
            Message::Request => &mut self.requests,
            Message::Response => &mut self.responses,
        }
    }

    fn begin(&mut self, event: Event<'_>, head: &[u8], truncated: bool) {
        assert!(event.started_ns <= event.at_ns, "started after it was seen: {event:?}");
        assert!(head.len() <= HEAD_LIMIT);
        let readable = match event.message {
            Message::Request => RequestHead::parse(head).is_some(),
            Message::Response => ResponseHead::parse(head).is_some(),
        };
        assert!(readable, "a head that is none: {}", head.escape_ascii());
        let list = self.list(event.message);
        if let Some(last) = list.last() {
            assert!(last.outcome.is_some(), "a head before the end of the last message");
        }
        list.push(Seen {
            head: head.to_vec(),
            truncated,
            started_ns: event.started_ns,
            body_bytes: 0,
            outcome: None,
        });
    }

    fn end(&mut self, event: Event<'_>, bytes: u64, how: Outcome) {
        match self.list(event.message).last_mut().filter(|last| last.outcome.is_none()) {
            Some(open) => {
                assert_eq!(open.started_ns, event.started_ns, "an end of another message");
                open.body_bytes = bytes;
                open.outcome = Some(how);
            }
            None => {
                assert_eq!(event.message, Message::Response, "the end of no request");
                assert_eq!((bytes, event.started_ns), (0, event.at_ns));
                self.unanswered.push(how);
            }
        }
    }

    /// Method and target, or status, with the outcome and the size, of everything
    /// seen: what most tests compare.
    pub(crate) fn summary(&self) -> Vec<String> {
        let line = |arrow: &str, seen: &Seen| {
            let first = seen.head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first);
            let first = first.trim_end().trim_end_matches(" HTTP/1.1");
            let first = first.trim_start_matches("HTTP/1.1 ");
            match seen.outcome {
                Some(outcome) => format!("{arrow} {first} {outcome:?} {}", seen.body_bytes),
                None => format!("{arrow} {first} open"),
            }
        };
        let requests = self.requests.iter().map(|seen| line(">", seen));
        let responses = self.responses.iter().map(|seen| line("<", seen));
        let unanswered = self.unanswered.iter().map(|how| format!("< nothing {how:?}"));
        requests.chain(responses).chain(unanswered).collect()
    }
}

impl Sink for Recorder {
    fn message(&mut self, event: Event<'_>) {
        match event.kind {
            EventKind::Head { head, truncated } => self.begin(event, head, truncated),
            EventKind::Complete { head, truncated, body_bytes } => {
                self.complete += 1;
                self.begin(event, head, truncated);
                self.end(event, body_bytes, Outcome::Complete);
            }
            EventKind::End { body_bytes, outcome } => self.end(event, body_bytes, outcome),
        }
    }
}

/// A connection with its recorder and a clock that counts calls.
pub(crate) struct Observed {
    pub(crate) connection: Connection,
    pub(crate) recorder: Recorder,
    pub(crate) calls: u64,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self { connection: Connection::new(), recorder: Recorder::default(), calls: 0 }
    }

    fn tick(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub(crate) fn feed(&mut self, io: Io, bytes: impl AsRef<[u8]>) -> &mut Self {
        let now = self.tick();
        self.connection.feed(io, bytes.as_ref(), now, &mut self.recorder);
        self
    }

    pub(crate) fn read(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.feed(Io::Read, bytes)
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.feed(Io::Write, bytes)
    }

    pub(crate) fn skip(&mut self, io: Io, count: u64) -> &mut Self {
        let now = self.tick();
        self.connection.skip(io, count, now, &mut self.recorder);
        self
    }

    pub(crate) fn eof(&mut self, io: Io) -> &mut Self {
        let now = self.tick();
        self.connection.eof(io, now, &mut self.recorder);
        self
    }

    pub(crate) fn close(&mut self) -> &mut Self {
        let now = self.tick();
        self.connection.close(now, &mut self.recorder);
        self
    }

    #[track_caller]
    pub(crate) fn saw(&self, expected: &[&str]) {
        assert_eq!(self.recorder.summary(), expected);
    }
}
