//! Short texts that are put together without touching the heap.

use std::fmt;

/// Longer texts are cut here.
const CAPACITY: usize = 200;

/// A short text of ASCII pieces.
#[derive(Clone)]
pub(crate) struct Text {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0 }
    }

    /// `piece` must be ASCII, so that cutting it leaves whole characters.
    pub(crate) fn push(mut self, piece: &str) -> Self {
        debug_assert!(piece.is_ascii(), "{piece:?} is not ASCII");
        self.append(piece.as_bytes());
        self
    }

    pub(crate) fn number(mut self, mut number: u64) -> Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.append(&digits[at..]);
        self
    }

    /// The lower `digits` hexadecimal digits of `bits`; at most 16.
    pub(crate) fn hex(mut self, bits: u64, digits: usize) -> Self {
        let mut text = [0; 16];
        let digits = digits.min(text.len());
        for (at, place) in text[..digits].iter_mut().enumerate() {
            *place = b"0123456789abcdef"[(bits >> (4 * (digits - 1 - at)) & 15) as usize];
        }
        self.append(&text[..digits]);
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    fn append(&mut self, piece: &[u8]) {
        let room = piece.len().min(CAPACITY - self.len);
        self.bytes[self.len..self.len + room].copy_from_slice(&piece[..room]);
        self.len += room;
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_pieces_together() {
        let text =
            Text::new().push("a-").number(0).push("-").number(u64::MAX).push("-").hex(0xbeef, 6);
        assert_eq!(text.as_str(), "a-0-18446744073709551615-00beef");
        assert_eq!(Text::new().push(&"x".repeat(500)).as_str().len(), CAPACITY);
    }
}
