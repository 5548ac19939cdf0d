//! Any bytes in any calls: no panic, no message without an end, no end without a
//! message, no more bytes reported than passed.
#![no_main]

use carafe_http1::parse::{RequestHead, ResponseHead};
use carafe_http1::{Connection, Event, EventKind, HEAD_LIMIT, Io, Message, Outcome, Sink};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Checker {
    /// Open messages: request, response.
    open: [bool; 2],
    reported_bytes: u64,
}

impl Checker {
    fn begin(&mut self, message: Message, head: &[u8]) {
        let open = &mut self.open[message as usize];
        assert!(!*open, "a head before the end of the last message");
        *open = true;
        assert!(head.len() <= HEAD_LIMIT);
        self.reported_bytes += head.len() as u64;
        match message {
            Message::Request => {
                // Of a very long line only the end is checked while it arrives.
                if let Some(parsed) = RequestHead::parse(head) {
                    parsed.headers().for_each(|(name, _)| assert!(!name.is_empty()));
                } else {
                    assert!(head.len() > 512, "unreadable: {}", head.escape_ascii());
                }
            }
            Message::Response => {
                let parsed = ResponseHead::parse(head).expect("a reported response has a status");
                parsed.headers().for_each(|(name, _)| assert!(!name.is_empty()));
            }
        }
    }

    fn end(&mut self, message: Message, body_bytes: u64, outcome: Outcome) {
        let open = &mut self.open[message as usize];
        if !*open {
            assert_eq!((message, body_bytes), (Message::Response, 0), "the end of nothing");
            assert!(matches!(outcome, Outcome::Aborted | Outcome::Lost));
        }
        *open = false;
        self.reported_bytes += body_bytes;
    }
}

impl Sink for Checker {
    fn message(&mut self, event: Event<'_>) {
        assert!(event.started_ns <= event.at_ns);
        match event.kind {
            EventKind::Head { head, .. } => self.begin(event.message, head),
            EventKind::Complete { head, body_bytes, .. } => {
                self.begin(event.message, head);
                self.end(event.message, body_bytes, Outcome::Complete);
            }
            EventKind::End { body_bytes, outcome } => self.end(event.message, body_bytes, outcome),
        }
    }
}

// The input is a list of calls: a byte that says which, two that say how long,
// then the bytes.
fuzz_target!(|input: &[u8]| {
    let mut connection = Connection::new();
    let mut checker = Checker::default();
    let mut passed_bytes = 0;
    let mut rest = input;
    let mut now_ns = 0;
    while let [what, long, short, after @ ..] = rest {
        now_ns += 1;
        let io = if what & 1 == 0 { Io::Read } else { Io::Write };
        let length = usize::from(u16::from_be_bytes([*long & 0x3f, *short]));
        match (what >> 1) % 16 {
            0 => {
                connection.skip(io, length as u64, now_ns, &mut checker);
                passed_bytes += length as u64;
                rest = after;
            }
            1 => {
                connection.eof(io, now_ns, &mut checker);
                rest = after;
            }
            2 => {
                connection.close(now_ns, &mut checker);
                connection.reset();
                rest = after;
            }
            _ => {
                let (bytes, after) = after.split_at(length.min(after.len()));
                connection.feed(io, bytes, now_ns, &mut checker);
                passed_bytes += bytes.len() as u64;
                rest = after;
            }
        }
    }
    connection.close(now_ns, &mut checker);
    assert!(connection.is_dead());
    assert_eq!(checker.open, [false, false], "a message without an end");
    assert!(checker.reported_bytes <= passed_bytes, "more reported than passed");
});
