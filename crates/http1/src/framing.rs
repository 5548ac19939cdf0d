//! The header fields that decide where a message ends (RFC 9112 section 6.3).

use crate::pending::Asked;
use crate::slices::{split, trim};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// After this many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
    /// It cannot be found.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Field {
    Other = 0,
    ContentLength,
    TransferEncoding,
}

/// What the header lines seen so far say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Framing {
    length: u64,
    has_length: bool,
    /// A Content-Length without a value so far: it may follow in a folded line.
    awaits_length: bool,
    bad_length: bool,
    has_coding: bool,
    /// Whether the last transfer coding is `chunked`.
    chunked: bool,
    bad_coding: bool,
    /// The field that a folded line would continue.
    field: Field,
}

impl Framing {
    pub(crate) const fn new() -> Self {
        Self {
            length: 0,
            has_length: false,
            awaits_length: false,
            bad_length: false,
            has_coding: false,
            chunked: false,
            bad_coding: false,
            field: Field::Other,
        }
    }

    /// Takes one header line without its line end. `cut` says that the end of
    /// the line is missing.
    #[inline]
    pub(crate) fn line(&mut self, line: &[u8], cut: bool) {
        let Some(first) = line.first() else { return };
        let (field, value) = match first {
            // A folded line continues the one before it (RFC 9112 section 5.2).
            b' ' | b'\t' => (self.field, line),
            b'C' | b'c' => match value_of(line, b"content-length") {
                Some(value) => (Field::ContentLength, value),
                None => (Field::Other, line),
            },
            b'T' | b't' => match value_of(line, b"transfer-encoding") {
                Some(value) => (Field::TransferEncoding, value),
                None => (Field::Other, line),
            },
            _ => (Field::Other, line),
        };
        self.field = field;
        match field {
            Field::Other => {}
            Field::ContentLength => self.content_length(value, cut, matches!(first, b' ' | b'\t')),
            Field::TransferEncoding => self.transfer_encoding(value, cut),
        }
    }

    fn content_length(&mut self, value: &[u8], cut: bool, folded: bool) {
        let value = trim(value);
        if value.is_empty() {
            self.awaits_length |= !folded;
            return;
        }
        // A fold inside a value would make it two numbers.
        self.bad_length |= cut || (folded && !self.awaits_length);
        self.awaits_length = false;
        for item in value.split(|byte| *byte == b',') {
            match number(trim(item)) {
                Some(length) if !self.has_length || self.length == length => {
                    self.length = length;
                    self.has_length = true;
                }
                _ => self.bad_length = true,
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8], cut: bool) {
        self.bad_coding |= cut;
        for item in value.split(|byte| *byte == b',') {
            let coding = trim(item.split(|byte| *byte == b';').next().unwrap_or(item));
            // `identity` is what RFC 2616 called no coding at all.
            if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            self.has_coding = true;
            self.chunked = coding.eq_ignore_ascii_case(b"chunked");
        }
    }

    fn declared(&self, otherwise: Plan, other_coding: Plan) -> Plan {
        if self.bad_coding {
            Plan::Unknown
        } else if self.has_coding {
            if self.chunked { Plan::Chunked } else { other_coding }
        } else if self.bad_length || self.awaits_length {
            Plan::Unknown
        } else if self.has_length {
            Plan::Length(self.length)
        } else {
            otherwise
        }
    }

    /// For a request: rules 3 to 7 of RFC 9112 section 6.3.
    pub(crate) fn request(&self) -> Plan {
        self.declared(Plan::Length(0), Plan::Unknown)
    }

    /// For a response with this status to such a request: rules 1 to 8 except
    /// the tunnel of rule 2.
    pub(crate) fn response(&self, status: u16, asked: Asked) -> Plan {
        if asked == Asked::Head || matches!(status, 100..=199 | 204 | 304) {
            return Plan::Length(0);
        }
        self.declared(Plan::UntilClose, Plan::UntilClose)
    }
}

/// The value when `line` is the field of this (lower case) name.
#[inline]
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = split(line, name.len());
    // Other names that begin alike seldom have the same letter in the last place.
    let alike = |a: Option<&u8>, b: Option<&u8>| a.map(|a| a | 0x20) == b.copied();
    if !alike(start.last(), name.last()) || !start.eq_ignore_ascii_case(name) {
        return None;
    }
    trim(rest).strip_prefix(b":")
}

/// Decimal digits only: no sign, no separator.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
