//! Mutual exclusion for threads of one process that must never wait for long.

use crate::sync::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Tries to take the lock before giving the processor away.
const SPINS: u32 = 64;

/// Times that the processor is given away between two looks at the clock.
const YIELDS: u32 = 16;

/// How long taking the lock may take. The holder works for some 100 ns, some 100 µs when it makes
/// the ring; it can be preempted meanwhile on a busy machine. Longer than this means that it was
/// stopped there (a debugger, a signal handler that jumped away).
const PATIENCE: Duration = Duration::from_millis(50);

/// A lock whose taking can fail. All zero when free, so that wiped memory is a free lock.
#[derive(Debug, Default)]
pub struct BoundedLock(AtomicU32);

/// Releases the lock when dropped.
#[derive(Debug)]
pub struct Guard<'a>(&'a BoundedLock);

impl BoundedLock {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes the lock only where it is free now.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_>> {
        self.0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Guard(self))
    }

    /// Takes the lock, waiting for a bounded time; `None` after that.
    #[inline]
    pub fn lock(&self) -> Option<Guard<'_>> {
        if let Some(guard) = self.try_lock() {
            return Some(guard);
        }
        self.lock_slowly()
    }

    #[cold]
    fn lock_slowly(&self) -> Option<Guard<'_>> {
        let started = Instant::now();
        loop {
            for _ in 0..YIELDS {
                for _ in 0..SPINS {
                    if let Some(guard) = self.try_lock() {
                        return Some(guard);
                    }
                    std::hint::spin_loop();
                }
                std::thread::yield_now();
            }
            if started.elapsed() > PATIENCE {
                return None;
            }
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn gives_up_on_a_holder_that_never_returns() {
        let lock = BoundedLock::new();
        let held = lock.lock().unwrap();
        assert!(lock.lock().is_none());
        drop(held);
        assert!(lock.lock().is_some());
    }
}
