//! The newest of what matches: one page, in an order that every store keeps.
//!
//! Within one moment the order is that of the items' contents, so a page ends at the same
//! place wherever the items came from and however they are stored.

use crate::cursor::Cursor;
use crate::error::StoreError;
use crate::query::{LogPage, LogQuery, SpanPage, TracePage, TraceQuery};
use crate::record::{LogRecord, SpanRecord};
use crate::summary::TraceSummary;
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use prost::Message;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use twox_hash::XxHash3_64;

const SPANS: u8 = 1;
const TRACES: u8 = 2;
const LOGS: u8 = 3;

/// The first `limit` items after `after` in the order of their keys, and one more, which
/// tells whether there are more.
struct Newest<K, V> {
    limit: usize,
    after: Option<K>,
    items: BTreeMap<K, V>,
}

impl<K: Ord + Clone, V> Newest<K, V> {
    fn new(limit: usize, after: Option<K>) -> Self {
        Self { limit, after, items: BTreeMap::new() }
    }

    fn is_full(&self) -> bool {
        self.items.len() > self.limit
    }

    /// Whether an item with this key, or with a later one, could still be on the page.
    fn wants(&self, key: &K) -> bool {
        !self.is_full() || self.items.last_key_value().is_none_or(|(last, _)| key < last)
    }

    /// Takes an item in where it belongs on the page; one with the same key stays as it is.
    fn push(&mut self, key: K, value: impl FnOnce() -> V) {
        if !self.wants(&key) || self.after.as_ref().is_some_and(|after| key <= *after) {
            return;
        }
        self.items.entry(key).or_insert_with(value);
        if self.items.len() > self.limit.saturating_add(1) {
            self.items.pop_last();
        }
    }

    /// The items of the page and, where there are more, the last key.
    fn finish(mut self) -> (Vec<V>, Option<K>) {
        let is_full = self.is_full();
        if is_full {
            self.items.pop_last();
        }
        let last = self.items.last_key_value().map(|(key, _)| key.clone());
        (self.items.into_values().collect(), last.filter(|_| is_full))
    }
}

/// Reads parts of known length from the front.
fn part<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let mut out = [0; N];
    if let Some((head, rest)) = bytes.split_first_chunk() {
        out = *head;
        *bytes = rest;
    }
    out
}

fn time(bytes: &mut &[u8]) -> UnixNanos {
    UnixNanos(u64::from_be_bytes(part(bytes)))
}

type SpanKey = (Reverse<UnixNanos>, TraceId, SpanId, i32, UnixNanos);

/// A page of spans: newest start first, then by trace and span id. A span that comes twice,
/// with the same identity, is there once.
pub struct NewestSpans(Newest<SpanKey, SpanRecord>);

impl NewestSpans {
    /// An error where the cursor is not one of a span search.
    pub fn new(query: &TraceQuery) -> Result<Self, StoreError> {
        let after = query.after.as_ref().map(|cursor| {
            let place = &mut cursor.place::<44>(SPANS)?.as_slice();
            let (start, trace_id) = (Reverse(time(place)), TraceId(part(place)));
            let (span_id, kind) = (SpanId(part(place)), i32::from_be_bytes(part(place)));
            Ok::<_, StoreError>((start, trace_id, span_id, kind, time(place)))
        });
        Ok(Self(Newest::new(query.limit, after.transpose()?)))
    }

    /// The latest start of a span that can be on the page.
    pub fn latest(&self) -> UnixNanos {
        self.0.after.as_ref().map_or(UnixNanos(u64::MAX), |key| key.0.0)
    }

    /// Whether a span that starts at `start`, or an older one, could still be on the page.
    pub fn wants(&self, start: UnixNanos) -> bool {
        let first = (Reverse(start), TraceId::default(), SpanId::default(), i32::MIN, UnixNanos(0));
        self.0.wants(&first)
    }

    /// Takes a matching span.
    pub fn push(&mut self, span: &SpanRecord) {
        let kind = span.span.kind;
        let key = (Reverse(span.start), span.trace_id, span.span_id, kind, span.end);
        self.0.push(key, || span.clone());
    }

    /// The page.
    pub fn finish(self) -> SpanPage {
        let (spans, last) = self.0.finish();
        let next = last.map(|(start, trace_id, span_id, kind, end)| {
            let start = start.0.0.to_be_bytes();
            let (kind, end) = (kind.to_be_bytes(), end.0.to_be_bytes());
            Cursor::new(SPANS, &[&start[..], &trace_id.0, &span_id.0, &kind, &end].concat())
        });
        SpanPage { spans, next }
    }
}

type TraceKey = (Reverse<UnixNanos>, TraceId);

/// A page of traces: those whose newest matching spans are the newest.
pub struct NewestTraces(Newest<TraceKey, TraceSummary>);

impl NewestTraces {
    /// An error where the cursor is not one of a trace search.
    pub fn new(query: &TraceQuery) -> Result<Self, StoreError> {
        let after = query.after.as_ref().map(|cursor| {
            let place = &mut cursor.place::<24>(TRACES)?.as_slice();
            Ok::<_, StoreError>((Reverse(time(place)), TraceId(part(place))))
        });
        Ok(Self(Newest::new(query.limit, after.transpose()?)))
    }

    /// The latest start of a matching span of a trace that can be on the page.
    pub fn latest(&self) -> UnixNanos {
        self.0.after.as_ref().map_or(UnixNanos(u64::MAX), |key| key.0.0)
    }

    /// Whether a trace whose newest matching span starts at `start`, or before, could still
    /// be on the page.
    pub fn wants(&self, start: UnixNanos) -> bool {
        self.0.wants(&(Reverse(start), TraceId::default()))
    }

    /// Takes a matching trace; `newest` is the latest start of its matching spans.
    pub fn push(&mut self, newest: UnixNanos, id: TraceId, summary: impl FnOnce() -> TraceSummary) {
        self.0.push((Reverse(newest), id), summary);
    }

    /// The page, latest start of a trace first.
    pub fn finish(self) -> TracePage {
        let (mut traces, last) = self.0.finish();
        traces.sort_by_key(|trace| (Reverse(trace.start), trace.trace_id));
        let next = last.map(|(newest, id)| {
            Cursor::new(TRACES, &[&newest.0.0.to_be_bytes()[..], &id.0].concat())
        });
        TracePage { traces, next }
    }
}

/// Time, time of observation, hash of the content, and which of those with the same content.
type LogKey = (Reverse<UnixNanos>, Reverse<u64>, u64, u32);

/// A page of log records: newest first, within one moment those that were observed last
/// first. Records with the same content are all there.
pub struct NewestLogs {
    newest: Newest<LogKey, LogRecord>,
    /// Records seen with the content of the one that the page before ended with.
    copies: u32,
}

impl NewestLogs {
    /// An error where the cursor is not one of a log search.
    pub fn new(query: &LogQuery) -> Result<Self, StoreError> {
        let after = query.after.as_ref().map(|cursor| {
            let place = &mut cursor.place::<28>(LOGS)?.as_slice();
            let (at, observed) = (Reverse(time(place)), Reverse(time(place).0));
            let (hash, copy) = (time(place).0, u32::from_be_bytes(part(place)));
            Ok::<_, StoreError>((at, observed, hash, copy))
        });
        Ok(Self { newest: Newest::new(query.limit, after.transpose()?), copies: 0 })
    }

    /// The latest time of a record that can be on the page.
    pub fn latest(&self) -> UnixNanos {
        self.newest.after.as_ref().map_or(UnixNanos(u64::MAX), |key| key.0.0)
    }

    /// Whether a record of `time`, or an older one, could still be on the page.
    pub fn wants(&self, time: UnixNanos) -> bool {
        self.newest.wants(&(Reverse(time), Reverse(u64::MAX), 0, 0))
    }

    /// Takes a matching record.
    pub fn push(&mut self, log: &LogRecord) {
        let observed = log.log.observed_time_unix_nano;
        let mut key = (Reverse(log.time), Reverse(observed), content_hash(log), 0);
        let same = |other: &LogKey| (other.0, other.1, other.2) == (key.0, key.1, key.2);
        key.3 = if self.newest.after.as_ref().is_some_and(same) {
            self.copies += 1;
            self.copies - 1
        } else {
            let last = (key.0, key.1, key.2, u32::MAX);
            let copies = self.newest.items.range(key..=last);
            copies.last().map_or(0, |(known, _)| known.3.saturating_add(1))
        };
        self.newest.push(key, || log.clone());
    }

    /// The page.
    pub fn finish(self) -> LogPage {
        let (logs, last) = self.newest.finish();
        let next = last.map(|(time, observed, hash, copy)| {
            let numbers = [time.0.0, observed.0, hash].map(u64::to_be_bytes).concat();
            Cursor::new(LOGS, &[&numbers[..], &copy.to_be_bytes()].concat())
        });
        LogPage { logs, next }
    }
}

fn content_hash(log: &LogRecord) -> u64 {
    let mut bytes = log.log.encode_to_vec();
    bytes.extend_from_slice(log.resource.service.as_bytes());
    XxHash3_64::oneshot(&bytes)
}

#[cfg(test)]
mod tests;
