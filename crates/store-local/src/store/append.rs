//! From a request to recent data.

use super::{LocalStore, Shared};
use crate::config::MAX_FUTURE;
use crate::ingest::{
    IncomingLog, IncomingLogs, IncomingSpans, Rules, index_logs, index_metrics, index_traces,
};
use bytes::Bytes;
use carafe_store::{
    Appended, LogRecord, PointRecord, SpanRecord, StoreError, StoreErrorKind, TailItems, TimeRange,
};
use carafe_telemetry::otlp;
use carafe_telemetry::{Batch, Signal, UnixNanos};
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a request waits for room before it is refused.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// A request, ready to be inserted once it is safe.
pub(super) enum Payload {
    Spans(IncomingSpans),
    Logs(IncomingLogs),
    Points(Vec<PointRecord>),
}

impl Payload {
    /// Reads a request; with what has to go to the log for it.
    pub(super) fn read(batch: Batch, rules: &Rules) -> Result<(Self, Bytes, Appended), StoreError> {
        Ok(match batch.signal {
            Signal::Traces => {
                let indexed = index_traces(&batch.bytes, rules)?;
                let bytes = indexed.items.bytes.clone();
                (Self::Spans(indexed.items), bytes, indexed.appended)
            }
            Signal::Logs => {
                let indexed = index_logs(&batch.bytes, rules)?;
                let bytes = indexed.items.bytes.clone();
                (Self::Logs(indexed.items), bytes, indexed.appended)
            }
            Signal::Metrics => {
                let indexed = index_metrics(&batch.bytes, rules)?;
                (Self::Points(indexed.items), batch.bytes, indexed.appended)
            }
        })
    }

    fn items(&self) -> (usize, u64) {
        let (at, items) = match self {
            Self::Spans(spans) => (Signal::Traces, spans.spans.len()),
            Self::Points(points) => (Signal::Metrics, points.len()),
            Self::Logs(logs) => (Signal::Logs, logs.logs.len()),
        };
        (index_of(at), items as u64)
    }
}

/// The place of a signal in [`Signal::ALL`].
pub(super) fn index_of(signal: Signal) -> usize {
    match signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    }
}

impl Shared {
    /// How requests that came at `received` are read. Taken is what retention would not
    /// remove at once, and no time that only a broken clock can tell.
    pub(super) fn rules(&self, received: UnixNanos) -> Rules {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let accepted = self.config.retention_age.map(|age| TimeRange {
            start: UnixNanos(received.0.saturating_sub(nanos(age))),
            end: UnixNanos(received.0.saturating_add(nanos(MAX_FUTURE))),
        });
        Rules { received, accepted }
    }

    /// Takes in what is safe in the log. One thread does this, in the log's order.
    pub(super) fn insert(&self, sequence: u64, payload: Payload) {
        let guard = self.insert.lock();
        let state = Arc::clone(&self.state.read());
        let (at, items) = payload.items();
        let mut added_items = items;
        match payload {
            Payload::Spans(spans) => {
                let calls = self.calls.read();
                let added = state.active.insert_spans(sequence, &spans, |span| {
                    let mut flushing = state.flushing.iter();
                    flushing.any(|memtable| memtable.spans.has(span)) || calls.has(span)
                });
                drop(calls);
                added_items = added.len() as u64;
                self.counts.duplicates.fetch_add(items - added_items, Ordering::Relaxed);
                self.tail.publish_lazy(added_items, move || {
                    TailItems::Spans(Arc::new(span_records(&spans, &added)))
                });
            }
            Payload::Logs(logs) => {
                state.active.insert_logs(sequence, logs.clone());
                let make = move || TailItems::Logs(Arc::new(log_records(&logs)));
                self.tail.publish_lazy(items, make);
            }
            Payload::Points(points) => {
                let points = state.active.insert_points(sequence, points);
                self.tail.publish(TailItems::Points(Arc::new(points)));
            }
        }
        self.counts.appended[at].fetch_add(added_items, Ordering::Relaxed);
        if state.active.bytes() >= self.config.flush_bytes {
            self.rotate(&guard);
        }
    }
}

fn span_records(spans: &IncomingSpans, added: &[u32]) -> Vec<SpanRecord> {
    let record = |&number: &u32| {
        let span = &spans.spans[number as usize];
        let item = &spans.bytes[span.item.start as usize..span.item.end as usize];
        Some(SpanRecord {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            start: span.start,
            end: span.end,
            resource: Arc::clone(&spans.resources[span.resource as usize].record),
            scope: Arc::clone(&spans.scopes[span.scope as usize].record),
            span: Arc::new(otlp::Span::decode(item).ok()?),
        })
    };
    added.iter().filter_map(record).collect()
}

fn log_records(logs: &IncomingLogs) -> Vec<LogRecord> {
    let record = |log: &IncomingLog| {
        let item = &logs.bytes[log.item.start as usize..log.item.end as usize];
        Some(LogRecord {
            time: log.time,
            trace_id: log.trace_id,
            span_id: log.span_id,
            resource: Arc::clone(&logs.resources[log.resource as usize].record),
            scope: Arc::clone(&logs.scopes[log.scope as usize].record),
            log: Arc::new(otlp::LogRecord::decode(item).ok()?),
        })
    };
    logs.logs.iter().filter_map(record).collect()
}

impl LocalStore {
    pub(super) async fn append_batch(&self, batch: Batch) -> Result<Appended, StoreError> {
        self.wait_for_room().await?;
        let signal = batch.signal;
        let rules = self.shared.rules(UnixNanos::now());
        let (payload, bytes, appended) = Payload::read(batch, &rules)?;
        if payload.items().1 > 0 {
            self.log.append(signal, rules.received, bytes, payload).await?;
        }
        self.shared.counts.rejected.fetch_add(appended.rejected_items, Ordering::Relaxed);
        Ok(appended)
    }

    /// Waits while recent data takes all that it may: files are written as fast as the disk
    /// allows, and the client that is refused tries again.
    async fn wait_for_room(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let wait = async {
            loop {
                let room = shared.room.notified();
                let bytes = shared.state.read().recent_bytes();
                if bytes < shared.config.memory_bytes {
                    return;
                }
                room.await;
            }
        };
        tokio::time::timeout(ROOM_PATIENCE, wait).await.map_err(|_| {
            let limit = shared.config.memory_bytes;
            StoreError::new(
                StoreErrorKind::Full,
                format!(
                    "recent data takes the {limit} bytes that it may, and could not be written \
                     to files in time; hint: look whether the disk is full or slow, or allow \
                     more with --memory-limit"
                ),
            )
        })
    }
}
