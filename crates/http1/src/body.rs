//! Follows the content of a message to its end.

use memchr::memchr;

use crate::framing::Plan;
use crate::slices::split;

/// Where in a body the next byte falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Place {
    /// Content of known length.
    Length = 0,
    /// The hexadecimal size of a chunk (RFC 9112 section 7.1).
    ChunkSize,
    /// The rest of the size's line: extensions.
    ChunkExtension,
    /// Content of a chunk.
    ChunkData,
    /// The line end behind a chunk's content.
    ChunkEnd,
    /// Its line feed.
    ChunkLineFeed,
    /// Fields behind the last chunk.
    Trailer,
    /// Content up to the end of the connection.
    UntilClose,
}

/// What became of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All belong to the body, which goes on.
    More,
    /// The body ended after this many of them.
    End(usize),
    /// They break the framing.
    Broken,
}

/// What became of bytes of which only the number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// The body goes on.
    More,
    /// The body ended with the last of them.
    End,
    /// The body ended before the last of them: the next head was not seen.
    EndBefore,
    /// Chunk framing was among them.
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Body {
    /// Bytes of content so far.
    bytes: u64,
    /// Bytes left in `Length` and `ChunkData`; the size so far in `ChunkSize`.
    left: u64,
    place: Place,
    /// In `ChunkSize`: a digit was seen. In `Trailer`: the line is not empty.
    begun: bool,
}

impl Body {
    pub(crate) const fn new() -> Self {
        Self { bytes: 0, left: 0, place: Place::Length, begun: false }
    }

    /// A body of this kind before its first byte; none when it cannot be followed.
    pub(crate) fn begin(plan: Plan) -> Option<Self> {
        let (place, left) = match plan {
            Plan::Length(length) => (Place::Length, length),
            Plan::Chunked => (Place::ChunkSize, 0),
            Plan::UntilClose => (Place::UntilClose, 0),
            Plan::Unknown => return None,
        };
        Some(Self { bytes: 0, left, place, begun: false })
    }

    /// Bytes of content so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the end of the connection is the proper end of this body.
    pub(crate) fn is_until_close(&self) -> bool {
        self.place == Place::UntilClose
    }

    fn content(&mut self, available: u64) -> u64 {
        let taken = available.min(self.left);
        self.left -= taken;
        self.bytes = self.bytes.saturating_add(taken);
        taken
    }

    /// Follows the body through `bytes`.
    #[inline]
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.place == Place::Length {
            let taken = self.content(bytes.len() as u64);
            // No more than `bytes.len()`, which is a usize.
            return if self.left == 0 { Progress::End(taken as usize) } else { Progress::More };
        }
        if self.place == Place::UntilClose {
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
            return Progress::More;
        }
        self.chunks(bytes)
    }

    fn chunks(&mut self, bytes: &[u8]) -> Progress {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            match self.place {
                Place::ChunkSize => match hex(*first) {
                    Some(digit) => {
                        let Some(size) = self.left.checked_mul(16) else { return Progress::Broken };
                        self.left = size + digit;
                        self.begun = true;
                        rest = after;
                    }
                    None if self.begun && matches!(first, b';' | b' ' | b'\t' | b'\r' | b'\n') => {
                        self.begun = false;
                        self.place = Place::ChunkExtension;
                    }
                    None => return Progress::Broken,
                },
                Place::ChunkExtension => {
                    let Some(end) = memchr(b'\n', rest) else { return Progress::More };
                    rest = split(rest, end + 1).1;
                    self.place = if self.left == 0 { Place::Trailer } else { Place::ChunkData };
                }
                Place::ChunkData => {
                    let taken = self.content(rest.len() as u64);
                    rest = split(rest, taken as usize).1;
                    if self.left == 0 {
                        self.place = Place::ChunkEnd;
                    }
                }
                Place::ChunkEnd if *first == b'\r' => {
                    self.place = Place::ChunkLineFeed;
                    rest = after;
                }
                Place::ChunkEnd | Place::ChunkLineFeed => {
                    if *first != b'\n' {
                        return Progress::Broken;
                    }
                    self.place = Place::ChunkSize;
                    rest = after;
                }
                Place::Trailer => {
                    let (line, after, ended) = match memchr(b'\n', rest) {
                        Some(end) => (split(rest, end).0, split(rest, end + 1).1, true),
                        None => (rest, &[][..], false),
                    };
                    self.begun |= line.iter().any(|byte| *byte != b'\r');
                    rest = after;
                    if ended && !self.begun {
                        return Progress::End(bytes.len() - rest.len());
                    }
                    self.begun &= !ended;
                }
                Place::Length | Place::UntilClose => return Progress::Broken,
            }
        }
        Progress::More
    }

    /// Follows the body over `count` bytes that were not seen.
    pub(crate) fn skip(&mut self, count: u64) -> Skipped {
        match self.place {
            Place::Length => {
                let taken = self.content(count);
                match (self.left, taken == count) {
                    (1.., _) => Skipped::More,
                    (0, true) => Skipped::End,
                    (0, false) => Skipped::EndBefore,
                }
            }
            Place::ChunkData => {
                if self.content(count) < count {
                    return Skipped::Broken;
                }
                if self.left == 0 {
                    self.place = Place::ChunkEnd;
                }
                Skipped::More
            }
            Place::UntilClose => {
                self.bytes = self.bytes.saturating_add(count);
                Skipped::More
            }
            _ => Skipped::Broken,
        }
    }
}

fn hex(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u64::from(byte - b'A') + 10),
        _ => None,
    }
}
