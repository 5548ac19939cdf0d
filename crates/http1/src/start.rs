//! Start lines (RFC 9112 sections 3 and 4), only as far as telling them from
//! other protocols and following the framing needs it.

use memchr::memchr;

use crate::event::Message;
use crate::pending::Asked;
use crate::slices::{split, trim, without_cr};

/// Longest method that is taken for one; the longest registered has 17 letters.
const METHOD_LIMIT: usize = 32;

/// ` HTTP/1.1`: the space and the version that end a request line.
const VERSION_SUFFIX: usize = 9;

const PROTOCOL: &[u8] = b"HTTP/1.";

/// Whether a message of this kind can begin with `bytes`, which may be any
/// part of it from its first byte.
pub(crate) fn plausible(message: Message, bytes: &[u8]) -> bool {
    match message {
        Message::Request => plausible_method(bytes),
        Message::Response => {
            let known = bytes.len().min(PROTOCOL.len());
            bytes.get(..known) == PROTOCOL.get(..known)
        }
    }
}

/// Narrower than a token (RFC 9110 section 9.1): real methods are words, and the
/// other token characters start other text protocols.
fn plausible_method(bytes: &[u8]) -> bool {
    for (at, byte) in bytes.iter().take(METHOD_LIMIT + 1).enumerate() {
        match byte {
            b' ' => return at > 0,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            _ => return false,
        }
    }
    bytes.len() <= METHOD_LIMIT
}

/// Whether `line`, which began plausibly, ends as a request line does. `cut`
/// says that only the end of a long line is there.
pub(crate) fn ends_as_request(line: &[u8], cut: bool) -> bool {
    let (before, version) = split(line, line.len().saturating_sub(VERSION_SUFFIX));
    let ours = version
        .strip_prefix(b" ")
        .and_then(|version| version.strip_prefix(PROTOCOL))
        .is_some_and(|minor| matches!(minor, [b'0'..=b'9']));
    // What is before the version must be more than the method.
    let target = || split(before, memchr(b' ', before).unwrap_or(before.len())).1;
    ours && (cut || !trim(target()).is_empty())
}

/// Whether `bytes` begin with a complete request line, with no doubt: exactly
/// three parts.
pub(crate) fn begins_with_request(bytes: &[u8]) -> bool {
    plausible_method(bytes)
        && memchr(b'\n', bytes).is_some_and(|end| {
            let line = without_cr(split(bytes, end).0);
            ends_as_request(line, false) && memchr::memchr_iter(b' ', line).count() == 2
        })
}

/// What the request line at the start of `head` asks for.
pub(crate) fn asked(head: &[u8]) -> Asked {
    if head.starts_with(b"HEAD ") {
        Asked::Head
    } else if head.starts_with(b"CONNECT ") {
        Asked::Connect
    } else {
        Asked::Other
    }
}

/// The status code in the status line at the start of `head`.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    let [b'0'..=b'9', b' ', code @ ..] = head.strip_prefix(PROTOCOL)? else { return None };
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ' | b'\r' | b'\n', ..] = code else {
        return None;
    };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}
