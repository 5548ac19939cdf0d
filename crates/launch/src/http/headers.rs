//! Which headers become attributes, and whose values are not shown.

use regex_lite::{Regex, RegexBuilder};

/// A list of regular expressions for header names, in any case.
#[derive(Debug, Clone, Default)]
pub struct HeaderPatterns(Vec<Regex>);

/// A pattern that is no regular expression; it is taken as a plain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no regular expression and is taken as a plain header name")]
pub struct PlainPattern {
    pattern: String,
}

impl HeaderPatterns {
    /// Patterns that must fit the whole name, and those of them that are plain names.
    pub fn whole(patterns: &[String]) -> (Self, Vec<PlainPattern>) {
        Self::new(patterns, |pattern| format!("^(?:{pattern})$"))
    }

    /// Patterns that may fit a part of the name.
    pub fn within(patterns: &[String]) -> (Self, Vec<PlainPattern>) {
        Self::new(patterns, str::to_owned)
    }

    fn new(patterns: &[String], around: impl Fn(&str) -> String) -> (Self, Vec<PlainPattern>) {
        let compile = |text: &str| RegexBuilder::new(text).case_insensitive(true).build();
        let mut plain = Vec::new();
        let mut compiled = Vec::new();
        for pattern in patterns {
            // By itself first: around it, an unbalanced pattern could mean something else.
            let regex = compile(pattern).and_then(|_| compile(&around(pattern))).or_else(|_| {
                plain.push(PlainPattern { pattern: pattern.clone() });
                compile(&around(&regex_lite::escape(pattern)))
            });
            compiled.extend(regex);
        }
        (Self(compiled), plain)
    }

    /// Whether no name can fit.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the patterns fits.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(name))
    }
}

/// Headers that become span attributes.
#[derive(Debug, Clone, Default)]
pub struct CapturedHeaders {
    /// Of requests to the app.
    pub server_request: HeaderPatterns,
    /// Of its responses.
    pub server_response: HeaderPatterns,
    /// Of requests that it sends.
    pub client_request: HeaderPatterns,
    /// Of the responses that it gets.
    pub client_response: HeaderPatterns,
    /// Those whose values are replaced by `[REDACTED]`.
    pub sanitized: HeaderPatterns,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    #[test]
    fn captured_names_fit_wholly_and_secret_ones_in_part() {
        let (captured, _) = HeaderPatterns::whole(&strings(&["accept.*", "x-id"]));
        assert!(captured.matches("Accept-Encoding") && captured.matches("X-Id"));
        assert!(!captured.matches("x-id-2") && !captured.matches("not-accept"));
        let (secret, _) = HeaderPatterns::within(&strings(&["session", "set-cookie"]));
        assert!(secret.matches("X-My-Session-Id") && secret.matches("Set-Cookie"));
        assert!(!secret.matches("accept"));
        assert!(HeaderPatterns::whole(&[]).0.is_empty());
    }

    #[test]
    fn what_is_no_expression_is_a_name() {
        let (patterns, plain) = HeaderPatterns::whole(&strings(&["x-(id", "a)|(?:b"]));
        assert_eq!(plain.len(), 2);
        assert!(patterns.matches("X-(ID") && !patterns.matches("b"));
    }
}
