//! Reads reported message heads.
//!
//! The heads come from the network by way of [`EventKind`](crate::EventKind) and
//! may be cut: what is there is read, an unfinished header line is left out.
//! Nothing is decoded, so every part is bytes of the head itself.

use memchr::memchr;

use crate::slices::{split, trim, without_cr};
use crate::start;

/// The head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method as sent; never empty.
    pub method: &'a [u8],
    /// The request target as sent (RFC 9112 section 3.2); never empty. Cut when
    /// the head was cut within it.
    pub target: &'a [u8],
    /// The digit behind `HTTP/1.`; 1 when the head was cut before it.
    pub minor_version: u8,
    fields: &'a [u8],
}

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The digit behind `HTTP/1.`.
    pub minor_version: u8,
    fields: &'a [u8],
}

impl<'a> RequestHead<'a> {
    /// Reads a request head; none when it does not begin with a request line.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let (line, fields) = first_line(head);
        let (method, rest) = split(line, memchr(b' ', line)?);
        let rest = trim(rest);
        let (target, minor_version) = match split(rest, rest.len().saturating_sub(9)) {
            (target, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9']) => {
                (trim(target), minor - b'0')
            }
            // Cut within the line: what follows the target can be part of a version.
            _ if line.len() == head.len() => {
                (split(rest, memchr(b' ', rest).unwrap_or(rest.len())).0, 1)
            }
            _ => return None,
        };
        (!method.is_empty() && !target.is_empty()).then_some(Self {
            method,
            target,
            minor_version,
            fields,
        })
    }

    /// The header fields, in order.
    pub fn headers(&self) -> Headers<'a> {
        Headers { rest: self.fields }
    }

    /// The value of the first field of this name, in any case.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().value_of(name)
    }
}

impl<'a> ResponseHead<'a> {
    /// Reads a response head; none when it does not begin with a status line.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let status = start::status(head)?;
        let minor_version = head.get(7)?.checked_sub(b'0')?;
        Some(Self { status, minor_version, fields: first_line(head).1 })
    }

    /// The header fields, in order.
    pub fn headers(&self) -> Headers<'a> {
        Headers { rest: self.fields }
    }

    /// The value of the first field of this name, in any case.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().value_of(name)
    }
}

/// Name and value of each header field, both without space around them. A folded
/// value (RFC 9112 section 5.2) keeps its line breaks; lines that are no field
/// are left out.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = self.unfolded()?;
            if let Some(colon) = memchr(b':', field) {
                let (name, value) = split(field, colon);
                let name = trim(name);
                if !name.is_empty() {
                    return Some((name, trim(value.strip_prefix(b":").unwrap_or(value))));
                }
            }
        }
    }
}

impl<'a> Headers<'a> {
    fn value_of(mut self, name: &str) -> Option<&'a [u8]> {
        let (_, value) = self.find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value)
    }

    /// The next field with the lines that continue it; none at the empty line or
    /// at a line without an end.
    fn unfolded(&mut self) -> Option<&'a [u8]> {
        let mut end = memchr(b'\n', self.rest)?;
        if without_cr(split(self.rest, end).0).is_empty() {
            return None;
        }
        loop {
            match split(self.rest, end + 1).1 {
                [b' ' | b'\t', ..] => {
                    end += 1 + memchr(b'\n', split(self.rest, end + 1).1)?;
                }
                [_, ..] => break,
                // Cut here: the next line could have continued this one.
                [] => return None,
            }
        }
        let (field, rest) = split(self.rest, end + 1);
        self.rest = rest;
        Some(field)
    }
}

fn first_line(head: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', head) {
        Some(end) => (without_cr(split(head, end).0), split(head, end + 1).1),
        None => (head, &[]),
    }
}

#[cfg(test)]
mod tests;
