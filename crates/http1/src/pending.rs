//! Requests that have no response yet.

/// Unanswered (pipelined) requests that one connection can remember. With one
/// more the framing is lost: responses could no longer be paired.
pub const PENDING_LIMIT: usize = 256;

const WORDS: usize = PENDING_LIMIT / 64;

/// What a response must know of its request to find its own end
/// (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: a successful response turns the connection into a tunnel.
    Connect,
    /// Any other method.
    Other,
}

/// A queue of [`Asked`], two bits each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Pending {
    head: [u64; WORDS],
    connect: [u64; WORDS],
    first: u16,
    len: u16,
}

impl Pending {
    pub(crate) const fn new() -> Self {
        Self { head: [0; WORDS], connect: [0; WORDS], first: 0, len: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Adds a request; `false` when there is no room.
    pub(crate) fn push(&mut self, asked: Asked) -> bool {
        if usize::from(self.len) >= PENDING_LIMIT {
            return false;
        }
        let at = (usize::from(self.first) + usize::from(self.len)) % PENDING_LIMIT;
        set(&mut self.head, at, asked == Asked::Head);
        set(&mut self.connect, at, asked == Asked::Connect);
        self.len += 1;
        true
    }

    /// Takes the oldest request.
    pub(crate) fn pop(&mut self) -> Option<Asked> {
        self.len = self.len.checked_sub(1)?;
        let at = usize::from(self.first) % PENDING_LIMIT;
        self.first = (self.first + 1) % PENDING_LIMIT as u16;
        Some(if get(&self.head, at) {
            Asked::Head
        } else if get(&self.connect, at) {
            Asked::Connect
        } else {
            Asked::Other
        })
    }
}

fn set(words: &mut [u64; WORDS], at: usize, on: bool) {
    if let Some(word) = words.get_mut(at / 64) {
        let bit = 1 << (at % 64);
        *word = if on { *word | bit } else { *word & !bit };
    }
}

fn get(words: &[u64; WORDS], at: usize) -> bool {
    words.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_around_the_end_of_the_ring() {
        let mut pending = Pending::new();
        for round in 0..PENDING_LIMIT * 100 {
            let asked = [Asked::Other, Asked::Head, Asked::Connect];
            for step in 0..3 {
                assert!(pending.push(asked[(round + step) % 3]));
            }
            for step in 0..3 {
                assert_eq!(pending.pop(), Some(asked[(round + step) % 3]));
            }
        }
        assert_eq!(pending.pop(), None);
    }

    #[test]
    fn refuses_one_more_than_the_limit() {
        let mut pending = Pending::new();
        for _ in 0..PENDING_LIMIT {
            assert!(pending.push(Asked::Other));
        }
        assert!(!pending.push(Asked::Other));
        assert_eq!(pending.pop(), Some(Asked::Other));
        assert!(pending.push(Asked::Head));
    }
}
