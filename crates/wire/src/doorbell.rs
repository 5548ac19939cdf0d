//! Wakes the launcher when a ring has something and it sleeps; costs the writer one fence and one
//! load when it does not.
//!
//! The reader announces that it is about to sleep, looks at the rings once more, and waits on
//! `rung`; a writer publishes, then looks whether the reader sleeps. With a sequentially
//! consistent fence between the two steps on either side, one of them sees the other.

use crate::sync::{AtomicU32, Ordering, fence};

/// The shared words. All zero when new.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Doorbell {
    /// Changes at every ring of the bell; the word that the reader waits on.
    pub rung: AtomicU32,
    /// 1 while the reader sleeps or is about to.
    pub sleeping: AtomicU32,
    /// Counts ring files that were created: when it changes the reader looks at the directory.
    pub rings: AtomicU32,
    /// Counts faults of agents, each of which disabled an agent in one process.
    pub faults: AtomicU32,
    /// Counts records that were dropped because a thread that held the ring did not go on.
    pub unwritten: AtomicU32,
}

impl Doorbell {
    /// Writer: call after publishing. True when the reader must be woken (see [`wake`]).
    #[inline]
    pub fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) != 0 && self.ring()
    }

    #[cold]
    fn ring(&self) -> bool {
        let slept = self.sleeping.swap(0, Ordering::AcqRel) != 0;
        if slept {
            self.rung.fetch_add(1, Ordering::Release);
        }
        slept
    }

    /// Reader: says that it will sleep. The returned ticket goes to [`wait`], after another look
    /// at the rings.
    pub fn announce_sleep(&self) -> u32 {
        let ticket = self.rung.load(Ordering::Acquire);
        self.sleeping.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        ticket
    }

    /// Reader: it is awake.
    pub fn announce_awake(&self) {
        self.sleeping.store(0, Ordering::Relaxed);
    }
}

/// Wakes the reader that waits on `doorbell`.
#[cfg(not(loom))]
pub fn wake(doorbell: &Doorbell) {
    // SAFETY: the word lives as long as the reference; FUTEX_WAKE touches no other memory.
    unsafe {
        libc::syscall(libc::SYS_futex, doorbell.rung.as_ptr(), libc::FUTEX_WAKE, 1);
    }
}

/// Sleeps until the bell has been rung since `ticket`, at most for `timeout`.
#[cfg(not(loom))]
pub fn wait(doorbell: &Doorbell, ticket: u32, timeout: std::time::Duration) {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word and the timeout outlive the call. An interrupted or spurious return is
    // fine: the caller looks at the rings again.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            doorbell.rung.as_ptr(),
            libc::FUTEX_WAIT,
            ticket,
            std::ptr::from_ref(&timeout),
        );
    }
}
