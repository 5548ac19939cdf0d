//! One test: a key, an operator, a value.

use super::subject::{FieldValue, Subject};
use super::{ConditionError, Field, Key, MAX_PATTERN_BYTES, duration};
use crate::tags::{self, TagFilter};
use crate::value;
use carafe_telemetry::otlp::{AnyValue, any_value::Value};
use regex::{Regex, RegexBuilder};
use std::cmp::Ordering;

/// Bytes that a compiled expression, and what it keeps while it searches, may take each.
const MAX_COMPILED_BYTES: usize = 256 << 10;

/// The words of [`Field::Kind`].
const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
/// The words of [`Field::Status`].
const STATUSES: [&str; 3] = ["unset", "ok", "error"];
/// The words of [`Field::Severity`] and the lowest of the four numbers of each (OTLP's logs
/// data model, "Severity fields").
const SEVERITIES: [(&str, u64); 6] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];

/// How a value is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// There is one.
    Exists,
    /// It is the same.
    Equal,
    /// It is less.
    Less,
    /// It is less or the same.
    LessOrEqual,
    /// It is more.
    Greater,
    /// It is more or the same.
    GreaterOrEqual,
    /// It has a text in it.
    Contains,
    /// It begins with a text.
    StartsWith,
    /// It matches a regular expression as a whole.
    Matches,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Exists,
        Self::Equal,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Contains,
        Self::StartsWith,
        Self::Matches,
    ];

    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::Matches => "=~",
        }
    }

    /// Whether a value that compares with the operand as `ordering` passes; false for
    /// operators that do not compare.
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Exists | Self::Contains | Self::StartsWith | Self::Matches => false,
        }
    }
}

/// What a test for equality asks for: what an index can answer.
#[derive(Clone, Copy, Debug)]
pub enum Equals<'a> {
    /// The service is this one.
    Service(&'a str),
    /// The span, or the event, has this name.
    Name(&'a str),
    /// The tag is there.
    Tag(&'a TagFilter),
}

/// One test. Equal where key, operator and operand are.
#[derive(Clone, Debug)]
pub struct Test {
    key: Key,
    operator: Operator,
    operand: String,
    /// The aliases of an attribute's name, itself included.
    names: Vec<String>,
    compiled: Compiled,
}

#[derive(Clone, Debug)]
enum Compiled {
    /// Nothing besides the operand.
    Text,
    /// An attribute has a value.
    Tag(TagFilter),
    /// A number field is less than, within, or more than these.
    Span(u64, u64),
    /// The operand as a number, where it is one.
    Order(Option<Number>),
    Regex(Regex),
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.operator, &self.operand) == (&other.key, other.operator, &other.operand)
    }
}

impl Test {
    /// Whether there is a value at all.
    pub fn exists(key: Key) -> Self {
        Self::compiled(key, Operator::Exists, String::new(), Compiled::Text)
    }

    fn compiled(key: Key, operator: Operator, operand: String, compiled: Compiled) -> Self {
        let names = match &key {
            Key::Field(_) => Vec::new(),
            Key::Attribute(name) => tags::aliases(name).map(str::to_owned).collect(),
        };
        Self { key, operator, operand, names, compiled }
    }

    /// A test of a value. An error where the operand does not fit the key and the operator,
    /// or is no regular expression, or too large a one.
    pub fn new(key: Key, operator: Operator, operand: String) -> Result<Self, ConditionError> {
        if operator == Operator::Exists {
            return Ok(Self::exists(key));
        }
        let compiled = match (&key, operator) {
            (Key::Field(field @ (Field::Duration | Field::Severity)), _) => {
                let (low, high) = number_operand(*field, operator, &operand)?;
                Compiled::Span(low, high)
            }
            (_, Operator::Matches) => Compiled::Regex(compile(&operand)?),
            (Key::Field(Field::Kind), Operator::Equal) => one_of("kind", &operand, &KINDS)?,
            (Key::Field(Field::Status), Operator::Equal) => one_of("status", &operand, &STATUSES)?,
            (Key::Attribute(name), Operator::Equal) => {
                Compiled::Tag(TagFilter::new(name, &operand))
            }
            (_, Operator::Equal | Operator::Contains | Operator::StartsWith) => Compiled::Text,
            _ => Compiled::Order(Number::parse(&operand)),
        };
        Ok(Self::compiled(key, operator, operand, compiled))
    }

    /// What it is about.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// How the value is tested.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What the value is compared with, as it was written; empty for [`Operator::Exists`].
    pub fn operand(&self) -> &str {
        &self.operand
    }

    /// What an index can be asked, where this is a test for equality of an attribute, of the
    /// service or of the name.
    pub fn equals(&self) -> Option<Equals<'_>> {
        match (&self.key, &self.compiled) {
            (_, Compiled::Tag(tag)) => Some(Equals::Tag(tag)),
            (Key::Field(Field::Service), Compiled::Text) if self.operator == Operator::Equal => {
                Some(Equals::Service(&self.operand))
            }
            (Key::Field(Field::Name), Compiled::Text) if self.operator == Operator::Equal => {
                Some(Equals::Name(&self.operand))
            }
            _ => None,
        }
    }

    pub(super) fn holds(&self, subject: &impl Subject) -> bool {
        let name = match &self.key {
            Key::Field(field) => {
                return subject.field(*field).is_some_and(|value| self.field_passes(&value));
            }
            Key::Attribute(name) => name,
        };
        if let Compiled::Tag(tag) = &self.compiled {
            return subject.has_tag(tag);
        }
        let exists = self.operator == Operator::Exists;
        if subject.virtual_tag(name).is_some_and(|text| exists || self.text_passes(text)) {
            return true;
        }
        subject.any_attribute(|kv| {
            self.names.contains(&kv.key)
                && (exists || kv.value.as_ref().is_some_and(|value| self.value_passes(value)))
        })
    }

    fn field_passes(&self, value: &FieldValue<'_>) -> bool {
        match (value, &self.compiled) {
            _ if self.operator == Operator::Exists => true,
            (FieldValue::Number(number), Compiled::Span(low, high)) => {
                let within = (low..=high).contains(&number);
                self.operator.accepts(if within { Ordering::Equal } else { number.cmp(low) })
            }
            (FieldValue::Number(_), _) => false,
            (FieldValue::Word(word), Compiled::Text) if self.operator == Operator::Equal => {
                word.eq_ignore_ascii_case(&self.operand)
            }
            (FieldValue::Word(word), _) => self.text_passes(word),
            (FieldValue::Text(text), _) => self.text_passes(text),
        }
    }

    fn value_passes(&self, any: &AnyValue) -> bool {
        if let Compiled::Order(Some(operand)) = self.compiled
            && let Some(number) = Number::of(any)
        {
            return number.compare(operand).is_some_and(|o| self.operator.accepts(o));
        }
        self.text_passes(&value::text(any))
    }

    fn text_passes(&self, text: &str) -> bool {
        match (&self.compiled, self.operator) {
            (Compiled::Regex(regex), _) => regex.is_match(text),
            (_, Operator::Contains) => {
                memchr::memmem::find(text.as_bytes(), self.operand.as_bytes()).is_some()
            }
            (_, Operator::StartsWith) => text.starts_with(&self.operand),
            (Compiled::Order(Some(operand)), operator) if Number::parse(text).is_some() => {
                let number = Number::parse(text);
                number.and_then(|n| n.compare(*operand)).is_some_and(|o| operator.accepts(o))
            }
            (_, operator) => operator.accepts(text.cmp(&self.operand)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        // What a number begins or ends with; words such as "inf" are text.
        if !text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let double = || text.parse().ok().filter(|double: &f64| double.is_finite());
        text.parse().ok().map(Self::Int).or_else(|| double().map(Self::Double))
    }

    fn of(any: &AnyValue) -> Option<Self> {
        match &any.value {
            Some(Value::IntValue(int)) => Some(Self::Int(*int)),
            Some(Value::DoubleValue(double)) => Some(Self::Double(*double)),
            Some(Value::StringValue(text)) => Self::parse(text),
            _ => None,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Double(double) => double,
        }
    }
}

fn number_operand(
    field: Field,
    operator: Operator,
    operand: &str,
) -> Result<(u64, u64), ConditionError> {
    let name = field.name();
    if matches!(operator, Operator::Contains | Operator::StartsWith | Operator::Matches) {
        return Err(ConditionError::new(format!(
            "{name} is not a text; hint: use = != < <= > >=, or write \"{name}\" for an attribute \
             of that name"
        )));
    }
    if field == Field::Duration {
        let nanos = duration::parse(operand);
        return nanos.map(|nanos| (nanos, nanos)).ok_or_else(|| {
            ConditionError::new(format!(
                "{operand:?} is not a duration; hint: write 250us, 1.5ms, 2s or 1m30s"
            ))
        });
    }
    let named = SEVERITIES.iter().find(|(word, _)| word.eq_ignore_ascii_case(operand));
    let number = || operand.parse::<u8>().ok().map(|number| (u64::from(number), u64::from(number)));
    named.map(|(_, low)| (*low, low + 3)).or_else(number).ok_or_else(|| {
        ConditionError::new(format!(
            "{operand:?} is not a severity; hint: trace, debug, info, warn, error, fatal, or a \
             number from 1 to 24"
        ))
    })
}

fn one_of(name: &str, operand: &str, words: &[&str]) -> Result<Compiled, ConditionError> {
    if words.iter().any(|word| word.eq_ignore_ascii_case(operand)) {
        return Ok(Compiled::Text);
    }
    Err(ConditionError::new(format!(
        "{name} is never {operand:?}; hint: it is one of {}",
        words.join(", ")
    )))
}

fn compile(pattern: &str) -> Result<Regex, ConditionError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(ConditionError::new(format!(
            "the regular expression has {} bytes; hint: at most {MAX_PATTERN_BYTES} are taken",
            pattern.len()
        )));
    }
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .build()
    };
    // By itself first: "a)|(b" is no expression, but would be one within the anchors.
    build(pattern)
        .and_then(|_| build(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| ConditionError::new(explain(pattern, &error)))
}

fn explain(pattern: &str, error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("the regular expression {pattern:?} is too large; hint: repeat less")
        }
        // The library draws the place in several lines; the last one says what it is.
        other => {
            let text = other.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{pattern:?} is not a regular expression: {what}")
        }
    }
}
