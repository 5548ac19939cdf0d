//! What one query may cost, and how it learns that nobody waits for it any more.

use carafe_store::{StoreError, StoreErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a query may cost. At each limit the query ends with
/// [`StoreErrorKind::TooExpensive`]; nothing is answered in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// How long it may take.
    pub time: Duration,
    /// Rows that it may look at one by one.
    pub rows: u64,
    /// Bytes that its intermediate results may take.
    pub bytes: u64,
}

impl Default for QueryLimits {
    /// 30 seconds, two billion rows, 256 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(30), rows: 2_000_000_000, bytes: 256 << 20 }
    }
}

/// The account of one query. Shared by reference between the operators that work on it.
#[derive(Debug)]
pub struct Budget {
    limits: QueryLimits,
    started: Instant,
    rows: AtomicU64,
    bytes: AtomicU64,
    cancelled: Arc<AtomicBool>,
}

/// Cancels its query when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Budget {
    /// An account that starts now.
    pub fn new(limits: QueryLimits) -> Self {
        Self {
            limits,
            started: Instant::now(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            cancelled: Arc::default(),
        }
    }

    /// What the caller of the query holds while it waits for the answer.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Arc::clone(&self.cancelled))
    }

    /// Books `rows` rows that were looked at, and checks time and cancellation. To be called
    /// at least once for some thousand rows.
    pub fn rows(&self, rows: u64) -> Result<(), StoreError> {
        let seen = self.rows.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Cancelled, "the query was cancelled"));
        }
        if seen > self.limits.rows {
            return Err(too_expensive(format!("looks at more than {} rows", self.limits.rows)));
        }
        if self.started.elapsed() > self.limits.time {
            let seconds = self.limits.time.as_secs_f64();
            return Err(too_expensive(format!("takes longer than {seconds} s")));
        }
        Ok(())
    }

    /// Books `bytes` bytes that the query holds from now on.
    pub fn bytes(&self, bytes: u64) -> Result<(), StoreError> {
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if held > self.limits.bytes {
            return Err(too_expensive(format!("needs more than {} bytes", self.limits.bytes)));
        }
        Ok(())
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(QueryLimits::default())
    }
}

fn too_expensive(what: String) -> StoreError {
    StoreError::new(
        StoreErrorKind::TooExpensive,
        format!("the query {what}; hint: ask for a shorter time, or name a service"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(limits: QueryLimits, rows: u64) -> Option<StoreErrorKind> {
        Budget::new(limits).rows(rows).err().map(|error| error.kind)
    }

    #[test]
    fn each_limit_ends_the_query() {
        let limits = QueryLimits { rows: 10, bytes: 10, ..QueryLimits::default() };
        assert_eq!(kind(limits, 10), None);
        assert_eq!(kind(limits, 11), Some(StoreErrorKind::TooExpensive));
        let late = QueryLimits { time: Duration::ZERO, ..limits };
        assert_eq!(kind(late, 1), Some(StoreErrorKind::TooExpensive));
        let budget = Budget::new(limits);
        assert!(budget.bytes(10).is_ok());
        assert_eq!(budget.bytes(1).unwrap_err().kind, StoreErrorKind::TooExpensive);
    }

    #[test]
    fn a_query_ends_when_nobody_waits() {
        let budget = Budget::default();
        let guard = budget.cancel_on_drop();
        assert!(budget.rows(1).is_ok());
        drop(guard);
        assert_eq!(budget.rows(1).unwrap_err().kind, StoreErrorKind::Cancelled);
    }
}
