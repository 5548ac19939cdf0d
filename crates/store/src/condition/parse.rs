//! From text to condition.

use super::lex::{self, Token};
use super::{
    Condition, ConditionError, Field, Key, MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH,
    MAX_CONDITION_TESTS, Operator, Test,
};
use std::str::FromStr;

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        if text.len() > MAX_CONDITION_BYTES {
            return Err(ConditionError::new(format!(
                "the condition has {} bytes; hint: at most {MAX_CONDITION_BYTES} are read",
                text.len()
            )));
        }
        let end = text.chars().count() + 1;
        let mut parser = Parser { tokens: lex::lex(text)?, next: 0, end, depth: 0, tests: 0 };
        let condition = parser.any()?;
        match parser.peek() {
            None => Ok(condition),
            Some(Token::Sign(")")) => Err(parser.error("there is no ( for this )")),
            Some(_) => Err(parser.error("this does not belong here; hint: join tests by and, or")),
        }
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// The position after the last character.
    end: usize,
    depth: usize,
    tests: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(position, _)| *position)
    }

    fn error(&self, message: impl Into<String>) -> ConditionError {
        ConditionError::new(message).at(self.position())
    }

    /// Goes on where `token` is next.
    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, ConditionError> {
        self.joined("or", Self::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Condition, ConditionError> {
        self.joined("and", Self::one, Condition::All)
    }

    fn joined(
        &mut self,
        keyword: &'static str,
        part: fn(&mut Self) -> Result<Condition, ConditionError>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, ConditionError> {
        let first = part(self)?;
        let mut parts = Vec::new();
        while self.take(&Token::Keyword(keyword)) {
            parts.push(part(self)?);
        }
        if parts.is_empty() {
            return Ok(first);
        }
        parts.insert(0, first);
        Ok(join(parts))
    }

    fn one(&mut self) -> Result<Condition, ConditionError> {
        if self.take(&Token::Keyword("not")) {
            let part = self.deeper(Self::one)?;
            return Ok(Condition::Not(Box::new(part)));
        }
        if self.take(&Token::Sign("(")) {
            let condition = self.deeper(Self::any)?;
            self.close()?;
            return Ok(condition);
        }
        self.test()
    }

    fn deeper(
        &mut self,
        part: fn(&mut Self) -> Result<Condition, ConditionError>,
    ) -> Result<Condition, ConditionError> {
        if self.depth == MAX_CONDITION_DEPTH {
            return Err(self.error(format!(
                "this is nested too deep; hint: at most {MAX_CONDITION_DEPTH} levels are read"
            )));
        }
        self.depth += 1;
        let condition = part(self)?;
        self.depth -= 1;
        Ok(condition)
    }

    fn close(&mut self) -> Result<(), ConditionError> {
        let closed = self.take(&Token::Sign(")"));
        closed.then_some(()).ok_or_else(|| self.error("a ) is expected here"))
    }

    fn test(&mut self) -> Result<Condition, ConditionError> {
        if self.tests == MAX_CONDITION_TESTS {
            return Err(self.error(format!(
                "there are too many tests; hint: at most {MAX_CONDITION_TESTS} are read"
            )));
        }
        self.tests += 1;
        let begin = self.position();
        if self.take(&Token::Keyword("exists")) {
            if !self.take(&Token::Sign("(")) {
                return Err(self.error("a ( is expected here; hint: write exists(user.id)"));
            }
            let key = self.key()?;
            self.close()?;
            return Ok(Condition::Test(Test::exists(key)));
        }
        let key = self.key()?;
        let (operator, is_negated) = self.operator()?;
        let operand = self.operand()?;
        let test = Test::new(key, operator, operand).map_err(|error| error.at(begin))?;
        let test = Condition::Test(test);
        Ok(if is_negated { Condition::Not(Box::new(test)) } else { test })
    }

    fn key(&mut self) -> Result<Key, ConditionError> {
        let key = match self.peek() {
            Some(Token::Word(word)) => {
                Field::named(word).map_or_else(|| Key::Attribute(word.clone()), Key::Field)
            }
            Some(Token::Quoted(name)) => Key::Attribute(name.clone()),
            Some(Token::Keyword(keyword)) => {
                return Err(self.error(format!(
                    "a key is expected here; hint: an attribute of the name {keyword} is written \
                     \"{keyword}\""
                )));
            }
            _ => {
                return Err(
                    self.error("a key is expected here; hint: write http.route = \"/items\"")
                );
            }
        };
        self.next += 1;
        Ok(key)
    }

    /// The operator, and whether what it says is to be negated.
    fn operator(&mut self) -> Result<(Operator, bool), ConditionError> {
        let found = match self.peek() {
            Some(Token::Sign("!=")) => Some((Operator::Equal, true)),
            Some(Token::Sign("!~")) => Some((Operator::Matches, true)),
            Some(Token::Sign(text) | Token::Keyword(text)) => {
                Operator::ALL.into_iter().find(|op| op.text() == *text).map(|op| (op, false))
            }
            _ => None,
        };
        let found = found.ok_or_else(|| {
            self.error(
                "an operator is expected here; hint: one of = != < <= > >= =~ !~ contains \
                 startswith",
            )
        })?;
        self.next += 1;
        Ok(found)
    }

    fn operand(&mut self) -> Result<String, ConditionError> {
        match self.peek() {
            Some(Token::Word(text) | Token::Quoted(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.error("a value is expected here; hint: put text in double quotes")),
        }
    }
}
