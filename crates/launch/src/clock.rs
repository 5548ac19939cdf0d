//! From the agents' clock to wall-clock time.

use carafe_telemetry::UnixNanos;

/// The relation of CLOCK_MONOTONIC, which records carry, to CLOCK_REALTIME, as of one moment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_ns: u64,
    monotonic_ns: u64,
}

impl Clock {
    /// The relation now. Taken anew for every batch of records: the wall clock can be set.
    pub fn now() -> Self {
        Self { unix_ns: UnixNanos::now().0, monotonic_ns: monotonic_ns() }
    }

    /// The wall-clock time of a moment of CLOCK_MONOTONIC.
    pub fn unix(&self, monotonic_ns: u64) -> UnixNanos {
        let passed = i128::from(monotonic_ns) - i128::from(self.monotonic_ns);
        let unix_ns = i128::from(self.unix_ns) + passed;
        UnixNanos(u64::try_from(unix_ns).unwrap_or(if passed < 0 { 0 } else { u64::MAX }))
    }
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_both_ways_from_now() {
        let clock = Clock { unix_ns: 1_000, monotonic_ns: 100 };
        assert_eq!(clock.unix(150), UnixNanos(1_050));
        assert_eq!(clock.unix(50), UnixNanos(950));
        let early = Clock { unix_ns: 10, monotonic_ns: 100 };
        assert_eq!(early.unix(0), UnixNanos(0));
    }
}
