//! The bounded store in memory.
//!
//! One lock guards the tables. A writer holds it while it links in records that were decoded
//! before; a reader only while it copies references to some traces, which it then looks at
//! without the lock, [`SCAN_CHUNK`] at a time, giving way to other tasks in between.

mod aggregate;
mod intern;
mod logs;
mod metrics;
mod scan;
mod services;
mod traces;

use crate::attributes::{AttributeKeys, AttributeValues};
use crate::decode::{self, Records};
use crate::error::StoreError;
use crate::filter::SpanFilter;
use crate::interface::Store;
use crate::newest::{NewestLogs, NewestSpans, NewestTraces};
use crate::query::{
    Appended, AttributeQuery, AttributeValue, GraphEdge, GraphQuery, LogPage, LogQuery, MetricPage,
    MetricQuery, RedQuery, RedSeries, ScanPage, ScanQuery, ServiceSummary, SpanPage, StoreStats,
    TracePage, TraceQuery,
};
use crate::record::{ResourceRecord, ScopeRecord, SpanRecord, Trace};
use crate::red::RedCells;
use crate::summary::TraceSummary;
use crate::tail::{Sequence, Tail, TailHub, TailItems};
use async_trait::async_trait;
use carafe_telemetry::{Batch, TraceId, UnixNanos};
use parking_lot::RwLock;
use prost::Message;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Traces or log records that are looked at between two turns of the lock.
const SCAN_CHUNK: usize = 256;

/// How many spans the attribute operations look at, the newest traces first.
const ATTRIBUTE_SCAN_SPANS: usize = 50_000;

/// What a [`MemoryStore`] may hold. At a limit what came first goes, traces whole, and is
/// counted in [`StoreStats`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes that traces may take.
    pub max_trace_bytes: usize,
    /// Traces.
    pub max_traces: usize,
    /// Spans.
    pub max_spans: u64,
    /// Spans of one trace; more are rejected.
    pub max_spans_per_trace: usize,
    /// Bytes that log records may take.
    pub max_log_bytes: usize,
    /// Log records.
    pub max_logs: usize,
    /// Bytes that metrics may take.
    pub max_metric_bytes: usize,
    /// Data points.
    pub max_points: usize,
}

impl MemoryLimits {
    /// Three parts of four for traces, the rest for logs and metrics in equal parts, with the
    /// other limits at their defaults.
    pub fn with_max_bytes(bytes: usize) -> Self {
        let eighth = bytes / 8;
        Self {
            max_trace_bytes: bytes - 2 * eighth,
            max_log_bytes: eighth,
            max_metric_bytes: eighth,
            ..Self::default()
        }
    }

    fn max_bytes(&self) -> usize {
        self.max_trace_bytes
            .saturating_add(self.max_log_bytes)
            .saturating_add(self.max_metric_bytes)
    }
}

impl Default for MemoryLimits {
    /// 512 MiB in all.
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            max_trace_bytes: 384 * MIB,
            max_traces: 500_000,
            max_spans: 1_000_000,
            max_spans_per_trace: 100_000,
            max_log_bytes: 64 * MIB,
            max_logs: 500_000,
            max_metric_bytes: 64 * MIB,
            max_points: 1_000_000,
        }
    }
}

/// Keeps what fits [`MemoryLimits`], until the process ends.
pub struct MemoryStore {
    limits: MemoryLimits,
    state: RwLock<State>,
    tail: TailHub,
}

#[derive(Default)]
struct State {
    traces: traces::Traces,
    logs: logs::Logs,
    metrics: metrics::Metrics,
    resources: intern::Interner<ResourceRecord>,
    scopes: intern::Interner<ScopeRecord>,
    rejected: u64,
    appended_spans: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(MemoryLimits::default())
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, state: RwLock::default(), tail: TailHub::default() }
    }

    /// Shows `visit` the traces that may match, newest start first, until it breaks, each
    /// with a time after which neither it nor a later one has a span that starts.
    async fn visit(
        &self,
        filter: &SpanFilter,
        mut visit: impl FnMut(&Trace, UnixNanos) -> ControlFlow<()> + Send,
    ) {
        let mut after = None;
        loop {
            let (chunk, max_extent) = {
                let traces = &self.state.read().traces;
                (traces.candidates(filter, after, SCAN_CHUNK), traces.max_extent())
            };
            let Some((last, _)) = chunk.last() else { return };
            after = Some(*last);
            for ((start, _), trace) in &chunk {
                let reach = UnixNanos(start.0.saturating_add(max_extent));
                if visit(trace, reach).is_break() {
                    return;
                }
            }
            if chunk.len() < SCAN_CHUNK {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Shows `visit` the spans of the newest traces that the attribute operations look at.
    async fn visit_recent_spans(
        &self,
        service: Option<&String>,
        mut visit: impl FnMut(&SpanRecord) + Send,
    ) {
        let filter = SpanFilter { service: service.cloned(), ..SpanFilter::default() };
        let mut left = ATTRIBUTE_SCAN_SPANS;
        self.visit(&filter, |trace, _| {
            let spans = trace.spans.iter().filter(|span| filter.matches_span(span));
            for span in spans.take(left) {
                left -= 1;
                visit(span);
            }
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await;
    }
}

impl State {
    /// Shares the resources and scopes of one request with those that are stored.
    fn intern<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a mut Arc<ResourceRecord>, &'a mut Arc<ScopeRecord>)>,
    ) {
        let mut resources = HashMap::new();
        let mut scopes = HashMap::new();
        for (resource, scope) in records {
            *resource = Arc::clone(resources.entry(Arc::as_ptr(resource)).or_insert_with(|| {
                let bytes = resource.resource.encode_to_vec();
                self.resources.intern(resource, &bytes)
            }));
            *scope = Arc::clone(scopes.entry(Arc::as_ptr(scope)).or_insert_with(|| {
                let bytes = scope.scope.encode_to_vec();
                self.scopes.intern(scope, &bytes)
            }));
        }
    }

    fn insert(&mut self, records: Records, limits: &MemoryLimits) -> (TailItems, u64) {
        match records {
            Records::Spans(mut spans) => {
                self.intern(spans.iter_mut().map(|s| (&mut s.resource, &mut s.scope)));
                let inserted = self.traces.insert(spans, limits);
                self.appended_spans += inserted.spans.len() as u64;
                (TailItems::Spans(Arc::new(inserted.spans)), inserted.over_limit)
            }
            Records::Logs(mut logs) => {
                self.intern(logs.iter_mut().map(|l| (&mut l.resource, &mut l.scope)));
                self.logs.insert(&logs, limits);
                (TailItems::Logs(Arc::new(logs)), 0)
            }
            Records::Points(points) => {
                let points = self.metrics.insert(points, limits);
                (TailItems::Points(Arc::new(points)), 0)
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        let decoded = decode::decode(&batch, UnixNanos::now())?;
        let mut appended = decoded.appended;
        let mut state = self.state.write();
        let (items, over_limit) = state.insert(decoded.records, &self.limits);
        if over_limit > 0 {
            let limit = self.limits.max_spans_per_trace;
            let separator = if appended.message.is_empty() { "" } else { "; " };
            appended.message +=
                &format!("{separator}{over_limit} spans are over the limit of {limit} a trace");
            appended.rejected_items += over_limit;
        }
        state.rejected += appended.rejected_items;
        // Inside the lock, so that followers see appends in the order of the store.
        self.tail.publish(items);
        Ok(appended)
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let state = self.state.read();
        let (traces, logs, metrics) = (&state.traces, &state.logs, &state.metrics);
        Ok(StoreStats {
            kind: "memory",
            spans: traces.spans,
            traces: traces.len() as u64,
            logs: logs.len() as u64,
            points: metrics.len() as u64,
            bytes: (traces.bytes + logs.bytes + metrics.bytes) as u64,
            max_bytes: self.limits.max_bytes() as u64,
            recent_bytes: (traces.bytes + logs.bytes + metrics.bytes) as u64,
            evicted_traces: traces.evicted_traces,
            evicted_spans: traces.evicted_spans,
            evicted_logs: logs.evicted,
            evicted_points: metrics.evicted,
            rejected_items: state.rejected,
            appended_spans: state.appended_spans,
            appended_logs: logs.appended,
            appended_points: metrics.appended,
            ..StoreStats::default()
        })
    }

    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Trace>, StoreError> {
        let state = self.state.read();
        Ok(ids.iter().filter_map(|id| state.traces.get(*id)).collect())
    }

    async fn find_traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let mut newest = NewestTraces::new(query)?;
        self.visit(&query.filter.until(newest.latest()), |trace, reach| {
            if !newest.wants(reach) {
                return ControlFlow::Break(());
            }
            if let Some(start) = query.filter.newest_match(trace) {
                newest.push(start, trace.id, || TraceSummary::of(trace));
            }
            ControlFlow::Continue(())
        })
        .await;
        Ok(newest.finish())
    }

    async fn find_spans(&self, query: &TraceQuery) -> Result<SpanPage, StoreError> {
        let mut newest = NewestSpans::new(query)?;
        self.visit(&query.filter.until(newest.latest()), |trace, reach| {
            if !newest.wants(reach) {
                return ControlFlow::Break(());
            }
            if query.filter.matches_trace(trace) {
                let matching = trace.spans.iter().filter(|s| query.filter.matches_span(s));
                matching.for_each(|span| newest.push(span));
            }
            ControlFlow::Continue(())
        })
        .await;
        Ok(newest.finish())
    }

    async fn attribute_keys(&self, query: &AttributeQuery) -> Result<Vec<String>, StoreError> {
        let mut keys = AttributeKeys::default();
        self.visit_recent_spans(query.service.as_ref(), |span| keys.add(span)).await;
        Ok(keys.finish(query.limit))
    }

    async fn attribute_values(
        &self,
        key: &str,
        query: &AttributeQuery,
    ) -> Result<Vec<AttributeValue>, StoreError> {
        let mut values = AttributeValues::new(key);
        self.visit_recent_spans(query.service.as_ref(), |span| values.add(span)).await;
        Ok(values.finish(query.limit))
    }

    async fn services(&self) -> Result<Vec<ServiceSummary>, StoreError> {
        Ok(self.state.read().traces.services.summaries())
    }

    async fn red(&self, query: &RedQuery) -> Result<RedSeries, StoreError> {
        let mut red = RedCells::new(query)?;
        self.visit(&query.filter, |trace, _| {
            aggregate::add_to_red(&mut red, &query.filter, trace);
            ControlFlow::Continue(())
        })
        .await;
        Ok(red.finish())
    }

    async fn service_graph(&self, query: &GraphQuery) -> Result<Vec<GraphEdge>, StoreError> {
        let filter = SpanFilter { range: query.range, ..SpanFilter::default() };
        let mut graph = aggregate::Graph::default();
        self.visit(&filter, |trace, _| {
            graph.add(&filter, trace);
            ControlFlow::Continue(())
        })
        .await;
        Ok(graph.finish())
    }

    async fn find_logs(&self, query: &LogQuery) -> Result<LogPage, StoreError> {
        let mut newest = NewestLogs::new(query)?;
        // No arrival has this number, so all records of the moment come.
        let mut after =
            query.after.as_ref().map(|_| (newest.latest().min(query.range.end), u64::MAX));
        loop {
            let chunk = self.state.read().logs.candidates(query, after, SCAN_CHUNK);
            let Some(((oldest, number), _)) = chunk.last() else { return Ok(newest.finish()) };
            after = Some((*oldest, *number));
            chunk.iter().filter(|(_, log)| query.matches(log)).for_each(|(_, l)| newest.push(l));
            if chunk.len() < SCAN_CHUNK || !newest.wants(*oldest) {
                return Ok(newest.finish());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn select_metrics(&self, query: &MetricQuery) -> Result<MetricPage, StoreError> {
        Ok(self.state.read().metrics.select(query))
    }

    fn tail(&self, after: Option<Sequence>) -> Tail {
        self.tail.follow(after)
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage, StoreError> {
        scan::scan(&self.state.read(), query)
    }
}
