//! Log records in memory, in order of time.

use super::MemoryLimits;
use crate::query::LogQuery;
use crate::record::LogRecord;
use crate::size;
use carafe_telemetry::{TraceId, UnixNanos};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

/// Time, then order of arrival.
pub(super) type LogKey = (UnixNanos, u64);

#[derive(Default)]
pub(super) struct Logs {
    by_time: BTreeMap<LogKey, (LogRecord, usize)>,
    by_trace: HashMap<TraceId, BTreeSet<LogKey>>,
    arrival: VecDeque<LogKey>,
    pub(super) bytes: usize,
    pub(super) appended: u64,
    pub(super) evicted: u64,
}

impl Logs {
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Adds records, then evicts those that came first until the limits hold.
    pub(super) fn insert(&mut self, logs: &[LogRecord], limits: &MemoryLimits) {
        for log in logs {
            let key = (log.time, self.appended);
            let bytes = size::log(&log.log) + size::INDEX;
            self.appended += 1;
            self.bytes += bytes;
            if let Some(id) = log.trace_id {
                self.by_trace.entry(id).or_default().insert(key);
            }
            self.arrival.push_back(key);
            self.by_time.insert(key, (log.clone(), bytes));
        }
        while self.bytes > limits.max_log_bytes || self.by_time.len() > limits.max_logs {
            if !self.evict_oldest() {
                break;
            }
        }
    }

    fn evict_oldest(&mut self) -> bool {
        let Some(key) = self.arrival.pop_front() else { return false };
        let Some((log, bytes)) = self.by_time.remove(&key) else { return true };
        self.bytes -= bytes;
        self.evicted += 1;
        if let Some(id) = log.trace_id
            && let Some(keys) = self.by_trace.get_mut(&id)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_trace.remove(&id);
            }
        }
        true
    }

    /// Up to `n` records that may match, newest first, that come after `after`.
    pub(super) fn candidates(
        &self,
        query: &LogQuery,
        after: Option<LogKey>,
        n: usize,
    ) -> Vec<(LogKey, LogRecord)> {
        let lower = Bound::Included((query.range.start, 0));
        let newest = (query.range.end, u64::MAX);
        let upper = after.map_or(Bound::Included(newest), Bound::Excluded);
        if after.unwrap_or(newest) <= (query.range.start, 0) {
            return Vec::new();
        }
        let record = |key: &LogKey| Some((*key, self.by_time.get(key)?.0.clone()));
        match query.trace_id {
            Some(id) => {
                let Some(keys) = self.by_trace.get(&id) else { return Vec::new() };
                keys.range((lower, upper)).rev().filter_map(record).take(n).collect()
            }
            None => {
                let records = self.by_time.range((lower, upper)).rev();
                records.map(|(key, (log, _))| (*key, log.clone())).take(n).collect()
            }
        }
    }

    /// Records from the oldest on, that come after `after`.
    pub(super) fn oldest_first(
        &self,
        after: Option<LogKey>,
    ) -> impl Iterator<Item = (LogKey, &LogRecord)> {
        let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_time.range((lower, Bound::Unbounded)).map(|(key, (log, _))| (*key, log))
    }
}
