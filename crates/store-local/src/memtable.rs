//! One stretch of the log in memory: what was logged and is not in files yet.

use crate::ingest::{IncomingLogs, IncomingSpan, IncomingSpans};
use crate::logs::{LogSnapshot, RecentLogs};
use crate::metrics::{MetricSnapshot, RecentMetrics};
use crate::recent::{RecentSpans, SpanSnapshot};
use carafe_store::PointRecord;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Recent data of all signals, from one log frame to another.
#[derive(Default)]
pub struct Memtable {
    /// Spans.
    pub spans: Arc<RecentSpans>,
    logs: RecentLogs,
    metrics: RwLock<RecentMetrics>,
    first_sequence: AtomicU64,
    last_sequence: AtomicU64,
    begun: OnceLock<Instant>,
}

impl Memtable {
    /// Adds spans that are neither here nor `known` to be elsewhere; which of them.
    pub fn insert_spans(
        &self,
        sequence: u64,
        spans: &IncomingSpans,
        known: impl Fn(&IncomingSpan) -> bool,
    ) -> Vec<u32> {
        let added = self.spans.insert(spans, known);
        self.covers(sequence);
        added
    }

    /// Adds log records.
    pub fn insert_logs(&self, sequence: u64, logs: IncomingLogs) {
        self.logs.insert(logs);
        self.covers(sequence);
    }

    /// Adds data points; gives them back with the series that are kept.
    pub fn insert_points(&self, sequence: u64, points: Vec<PointRecord>) -> Vec<PointRecord> {
        let inserted = self.metrics.write().insert(points);
        self.covers(sequence);
        inserted
    }

    /// Says that everything up to `sequence` is here or in an older memtable.
    pub fn covers(&self, sequence: u64) {
        // One thread writes, so the two need not change together.
        if self.begun.set(Instant::now()).is_ok() {
            self.first_sequence.store(sequence, Ordering::Release);
        }
        self.last_sequence.store(sequence, Ordering::Release);
    }

    /// The first and the last log frame; none where there is no frame.
    pub fn sequences(&self) -> Option<(u64, u64)> {
        self.begun.get()?;
        let load = |number: &AtomicU64| number.load(Ordering::Acquire);
        Some((load(&self.first_sequence), load(&self.last_sequence)))
    }

    /// How long ago its first frame came.
    pub fn age(&self) -> Duration {
        self.begun.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// About what all of it takes.
    pub fn bytes(&self) -> u64 {
        self.spans.bytes() + self.logs.bytes() + self.metrics.read().bytes() as u64
    }

    /// Spans, data points and log records, in the order of `Signal::ALL`.
    pub fn items(&self) -> [u64; 3] {
        [self.spans.rows(), self.metrics.read().len() as u64, self.logs.rows()]
    }

    /// The spans that are here now.
    pub fn span_snapshot(&self) -> SpanSnapshot {
        self.spans.snapshot()
    }

    /// The log records that are here now.
    pub fn log_snapshot(&self) -> LogSnapshot {
        self.logs.snapshot()
    }

    /// The data points that are here now.
    pub fn metric_snapshot(&self) -> MetricSnapshot {
        self.metrics.read().snapshot()
    }
}
