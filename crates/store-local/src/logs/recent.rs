//! Recent log records: the requests as they came, with light rows to search them by.
//!
//! One thread inserts. A query takes a snapshot, which shares all segments but the newest
//! with the writer, and works on that without a lock.

use super::build::LogBatchBuilder;
use super::row::{LogRow, Source};
use super::tags::Need;
use super::text::TextSearch;
use crate::budget::Budget;
use crate::ingest::{IncomingLog, IncomingLogs, IncomingResource, IncomingScope};
use crate::signal_file::NO_TIME;
use crate::source::{LogSource, Scan};
use arrow_array::RecordBatch;
use bytes::Bytes;
use carafe_store::{LogQuery, LogRecord, StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::view::LogView;
use carafe_telemetry::{TraceId, UnixNanos, otlp};
use parking_lot::RwLock;
use prost::Message;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};

/// A segment with so many rows takes no further request.
const SEGMENT_ROWS: usize = 4_096;
/// Rows between two looks at the budget.
const BUDGET_ROWS: u64 = 1_024;

/// A record, and which request it is in.
#[derive(Clone, Debug)]
struct Row {
    log: IncomingLog,
    request: u32,
}

/// What a row takes besides its request: itself and its place in the order.
const ROW_BYTES: u64 = (size_of::<Row>() + size_of::<u32>()) as u64;

/// A request without its rows.
#[derive(Clone, Debug)]
struct Request {
    bytes: Bytes,
    resources: Vec<IncomingResource>,
    scopes: Vec<IncomingScope>,
}

/// Rows of one or more whole requests. Immutable once it is sealed.
#[derive(Clone, Debug, Default)]
struct Segment {
    rows: Vec<Row>,
    requests: Vec<Arc<Request>>,
    /// Row numbers, newest first; made when a search first needs it.
    order: OnceLock<Vec<u32>>,
}

impl Segment {
    fn newest_first(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
            // Of one moment, what came last is first.
            order.sort_unstable_by_key(|&row| Reverse((self.rows[row as usize].log.time, row)));
            order
        })
    }

    fn log<'a>(&'a self, row: &'a Row) -> RecentLog<'a> {
        RecentLog { row: &row.log, request: &self.requests[row.request as usize] }
    }
}

/// A recent log record, borrowed.
struct RecentLog<'a> {
    row: &'a IncomingLog,
    request: &'a Request,
}

impl<'a> RecentLog<'a> {
    fn resource(&self) -> &'a IncomingResource {
        &self.request.resources[self.row.resource as usize]
    }

    fn scope(&self) -> &'a IncomingScope {
        &self.request.scopes[self.row.scope as usize]
    }

    fn item(&self) -> &'a [u8] {
        &self.request.bytes[self.row.item.start as usize..self.row.item.end as usize]
    }

    fn view(&self) -> Result<LogView<'a>, StoreError> {
        LogView::reread(self.item()).map_err(|error| undecodable(&error))
    }

    /// False where the record certainly does not match, which is told without decoding it.
    fn may_match(
        &self,
        query: &LogQuery,
        need: &Need<'_>,
        text: Option<&TextSearch>,
    ) -> Result<bool, StoreError> {
        let messages = || Some([self.item(), &*self.resource().bytes, &*self.scope().bytes]);
        let may_match = query.takes_severity(self.row.severity_number)
            && query.trace_id.is_none_or(|id| self.row.trace_id == Some(id))
            && need.may_have(&self.resource().record.service, &messages);
        let Some(text) = text.filter(|_| may_match) else { return Ok(may_match) };
        Ok(self.view()?.body.is_some_and(|body| text.is_in(&body.text())))
    }

    fn record(&self) -> Result<LogRecord, StoreError> {
        let log = otlp::LogRecord::decode(self.item()).map_err(|error| undecodable(&error))?;
        Ok(LogRecord {
            time: self.row.time,
            trace_id: self.row.trace_id,
            span_id: self.row.span_id,
            resource: Arc::clone(&self.resource().record),
            scope: Arc::clone(&self.scope().record),
            log: Arc::new(log),
        })
    }

    /// The record as a row of a file.
    fn push_to(&self, batch: &mut LogBatchBuilder) -> Result<(), StoreError> {
        let (resource, scope) = (self.resource(), self.scope());
        let source = Source {
            service: &resource.record.service,
            resource: &resource.bytes,
            resource_schema_url: &resource.record.schema_url,
            scope: &scope.bytes,
            scope_schema_url: &scope.record.schema_url,
        };
        batch.push(&LogRow::new(&self.view()?, self.row.time, source))
    }
}

fn undecodable(error: &dyn std::error::Error) -> StoreError {
    let message = format!("a log record that was accepted cannot be decoded: {error}");
    StoreError::new(StoreErrorKind::Internal, message)
}

/// Log records of one memtable.
#[derive(Debug, Default)]
pub struct RecentLogs {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sealed: Vec<Arc<Segment>>,
    open: Segment,
    extent: Option<TimeRange>,
    rows: u64,
    bytes: u64,
}

impl RecentLogs {
    /// Adds the records of a request.
    pub fn insert(&self, incoming: IncomingLogs) {
        let IncomingLogs { bytes, logs, resources, scopes } = incoming;
        if logs.is_empty() {
            return;
        }
        let mut inner = self.inner.write();
        inner.rows += logs.len() as u64;
        inner.bytes += bytes.len() as u64 + logs.len() as u64 * ROW_BYTES;
        for log in &logs {
            let extent = inner.extent.get_or_insert(TimeRange { start: log.time, end: log.time });
            extent.start = extent.start.min(log.time);
            extent.end = extent.end.max(log.time);
        }
        let open = &mut inner.open;
        let request = open.requests.len() as u32;
        open.requests.push(Arc::new(Request { bytes, resources, scopes }));
        open.rows.extend(logs.into_iter().map(|log| Row { log, request }));
        open.order = OnceLock::new();
        if open.rows.len() >= SEGMENT_ROWS {
            let full = std::mem::take(open);
            inner.sealed.push(Arc::new(full));
        }
    }

    /// Records.
    pub fn rows(&self) -> u64 {
        self.inner.read().rows
    }

    /// What all of it takes, about.
    pub fn bytes(&self) -> u64 {
        self.inner.read().bytes
    }

    /// What is here now, to be read without a lock.
    pub fn snapshot(&self) -> LogSnapshot {
        let inner = self.inner.read();
        let mut segments = inner.sealed.clone();
        if !inner.open.rows.is_empty() {
            segments.push(Arc::new(inner.open.clone()));
        }
        LogSnapshot { segments, extent: inner.extent.unwrap_or(NO_TIME) }
    }
}

/// Recent log records at one moment.
#[derive(Clone, Debug)]
pub struct LogSnapshot {
    segments: Vec<Arc<Segment>>,
    extent: TimeRange,
}

impl LogSnapshot {
    /// Records in `range`, newest first; of one moment, what came last is first.
    fn newest_first(&self, range: TimeRange) -> impl Iterator<Item = RecentLog<'_>> {
        let head = |segment: usize, order: &[u32]| {
            let row = *order.first()?;
            Some((self.segments[segment].rows[row as usize].log.time, segment))
        };
        let mut rest: Vec<&[u32]> = self
            .segments
            .iter()
            .map(|segment| {
                let order = segment.newest_first();
                let later = |row: &u32| segment.rows[*row as usize].log.time > range.end;
                &order[order.partition_point(later)..]
            })
            .collect();
        let mut heads: BinaryHeap<(UnixNanos, usize)> =
            rest.iter().enumerate().filter_map(|(segment, order)| head(segment, order)).collect();
        std::iter::from_fn(move || {
            let (time, number) = heads.pop().filter(|(time, _)| *time >= range.start)?;
            debug_assert!(time <= range.end, "what is later was left out");
            let (row, left) = rest[number].split_first()?;
            rest[number] = left;
            heads.extend(head(number, left));
            let segment = &self.segments[number];
            Some(segment.log(&segment.rows[*row as usize]))
        })
    }

    /// The records in `range` as rows of a file, newest first.
    pub fn batches(
        &self,
        range: TimeRange,
    ) -> impl Iterator<Item = Result<RecordBatch, StoreError>> + '_ {
        let mut logs = self.newest_first(range);
        let mut batch = LogBatchBuilder::new();
        std::iter::from_fn(move || {
            for log in logs.by_ref() {
                if let Err(error) = log.push_to(&mut batch) {
                    return Some(Err(error));
                }
                if batch.is_full() {
                    break;
                }
            }
            (!batch.is_empty()).then(|| batch.finish())
        })
    }

    /// The traces that the records belong to, and their times.
    pub fn times(&self) -> impl Iterator<Item = (UnixNanos, Option<TraceId>)> + '_ {
        let rows = self.segments.iter().flat_map(|segment| &segment.rows);
        rows.map(|row| (row.log.time, row.log.trace_id))
    }
}

impl LogSource for LogSnapshot {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn scan<'a>(&'a self, query: &'a LogQuery, budget: &'a Budget) -> Scan<'a, LogRecord> {
        let text = query.text.as_deref().map(TextSearch::new);
        let need = Need::of(query);
        let mut looked_at = 0;
        let logs = self.newest_first(query.range);
        Box::new(logs.filter_map(move |log| {
            looked_at += 1;
            if looked_at % BUDGET_ROWS == 0
                && let Err(error) = budget.rows(BUDGET_ROWS)
            {
                return Some(Err(error));
            }
            let record = log.may_match(query, &need, text.as_ref()).and_then(|may_match| {
                let record = may_match.then(|| log.record()).transpose()?;
                Ok(record.filter(|record| query.matches(record)))
            });
            record.transpose()
        }))
    }
}

#[cfg(test)]
mod tests;
