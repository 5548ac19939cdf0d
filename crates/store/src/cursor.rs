//! Places between two pages.

use crate::error::StoreError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// The longest cursor, in bytes.
const MAX_BYTES: usize = 256;

/// Where a page ended: asked for again with it, a query goes on there. It says which item was
/// the last, not how many there were, so it stays right when the store is opened again, moves
/// its data, or gets more. What arrives later and belongs before the place is not in later
/// pages; a trace that gets a newer matching span moves before it.
///
/// As text it is safe in URLs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// A place in the answers to questions of one kind, which `tag` names.
    pub fn new(tag: u8, place: &[u8]) -> Self {
        Self([&[tag], place].concat())
    }

    /// The place. An error where the cursor is one of another kind.
    pub fn place<const N: usize>(&self, tag: u8) -> Result<&[u8; N], StoreError> {
        let place = self.0.strip_prefix(&[tag]).and_then(|place| place.try_into().ok());
        place.ok_or_else(invalid)
    }
}

fn invalid() -> StoreError {
    StoreError::invalid("not a cursor of this search; hint: start again without one")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes.filter(|bytes| bytes.len() <= MAX_BYTES).map(Self).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let cursor = Cursor::new(3, &[255; 8]);
        let again: Cursor = cursor.to_string().parse().unwrap();
        assert_eq!(again.place::<8>(3).unwrap(), &[255; 8]);
        assert!(again.place::<8>(2).is_err());
        assert!(again.place::<9>(3).is_err());
        assert!("!".parse::<Cursor>().is_err());
        assert!("A".repeat(400).parse::<Cursor>().is_err());
        assert!("".parse::<Cursor>().unwrap().place::<0>(0).is_err());
    }
}
