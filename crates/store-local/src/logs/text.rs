//! Finding words in bodies: what is indexed of a text, what a search asks the index, and the
//! search itself.
//!
//! A search is for a substring, so an index of words alone would not help with most searches:
//! a single word may be a part of a longer one. Indexed are therefore all sequences of three
//! bytes, which exclude pages that lack a part of the word, and all words of four bytes or
//! more, which exclude pages where the search has a whole word between two delimiters: the
//! number in `order 4711 failed`. Sequences of three are few even where ids and numbers are
//! random: 4,096 of hexadecimal digits, 1,000 of decimal ones. Longer ones would be as many as
//! there is text.

use memchr::memchr2_iter;
use twox_hash::XxHash3_64;

/// Bits of the filter of a page for each key.
pub(super) const BITS_PER_KEY: u32 = 8;

/// Words are indexed from this length on; shorter ones are a sequence.
const MIN_WORD_BYTES: usize = 4;

/// Whether a byte is one of words: letters, digits, `_`, and all that is not ASCII.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The words of a text and where they begin.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    text.split(|byte| !is_word_byte(*byte)).filter_map(move |word| {
        let at = from;
        from += word.len() + 1;
        (!word.is_empty()).then_some((at, word))
    })
}

/// Adds the keys of texts to an index, those of three bytes once for a page.
pub(super) struct PageKeys {
    /// A bit for each sequence of three bytes.
    seen: Vec<u64>,
    /// Those that are set.
    sequences: Vec<u32>,
    lower: Vec<u8>,
}

impl PageKeys {
    pub(super) fn new() -> Self {
        Self { seen: vec![0; (1 << 24) / 64], sequences: Vec::new(), lower: Vec::new() }
    }

    /// Gives `add` the hashes of the keys of `text`; of sequences, those that the page does
    /// not have yet.
    pub(super) fn add(&mut self, text: &str, mut add: impl FnMut(u64)) {
        self.lower.clear();
        self.lower.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
        for sequence in self.lower.windows(3) {
            let number = u32::from_be_bytes([0, sequence[0], sequence[1], sequence[2]]);
            let word = &mut self.seen[number as usize / 64];
            let bit = 1 << (number % 64);
            if *word & bit == 0 {
                *word |= bit;
                self.sequences.push(number);
                add(XxHash3_64::oneshot(sequence));
            }
        }
        for (_, word) in words(&self.lower) {
            if word.len() >= MIN_WORD_BYTES {
                add(XxHash3_64::oneshot(word));
            }
        }
    }

    /// The next text is of another page.
    pub(super) fn end_page(&mut self) {
        for number in self.sequences.drain(..) {
            self.seen[number as usize / 64] = 0;
        }
    }
}

/// A text that is searched for, ASCII letters of either case.
#[derive(Clone, Debug)]
pub(crate) struct TextSearch {
    lower: Vec<u8>,
    /// The place of the byte that is rarest in texts, and its two cases.
    rare: Option<(usize, u8, u8)>,
}

impl TextSearch {
    pub(crate) fn new(text: &str) -> Self {
        let lower = text.to_ascii_lowercase().into_bytes();
        let rare = lower.iter().enumerate().min_by_key(|(_, byte)| frequency(**byte));
        let rare = rare.map(|(at, byte)| (at, *byte, byte.to_ascii_uppercase()));
        Self { lower, rare }
    }

    /// The hashes of keys that every page has in which the text is.
    pub(super) fn keys(&self) -> Vec<u64> {
        let sequences = self.lower.windows(3).map(XxHash3_64::oneshot);
        let inner = words(&self.lower).filter(|(at, word)| {
            *at > 0 && at + word.len() < self.lower.len() && word.len() >= MIN_WORD_BYTES
        });
        let mut keys: Vec<u64> =
            sequences.chain(inner.map(|(_, word)| XxHash3_64::oneshot(word))).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether `text` contains it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let Some((at, lower, upper)) = self.rare else { return true };
        let Some(last) = text.len().checked_sub(self.lower.len()) else { return false };
        memchr2_iter(lower, upper, &text[at..=last + at])
            .any(|start| text[start..start + self.lower.len()].eq_ignore_ascii_case(&self.lower))
    }
}

/// How frequent a byte is in log bodies, roughly; lower-case letters count for both cases.
fn frequency(byte: u8) -> u8 {
    const COMMON: &[u8] = b" etaoinsr0lhd1cu2m3p4g5f6y.w7/b8-9:v_k=xjqz";
    let place = COMMON.iter().position(|common| *common == byte);
    place.map_or(0, |place| (COMMON.len() - place) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_page_has_the_keys_of_all_that_is_in_it(
            texts in prop::collection::vec("[aB1_ é:.]{0,24}|.{0,16}", 1..8),
            which in any::<prop::sample::Index>(),
            from in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
            upper in any::<bool>(),
        ) {
            let mut page = PageKeys::new();
            let mut keys = HashSet::new();
            texts.iter().for_each(|text| page.add(text, |key| { keys.insert(key); }));
            let text: Vec<char> = texts[which.index(texts.len())].chars().collect();
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            let part: String = text[from.min(to)..from.max(to)].iter().collect();
            let part = if upper { part.to_ascii_uppercase() } else { part };
            let search = TextSearch::new(&part);
            prop_assert!(texts.iter().any(|text| search.is_in(text)));
            prop_assert!(search.keys().iter().all(|key| keys.contains(key)));
        }

        #[test]
        fn finds_what_a_plain_search_finds(text in "[abC é]{0,20}", part in "[aBcé]{0,3}") {
            let plain = text.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
            prop_assert_eq!(TextSearch::new(&part).is_in(&text), plain);
        }
    }

    #[test]
    fn asks_for_words_that_are_delimited() {
        let keys = |text| TextSearch::new(text).keys().len();
        assert_eq!(keys("KeyError"), 6);
        assert_eq!(keys("order 4711 failed"), 15 + 1);
        assert_eq!(keys("ab"), 0);
    }

    #[test]
    fn the_next_page_begins_with_nothing() {
        let mut page = PageKeys::new();
        let count = |page: &mut PageKeys| {
            let mut keys = 0;
            page.add("abcd", |_| keys += 1);
            keys
        };
        assert_eq!(count(&mut page), 3);
        assert_eq!(count(&mut page), 1);
        page.end_page();
        assert_eq!(count(&mut page), 3);
    }
}
