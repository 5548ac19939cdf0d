//! The words and signs of a condition.

use super::ConditionError;

/// Words that stand for themselves in no other place.
const KEYWORDS: [&str; 6] = ["and", "or", "not", "exists", "contains", "startswith"];

/// Signs, a longer one before those that it begins with.
const SIGNS: [&str; 10] = ["!=", "!~", "=~", "<=", ">=", "=", "<", ">", "(", ")"];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword, in lower case.
    Keyword(&'static str),
    /// A key or a value without quotes.
    Word(String),
    /// What stood in quotes.
    Quoted(String),
    /// An operator or a parenthesis.
    Sign(&'static str),
}

/// The tokens and the number of the character, from 1, at which each begins.
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, ConditionError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut position = 1;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            position += 1;
            continue;
        }
        let (token, after) = next(first, rest).map_err(|error| error.at(position))?;
        tokens.push((position, token));
        position += rest[..rest.len() - after.len()].chars().count();
        rest = after;
    }
    Ok(tokens)
}

fn next(first: char, text: &str) -> Result<(Token, &str), ConditionError> {
    if first == '"' {
        return quoted(&text[1..]).map(|(content, after)| (Token::Quoted(content), after));
    }
    if let Some(sign) = SIGNS.into_iter().find(|sign| text.starts_with(sign)) {
        return Ok((Token::Sign(sign), &text[sign.len()..]));
    }
    let end = text.find(|c| !is_word_char(c)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if !word.is_empty() {
        let token = keyword(word).map_or_else(|| Token::Word(word.to_owned()), Token::Keyword);
        return Ok((token, after));
    }
    Err(ConditionError::new(match first {
        '&' => "'&' is not known; hint: write and".to_owned(),
        '|' => "'|' is not known; hint: write or".to_owned(),
        '!' => "'!' is not known; hint: write not".to_owned(),
        '\'' | '`' => format!("{first} does not begin a text; hint: use double quotes"),
        other => format!("{other:?} is not known here; hint: put the text in double quotes"),
    }))
}

/// What stands before the closing quote, and what comes after it.
fn quoted(text: &str) -> Result<(String, &str), ConditionError> {
    let mut content = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((content, &text[at + 1..])),
            '\\' => {
                // Other backslashes stay, so that regular expressions need not double them.
                let escaped = chars.next_if(|(_, next)| matches!(next, '"' | '\\'));
                content.push(escaped.map_or('\\', |(_, escaped)| escaped));
            }
            other => content.push(other),
        }
    }
    Err(ConditionError::new("a text that begins here does not end; hint: add a double quote"))
}

fn is_word_char(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"()\"'`=<>!~&|".contains(c)
}

fn keyword(word: &str) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Whether `text` is one word that needs no quotes.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word_char) && keyword(text).is_none()
}
