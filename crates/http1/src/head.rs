//! Finds the end of a message head that may arrive in pieces.

use memchr::memchr;

use crate::HEAD_LIMIT;
use crate::event::Message;
use crate::framing::Framing;
use crate::slices::{append, split, without_cr};
use crate::start;

/// Bytes kept of a header line that arrives in pieces. Only the fields that
/// decide the framing matter, and they are far shorter; a longer one loses it.
const LINE_LIMIT: usize = 512;

/// Bytes kept of the end of a start line that is longer than [`LINE_LIMIT`].
const TAIL: usize = 64;

/// Room for what arrived in earlier calls. Untouched while heads arrive whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Buffer {
    line: [u8; LINE_LIMIT],
    head: [u8; HEAD_LIMIT],
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self { line: [0; LINE_LIMIT], head: [0; HEAD_LIMIT] }
    }
}

/// Where the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// It goes on behind the given bytes.
    More,
    /// It ended with this many of them.
    End(usize),
    /// This is no message.
    Broken,
}

enum Line {
    Field,
    Empty,
    Broken,
}

/// The state of a head between calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) framing: Framing,
    /// Stamp of its first byte.
    pub(crate) started_ns: u64,
    /// Bytes in [`Buffer::head`].
    kept: u16,
    /// Bytes in [`Buffer::line`].
    line: u16,
    /// Whether bytes of the head were not kept.
    cut: bool,
    /// Whether bytes of the held line were not kept.
    line_cut: bool,
    /// Whether the start line is complete.
    started: bool,
}

impl Head {
    pub(crate) const fn new() -> Self {
        Self {
            framing: Framing::new(),
            started_ns: 0,
            kept: 0,
            line: 0,
            cut: false,
            line_cut: false,
            started: false,
        }
    }

    /// Whether no byte of it was seen.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.kept == 0
    }

    /// Whether its start line is complete.
    pub(crate) fn has_start_line(&self) -> bool {
        self.started
    }

    /// Goes through the next bytes of the head, which are not empty.
    #[inline]
    pub(crate) fn scan(
        &mut self,
        message: Message,
        buffer: &mut Buffer,
        bytes: &[u8],
        now_ns: u64,
    ) -> Scan {
        if self.is_fresh() {
            self.started_ns = now_ns;
            if !start::plausible(message, bytes) {
                return Scan::Broken;
            }
        }
        let mut rest = bytes;
        loop {
            let Some(end) = memchr(b'\n', rest) else {
                self.hold(buffer, rest);
                return if self.keep(message, buffer, bytes) { Scan::More } else { Scan::Broken };
            };
            let (line, after) = (split(rest, end).0, split(rest, end + 1).1);
            rest = after;
            let what = if self.line == 0 {
                self.take(message, line, false)
            } else {
                self.hold(buffer, line);
                let held = split(&buffer.line, usize::from(self.line)).0;
                let cut = self.line_cut;
                self.line = 0;
                self.line_cut = false;
                self.take(message, held, cut)
            };
            match what {
                Line::Field => {}
                Line::Broken => return Scan::Broken,
                Line::Empty => {
                    let used = bytes.len() - rest.len();
                    // A head in one piece is reported from where it is.
                    let whole = self.is_fresh();
                    return if whole || self.keep(message, buffer, split(bytes, used).0) {
                        Scan::End(used)
                    } else {
                        Scan::Broken
                    };
                }
            }
        }
    }

    #[inline]
    fn take(&mut self, message: Message, line: &[u8], cut: bool) -> Line {
        let line = without_cr(line);
        if !self.started {
            if message == Message::Request && !start::ends_as_request(line, cut) {
                return Line::Broken;
            }
            self.started = true;
        } else if line.is_empty() {
            return Line::Empty;
        } else {
            self.framing.line(line, cut);
        }
        Line::Field
    }

    /// Keeps a part of a line. Of a long start line the end matters (the
    /// version), of a long header line the beginning (the name).
    fn hold(&mut self, buffer: &mut Buffer, part: &[u8]) {
        let mut len = usize::from(self.line);
        let mut part = part;
        if len + part.len() > LINE_LIMIT {
            self.line_cut = true;
            if !self.started {
                part = split(part, part.len().saturating_sub(LINE_LIMIT - TAIL)).1;
                if len > TAIL {
                    buffer.line.copy_within(len - TAIL..len, 0);
                    len = TAIL;
                }
            }
        }
        // At most LINE_LIMIT.
        self.line = append(&mut buffer.line, len, part) as u16;
    }

    /// Keeps a part of the head; `false` when what is there cannot be a message.
    fn keep(&mut self, message: Message, buffer: &mut Buffer, part: &[u8]) -> bool {
        let before = usize::from(self.kept);
        let after = append(&mut buffer.head, before, part);
        self.cut |= after - before < part.len();
        // At most HEAD_LIMIT.
        self.kept = after as u16;
        before > TAIL || start::plausible(message, split(&buffer.head, after).0)
    }

    /// The bytes to report, and whether some are missing. `last` are the bytes
    /// of the head in the call that ended it.
    #[inline]
    pub(crate) fn reported<'a>(&self, buffer: &'a Buffer, last: &'a [u8]) -> (&'a [u8], bool) {
        if self.is_fresh() {
            let (head, over) = split(last, HEAD_LIMIT);
            (head, !over.is_empty())
        } else {
            (split(&buffer.head, usize::from(self.kept)).0, self.cut)
        }
    }
}
