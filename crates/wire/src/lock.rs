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
pub struct BoundedLock {
    is_held: AtomicU32,
    /// Somebody's patience has ended and the lock was not had since: nobody waits for it, so that
    /// a holder that never comes back (left behind by a fork) costs the app that time once.
    is_given_up: AtomicU32,
}

/// Releases the lock when dropped.
#[derive(Debug)]
pub struct Guard<'a>(&'a BoundedLock);

impl BoundedLock {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { is_held: AtomicU32::new(0), is_given_up: AtomicU32::new(0) }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { is_held: AtomicU32::new(0), is_given_up: AtomicU32::new(0) }
    }

    /// Takes the lock only where it is free now.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_>> {
        self.is_held
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Guard(self))
    }

    /// Takes the lock, waiting for a bounded time; `None` after that.
    #[inline]
    pub fn lock(&self) -> Option<Guard<'_>> {
        let is_given_up = self.is_given_up.load(Ordering::Relaxed) != 0;
        if let Some(guard) = self.try_lock() {
            if is_given_up {
                self.is_given_up.store(0, Ordering::Relaxed);
            }
            return Some(guard);
        }
        if is_given_up { None } else { self.lock_slowly() }
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
                self.is_given_up.store(1, Ordering::Relaxed);
                return None;
            }
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.is_held.store(0, Ordering::Release);
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
        let again = Instant::now();
        assert!(lock.lock().is_none());
        assert!(again.elapsed() < PATIENCE, "the app waits once");
        drop(held);
        assert!(lock.lock().is_some());
        assert_eq!(lock.is_given_up.load(Ordering::Relaxed), 0);
    }
}
