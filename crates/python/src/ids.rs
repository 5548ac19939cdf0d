//! Random ids of traces and spans.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Makes ids. Not for secrets.
pub(crate) struct Ids(SmallRng);

impl Ids {
    /// Starts at a place of the kernel's choice: every process must have one of its own.
    pub(crate) fn seeded() -> Self {
        let mut seed = <SmallRng as SeedableRng>::Seed::default();
        let bytes: &mut [u8] = seed.as_mut();
        // SAFETY: the kernel fills at most the buffer's length.
        let filled =
            unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
        if filled != bytes.len().cast_signed() {
            // Early in a machine's life: time and process tell processes apart.
            // SAFETY: takes nothing, cannot fail.
            let pid = unsafe { libc::getpid() };
            let mixed = crate::engine::unix_ns() ^ (u64::from(pid.cast_unsigned()) << 32);
            return Self(SmallRng::seed_from_u64(mixed));
        }
        Self(SmallRng::from_seed(seed))
    }

    /// A trace id, never all zero.
    #[inline]
    pub(crate) fn trace_id(&mut self) -> [u8; 16] {
        loop {
            let (high, low) = (self.0.next_u64(), self.0.next_u64());
            if high | low != 0 {
                return ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
            }
        }
    }

    /// A span id, never all zero.
    #[inline]
    pub(crate) fn span_id(&mut self) -> [u8; 8] {
        loop {
            let id = self.0.next_u64();
            if id != 0 {
                return id.to_be_bytes();
            }
        }
    }

    /// A version 4 UUID as text.
    pub(crate) fn uuid(&mut self) -> String {
        let mut bytes = self.trace_id();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex(&bytes);
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes that `2 * N` hexadecimal digits stand for.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
