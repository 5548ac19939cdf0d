//! What the queries read: recent data and files, under one interface.
//!
//! A query sees an immutable list of sources, each of which gives what matches newest first.
//! The list never changes under a query: files that compaction replaces live on until the
//! last query that holds them is done.

use crate::budget::Budget;
use carafe_store::{
    LogQuery, LogRecord, MetricQuery, PointRecord, SeriesPoints, SpanFilter, SpanRecord,
    StoreError, TimeRange,
};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::collections::HashSet;
use std::sync::Arc;

/// The columns of a span that searches and aggregates need.
#[derive(Clone, Debug)]
pub struct SpanHit {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// OTLP's number of the kind.
    pub kind: i32,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
    /// Whether the status is an error.
    pub is_error: bool,
    /// Who recorded it.
    pub service: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// All of it, where [`Want::Records`] was asked for.
    pub record: Option<SpanRecord>,
}

/// How much of each match a scan gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The columns of [`SpanHit`] only.
    Hits,
    /// Whole spans.
    Records,
}

/// Matches, newest first.
pub type Scan<'a, T> = Box<dyn Iterator<Item = Result<T, StoreError>> + Send + 'a>;

/// Spans: recent ones, or a file of them.
pub trait SpanSource: Send + Sync {
    /// The earliest and the latest start.
    fn extent(&self) -> TimeRange;

    /// The spans that fulfil all conditions of `filter` but `errors_only`, newest start first.
    /// Exactly those for which `SpanFilter::matches_span` is true. Lazy: what is not asked
    /// for is not read.
    fn scan<'a>(
        &'a self,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Scan<'a, SpanHit>;

    /// Adds all spans of these traces, in any order. `ids` is sorted.
    fn traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
        out: &mut Vec<SpanRecord>,
    ) -> Result<(), StoreError>;

    /// Those of these traces that have a span here whose status is an error. `ids` is sorted.
    /// A source that knows the status without reading whole spans does better than this.
    fn failed_traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
    ) -> Result<HashSet<TraceId>, StoreError> {
        let mut spans = Vec::new();
        self.traces(ids, budget, &mut spans)?;
        Ok(spans.iter().filter(|span| span.is_error()).map(|span| span.trace_id).collect())
    }
}

/// Log records: recent ones, or a file of them.
pub trait LogSource: Send + Sync {
    /// The earliest and the latest time.
    fn extent(&self) -> TimeRange;

    /// The records for which `LogQuery::matches` is true, newest first. Lazy. Ignores the
    /// query's limit.
    fn scan<'a>(&'a self, query: &'a LogQuery, budget: &'a Budget) -> Scan<'a, LogRecord>;
}

/// Data points: recent ones, or a file of them.
pub trait MetricSource: Send + Sync {
    /// The earliest and the latest time.
    fn extent(&self) -> TimeRange;

    /// The series that match and have points in the range, with those points in order of
    /// time. In any order, each series once. Ignores the query's limit.
    fn select(&self, query: &MetricQuery, budget: &Budget)
    -> Result<Vec<SeriesPoints>, StoreError>;

    /// The points in `range`, newest first. Lazy.
    fn scan<'a>(&'a self, range: TimeRange, budget: &'a Budget) -> Scan<'a, PointRecord>;
}
