//! The storage and query interface.

use crate::error::StoreError;
use crate::query::{
    Appended, AttributeQuery, AttributeValue, GraphEdge, GraphQuery, LogPage, LogQuery, MetricPage,
    MetricQuery, RedQuery, RedSeries, ScanPage, ScanQuery, ServiceSummary, SpanPage, StoreStats,
    TracePage, TraceQuery,
};
use crate::record::Trace;
use crate::tail::{Sequence, Tail};
use async_trait::async_trait;
use carafe_telemetry::{Batch, TraceId};

/// Keeps telemetry and answers questions about it. Used as `Arc<dyn Store>`.
///
/// Results are owned and cheap to clone (their parts are shared by `Arc`); none borrows from
/// the store, so no lock outlives a call. What `append` acknowledged is visible to every
/// later call. A call whose future is dropped stops soon and leaves no trace.
///
/// A span that comes again with the same [identity](crate::SpanRecord::identity), from an
/// exporter that retried, is there once.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores one export request and returns when it is as safe as this store makes things.
    /// Items that can never be stored are rejected one by one and counted; the rest is kept.
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError>;

    /// How much there is, and what was lost to limits.
    async fn stats(&self) -> Result<StoreStats, StoreError>;

    /// The traces with these ids, in the order of `ids`, without those that are not there.
    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Trace>, StoreError>;

    /// The trace with this id.
    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        Ok(self.traces(&[id]).await?.pop())
    }

    /// Traces that match: those with the newest matching spans, the latest start of a trace
    /// first.
    async fn find_traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError>;

    /// Spans that match, newest start first, then by trace and span id.
    async fn find_spans(&self, query: &TraceQuery) -> Result<SpanPage, StoreError>;

    /// Names of attributes of spans and resources, and of virtual tags, in order. May look
    /// only at recent data.
    async fn attribute_keys(&self, query: &AttributeQuery) -> Result<Vec<String>, StoreError>;

    /// The values of one attribute (or of its aliases) with their counts, most frequent
    /// first. May look only at recent data.
    async fn attribute_values(
        &self,
        key: &str,
        query: &AttributeQuery,
    ) -> Result<Vec<AttributeValue>, StoreError>;

    /// All services with their operations, by name.
    async fn services(&self) -> Result<Vec<ServiceSummary>, StoreError>;

    /// Requests, errors and durations over time: counts exact, percentiles within
    /// [`PERCENTILE_RELATIVE_ERROR`](crate::PERCENTILE_RELATIVE_ERROR) of the nearest rank.
    async fn red(&self, query: &RedQuery) -> Result<RedSeries, StoreError>;

    /// Which services call which, ordered by names.
    async fn service_graph(&self, query: &GraphQuery) -> Result<Vec<GraphEdge>, StoreError>;

    /// Log records that match, newest first.
    async fn find_logs(&self, query: &LogQuery) -> Result<LogPage, StoreError>;

    /// Metric series that match, with their points in order of time.
    async fn select_metrics(&self, query: &MetricQuery) -> Result<MetricPage, StoreError>;

    /// What is appended from now on, or after `after` where that is still buffered.
    fn tail(&self, after: Option<Sequence>) -> Tail;

    /// One page of everything of a signal, as an export request: in an order of the store's
    /// own, every item once. What is appended while the pages are being read may or may not
    /// be in them.
    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage, StoreError>;
}
