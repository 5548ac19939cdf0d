//! The one promise about memory: fresh is all zeroes, all zeroes is fresh.

use std::mem::MaybeUninit;

use carafe_http1::{Connection, Event, Io, Sink};

struct Nothing;

impl Sink for Nothing {
    fn message(&mut self, _: Event<'_>) {}
}

#[test]
fn zero_filled_memory_is_a_fresh_connection() {
    // SAFETY: the documentation of `Connection` promises that zeroes are valid;
    // that every part equals a fresh one is what this test checks.
    let zeroed = unsafe { MaybeUninit::<Connection>::zeroed().assume_init() };
    assert_eq!(zeroed, Connection::new());
}

#[test]
fn reset_forgets_everything_but_the_buffers() {
    let mut used = Connection::new();
    used.feed(Io::Read, b"GET / HT", 7, &mut Nothing);
    used.feed(Io::Read, b"TP/1.1\r\n", 8, &mut Nothing);
    used.reset();
    assert_eq!(used.role(), None);

    // What the buffers still hold is not looked at: a head in two pieces again.
    let mut heads = Heads(Vec::new());
    used.feed(Io::Write, b"PUT /", 9, &mut heads);
    used.feed(Io::Write, b" HTTP/1.1\r\n\r\n", 10, &mut heads);
    assert_eq!(heads.0, [b"PUT / HTTP/1.1\r\n\r\n".to_vec()]);
}

struct Heads(Vec<Vec<u8>>);

impl Sink for Heads {
    fn message(&mut self, event: Event<'_>) {
        if let carafe_http1::EventKind::Complete { head, .. } = event.kind {
            self.0.push(head.to_vec());
        }
    }
}
