//! Patterns with `*`, matched in linear time.

use memchr::memmem::Finder;

/// A pattern in which `*` stands for any text, the empty one included, and everything else
/// for itself. A match takes time linear in pattern plus text, whatever the two are: each
/// literal between stars is searched once, leftmost, which suffices because only stars are
/// between them.
#[derive(Clone, Debug)]
pub struct Glob {
    first: Vec<u8>,
    /// `None`: the pattern has no star, so `first` must be all of the text.
    rest: Option<(Vec<Finder<'static>>, Vec<u8>)>,
}

impl Glob {
    /// Every text is a pattern.
    pub fn new(pattern: &str) -> Self {
        let mut parts = pattern.split('*').map(str::as_bytes);
        let first = parts.next().unwrap_or_default().to_vec();
        let last = parts.next_back().map(<[u8]>::to_vec);
        let middle = parts
            .filter(|part| !part.is_empty())
            .map(|part| Finder::new(part).into_owned())
            .collect();
        Self { first, rest: last.map(|last| (middle, last)) }
    }

    /// Whether the pattern covers all of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let Some(mut text) = text.as_bytes().strip_prefix(self.first.as_slice()) else {
            return false;
        };
        let Some((middle, last)) = &self.rest else { return text.is_empty() };
        for finder in middle {
            match finder.find(text) {
                Some(at) => text = &text[at + finder.needle().len()..],
                None => return false,
            }
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, with all its backtracking.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let expected = naive(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), expected);
        }

        #[test]
        fn takes_any_text(pattern in ".{0,40}", text in ".{0,40}") {
            let _ = Glob::new(&pattern).matches(&text);
            let itself = Glob::new(&text).matches(&text);
            prop_assert!(itself);
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "*a".repeat(10_000);
        let text = "a".repeat(9_999);
        assert!(!Glob::new(&pattern).matches(&text));
    }
}
