//! Traces in memory: by id, by start, by service and operation, and in order of arrival.

use super::MemoryLimits;
use super::services::{Key, Services};
use crate::filter::SpanFilter;
use crate::record::{ResourceRecord, SpanIdentity, SpanRecord, Trace};
use crate::size;
use carafe_telemetry::{TraceId, UnixNanos};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

struct Entry {
    trace: Trace,
    start: UnixNanos,
    last_start: UnixNanos,
    bytes: usize,
    seen: HashSet<SpanIdentity>,
}

/// What became of the spans of one request.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    /// New to the store, in order.
    pub(super) spans: Vec<SpanRecord>,
    /// Over [`MemoryLimits::max_spans_per_trace`].
    pub(super) over_limit: u64,
}

/// All traces.
#[derive(Default)]
pub(super) struct Traces {
    entries: HashMap<TraceId, Entry>,
    /// Every trace once, in the order in which their first spans came.
    arrival: VecDeque<TraceId>,
    by_start: BTreeSet<Key>,
    pub(super) services: Services,
    max_extent: u64,
    pub(super) spans: u64,
    pub(super) bytes: usize,
    pub(super) evicted_traces: u64,
    pub(super) evicted_spans: u64,
}

impl Traces {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: TraceId) -> Option<Trace> {
        self.entries.get(&id).map(|entry| entry.trace.clone())
    }

    /// Adds spans, then evicts the oldest traces until the limits hold.
    pub(super) fn insert(&mut self, spans: Vec<SpanRecord>, limits: &MemoryLimits) -> Inserted {
        let mut inserted = Inserted::default();
        for (id, spans) in by_trace(spans) {
            self.insert_trace(id, spans, limits, &mut inserted);
        }
        while self.bytes > limits.max_trace_bytes
            || self.spans > limits.max_spans
            || self.entries.len() > limits.max_traces
        {
            if !self.evict_oldest() {
                break;
            }
        }
        inserted
    }

    fn insert_trace(
        &mut self,
        id: TraceId,
        spans: Vec<SpanRecord>,
        limits: &MemoryLimits,
        inserted: &mut Inserted,
    ) {
        let first_start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let entry = self.entries.entry(id).or_insert_with(|| {
            self.arrival.push_back(id);
            self.by_start.insert((first_start, id));
            Entry {
                trace: Trace { id, spans: Arc::default() },
                start: first_start,
                last_start: first_start,
                bytes: 0,
                seen: HashSet::new(),
            }
        });
        let old_key = (entry.start, id);
        entry.start = entry.start.min(first_start);
        let key = (entry.start, id);
        if key != old_key {
            self.by_start.remove(&old_key);
            self.by_start.insert(key);
            for span in entry.trace.spans.iter() {
                self.services.rekey(span, old_key, key);
            }
        }
        // A reader may hold the spans; then it keeps the old vector and we go on with a copy.
        let stored = Arc::make_mut(&mut entry.trace.spans);
        let bytes_before = entry.bytes;
        for span in spans {
            let identity = span.identity();
            if stored.len() >= limits.max_spans_per_trace {
                inserted.over_limit += u64::from(!entry.seen.contains(&identity));
                continue;
            }
            if !entry.seen.insert(identity) {
                continue;
            }
            entry.last_start = entry.last_start.max(span.start);
            entry.bytes += size::span(&span.span) + size::INDEX;
            entry.bytes += resource_bytes(stored, &span.resource);
            self.services.add(&span, key);
            self.spans += 1;
            inserted.spans.push(span.clone());
            // Most spans of a trace come about in order, so the place is near the end.
            let place = stored.partition_point(|other| other.order() <= span.order());
            stored.insert(place, span);
        }
        self.bytes += entry.bytes - bytes_before;
        self.max_extent = self.max_extent.max(entry.last_start.0 - entry.start.0);
    }

    /// No trace has starts further apart than this, in nanoseconds.
    pub(super) fn max_extent(&self) -> u64 {
        self.max_extent
    }

    fn evict_oldest(&mut self) -> bool {
        let Some(id) = self.arrival.pop_front() else { return false };
        if let Some(entry) = self.entries.remove(&id) {
            let key = (entry.start, id);
            self.by_start.remove(&key);
            for span in entry.trace.spans.iter() {
                self.services.remove(span, key);
            }
            self.bytes -= entry.bytes;
            self.spans -= entry.trace.spans.len() as u64;
            self.evicted_traces += 1;
            self.evicted_spans += entry.trace.spans.len() as u64;
        }
        true
    }

    /// Up to `n` traces that may match `filter`, newest start first, that come after `after`.
    pub(super) fn candidates(
        &self,
        filter: &SpanFilter,
        after: Option<Key>,
        n: usize,
    ) -> Vec<(Key, Trace)> {
        let Some(keys) = self.index_for(filter) else { return Vec::new() };
        let newest = (filter.range.end, TraceId([u8::MAX; 16]));
        // A trace that starts before the range may still have spans in it, but only so much
        // before.
        let oldest_start = UnixNanos(filter.range.start.0.saturating_sub(self.max_extent));
        let upper = after.map_or(Bound::Included(newest), Bound::Excluded);
        let lower = Bound::Included((oldest_start, TraceId::INVALID));
        if after.is_some_and(|after| after.0 < oldest_start) || newest.0 < oldest_start {
            return Vec::new();
        }
        keys.range((lower, upper))
            .rev()
            .take(n)
            .filter_map(|key| Some((*key, self.get(key.1)?)))
            .collect()
    }

    /// The smallest index that has every trace that can match.
    fn index_for(&self, filter: &SpanFilter) -> Option<&BTreeSet<Key>> {
        match &filter.service {
            Some(service) => self.services.traces(service, filter.operation.as_deref()),
            None => Some(&self.by_start),
        }
    }

    /// Traces from the oldest start on, that come after `after`.
    pub(super) fn oldest_first(&self, after: Option<Key>) -> impl Iterator<Item = (Key, Trace)> {
        let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_start
            .range((lower, Bound::Unbounded))
            .filter_map(|key| Some((*key, self.get(key.1)?)))
    }
}

/// Spans by trace, in order of arrival.
fn by_trace(spans: Vec<SpanRecord>) -> Vec<(TraceId, Vec<SpanRecord>)> {
    let mut places = HashMap::new();
    let mut traces = Vec::<(TraceId, Vec<SpanRecord>)>::new();
    for span in spans {
        let place = *places.entry(span.trace_id).or_insert_with(|| {
            traces.push((span.trace_id, Vec::new()));
            traces.len() - 1
        });
        traces[place].1.push(span);
    }
    traces
}

/// A resource is shared by many traces; charging it to each run of spans in each of them
/// overstates what it takes, and so keeps the limit.
fn resource_bytes(stored: &[SpanRecord], resource: &Arc<ResourceRecord>) -> usize {
    match stored.last() {
        Some(last) if Arc::ptr_eq(&last.resource, resource) => 0,
        _ => size::attributes(&resource.resource.attributes),
    }
}
