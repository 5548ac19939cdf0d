//! Conditions on fields and attributes, joined by `and`, `or` and `not`.
//!
//! The text form, which [`FromStr`](std::str::FromStr) reads and [`Display`](std::fmt::Display)
//! writes:
//!
//! ```text
//! http.route = "/items/{id}" and (http.status_code >= 500 or not exists(user.id))
//! name =~ "GET .*" or duration > 1.5s and status = error
//! ```
//!
//! A test is a key, an operator and a value, or `exists(key)`:
//!
//! | operator | true where the key has a value that |
//! | --- | --- |
//! | `=`, `!=` | is the same text, is not; numbers are the same as their text |
//! | `<`, `<=`, `>`, `>=` | is less ...: as numbers where both sides are, else as text |
//! | `contains`, `startswith` | has this text in it, at its beginning |
//! | `=~`, `!~` | matches the regular expression as a whole, does not |
//!
//! `a != b` is `not a = b`, and so true as well where there is no `a`. `and` binds tighter than
//! `or`; keywords may be written in either case. A value that is one word needs no quotes;
//! within quotes `\"` and `\\` stand for `"` and `\`.
//!
//! Keys without quotes are fields where they are one of these names, else attributes:
//! `service`; `name` of a span, or of a log record's event; `kind` (`server`, `client` ...),
//! `status` (`unset`, `ok`, `error`) and `duration` (`1.5ms`, `2m30s`) of a span; `severity`
//! (`trace`, `debug`, `info`, `warn`, `error`, `fatal`, or a number) and `body` of a log
//! record. What a record does not have, it has no value of. An attribute that is named like a
//! field is written in quotes. Attributes are looked for as [`TagFilter`](crate::TagFilter)
//! does: under all their aliases, on the span or log record, its resource, its scope and its
//! events, and a test holds where one of the values passes.

mod duration;
mod key;
mod lex;
mod parse;
mod print;
mod subject;
mod test;

pub use key::{Field, Key};
pub use test::{Equals, Operator, Test};

use crate::record::{LogRecord, SpanRecord};
use subject::Subject;

/// The longest text of a condition, in bytes.
pub const MAX_CONDITION_BYTES: usize = 8_192;
/// The most tests in one condition.
pub const MAX_CONDITION_TESTS: usize = 64;
/// How deep parentheses and `not` may be nested.
pub const MAX_CONDITION_DEPTH: usize = 32;
/// The longest regular expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1_024;

/// A condition on a span or a log record.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of these hold; at least two.
    All(Vec<Condition>),
    /// At least one of these holds; at least two.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// One test.
    Test(Test),
}

impl Condition {
    /// Whether `span` fulfils it.
    pub fn matches(&self, span: &SpanRecord) -> bool {
        self.holds(span)
    }

    /// Whether `log` fulfils it.
    pub fn matches_log(&self, log: &LogRecord) -> bool {
        self.holds(log)
    }

    fn holds(&self, subject: &impl Subject) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::Not(part) => !part.holds(subject),
            Self::Test(test) => test.holds(subject),
        }
    }
}

/// A condition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConditionError {
    /// Before which character of the text it is, counted from 1; none where there is no text.
    pub position: Option<usize>,
    /// What is wrong, with a hint.
    pub message: String,
}

impl ConditionError {
    fn new(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into() }
    }

    fn at(self, position: usize) -> Self {
        Self { position: self.position.or(Some(position)), ..self }
    }
}

impl std::fmt::Display for ConditionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.position {
            Some(position) => write!(f, "at character {position}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests;
