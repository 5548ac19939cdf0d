//! Windows of event time: what one file holds, and what retention drops whole.

use carafe_store::TimeRange;
use carafe_telemetry::UnixNanos;

/// The length of the windows that data is first written to.
pub const FIRST_WINDOW_SECONDS: u64 = 600;
/// The length of the windows that compaction makes of them.
pub const LAST_WINDOW_SECONDS: u64 = 3_600;

const NANOS: u64 = 1_000_000_000;

/// A stretch of event time, aligned to its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// When it begins, in seconds since the epoch.
    pub start_seconds: u64,
    /// How long it is, in seconds.
    pub seconds: u64,
}

impl Window {
    /// The window of this length that `time` is in.
    pub fn of(time: UnixNanos, seconds: u64) -> Self {
        let at = time.0 / NANOS;
        Self { start_seconds: at - at % seconds, seconds }
    }

    /// The longer window that this one is in.
    pub fn widened(self, seconds: u64) -> Self {
        Self { start_seconds: self.start_seconds - self.start_seconds % seconds, seconds }
    }

    /// Its first and its last nanosecond.
    pub fn range(self) -> TimeRange {
        let start = self.start_seconds.saturating_mul(NANOS);
        let length = self.seconds.saturating_mul(NANOS);
        TimeRange { start: UnixNanos(start), end: UnixNanos(start.saturating_add(length - 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_meet_and_do_not_overlap() {
        let at = UnixNanos(1_767_225_599_999_999_999);
        let (before, after) =
            (Window::of(at, FIRST_WINDOW_SECONDS), Window::of(UnixNanos(at.0 + 1), 600));
        assert_eq!(before.range().end.0 + 1, after.range().start.0);
        assert!(before.range().contains(at));
        assert_eq!(before.widened(LAST_WINDOW_SECONDS).range().end, before.range().end);
        assert!(Window::of(UnixNanos(u64::MAX), 600).range().contains(UnixNanos(u64::MAX)));
    }
}
