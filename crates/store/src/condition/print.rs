//! From condition to text.

use super::lex::is_word;
use super::{Condition, Field, Key, Operator, Test};
use std::fmt::{self, Display, Formatter};

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => {
                join(f, parts, " and ", |part| matches!(part, Self::All(_) | Self::Any(_)))
            }
            Self::Any(parts) => join(f, parts, " or ", |part| matches!(part, Self::Any(_))),
            Self::Not(part) => {
                f.write_str("not ")?;
                enclose(f, part, matches!(**part, Self::All(_) | Self::Any(_)))
            }
            Self::Test(test) => test.fmt(f),
        }
    }
}

fn join(
    f: &mut Formatter<'_>,
    parts: &[Condition],
    keyword: &str,
    needs_parentheses: fn(&Condition) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(keyword)?;
        }
        enclose(f, part, needs_parentheses(part))?;
    }
    Ok(())
}

fn enclose(f: &mut Formatter<'_>, part: &Condition, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({part})") } else { part.fmt(f) }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.operator() {
            Operator::Exists => write!(f, "exists({})", self.key()),
            operator => {
                write!(f, "{} {} ", self.key(), operator.text())?;
                text(f, self.operand(), is_word(self.operand()))
            }
        }
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Attribute(name) => text(f, name, is_word(name) && Field::named(name).is_none()),
        }
    }
}

fn text(f: &mut Formatter<'_>, text: &str, as_it_is: bool) -> fmt::Result {
    if as_it_is {
        return f.write_str(text);
    }
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
