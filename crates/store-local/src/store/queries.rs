//! The operations of the interface: each runs on a thread of its own, on the state that there
//! is when it begins.

use super::{LocalStore, Shared};
use crate::budget::Budget;
use crate::query;
use crate::state::State;
use async_trait::async_trait;
use carafe_store::{
    Appended, AttributeQuery, AttributeValue, GraphEdge, GraphQuery, LogPage, LogQuery, MetricPage,
    MetricQuery, RedQuery, RedSeries, ScanPage, ScanQuery, Sequence, ServiceSummary, SpanPage,
    Store, StoreError, StoreErrorKind, StoreStats, Tail, TimeRange, Trace, TracePage, TraceQuery,
};
use carafe_telemetry::{Batch, Signal, TraceId};
use std::sync::Arc;

/// What a query sees.
pub(super) struct View {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<State>,
    pub(super) budget: Budget,
}

impl LocalStore {
    /// Runs a query where it may block. It is cancelled when the future is dropped.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.shared.queries)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::new(StoreErrorKind::Unavailable, "the store is closed"))?;
        let shared = Arc::clone(&self.shared);
        let budget = Budget::new(shared.config.query);
        let cancel = budget.cancel_on_drop();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let state = Arc::clone(&shared.state.read());
            work(&View { shared, state, budget })
        });
        let answer = answer.await.map_err(|error| {
            StoreError::new(StoreErrorKind::Internal, format!("a query failed: {error}"))
        })?;
        drop(cancel);
        answer
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        self.append_batch(batch).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let log_bytes = self.log.bytes();
        self.ask(move |view| Ok(view.stats(log_bytes))).await
    }

    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Trace>, StoreError> {
        let ids = ids.to_vec();
        self.ask(move |view| {
            query::traces(&view.state.span_sources(TimeRange::ALL), &ids, &view.budget)
        })
        .await
    }

    async fn find_traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let query = query.clone();
        self.ask(move |view| {
            // A trace that matches may have spans outside of the range.
            let sources = view.state.span_sources(TimeRange::ALL);
            query::find_traces(&sources, &query, &view.budget)
        })
        .await
    }

    async fn find_spans(&self, query: &TraceQuery) -> Result<SpanPage, StoreError> {
        let query = query.clone();
        self.ask(move |view| {
            let sources = view.state.span_sources(TimeRange::ALL);
            query::find_spans(&sources, &query, &view.budget)
        })
        .await
    }

    async fn attribute_keys(&self, query: &AttributeQuery) -> Result<Vec<String>, StoreError> {
        let query = query.clone();
        self.ask(move |view| view.attribute_keys(&query)).await
    }

    async fn attribute_values(
        &self,
        key: &str,
        query: &AttributeQuery,
    ) -> Result<Vec<AttributeValue>, StoreError> {
        let (key, query) = (key.to_owned(), query.clone());
        self.ask(move |view| view.attribute_values(&key, &query)).await
    }

    async fn services(&self) -> Result<Vec<ServiceSummary>, StoreError> {
        self.ask(View::services).await
    }

    async fn red(&self, query: &RedQuery) -> Result<RedSeries, StoreError> {
        let query = query.clone();
        self.ask(move |view| view.red(&query)).await
    }

    async fn service_graph(&self, query: &GraphQuery) -> Result<Vec<GraphEdge>, StoreError> {
        let range = query.range;
        self.ask(move |view| view.graph(range)).await
    }

    async fn find_logs(&self, query: &LogQuery) -> Result<LogPage, StoreError> {
        let query = query.clone();
        self.ask(move |view| {
            query::find_logs(&view.state.log_sources(query.range), &query, &view.budget)
        })
        .await
    }

    async fn select_metrics(&self, query: &MetricQuery) -> Result<MetricPage, StoreError> {
        let query = query.clone();
        self.ask(move |view| {
            query::select_metrics(&view.state.metric_sources(query.range), &query, &view.budget)
        })
        .await
    }

    fn tail(&self, after: Option<Sequence>) -> Tail {
        self.shared.tail.follow(after)
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage, StoreError> {
        let query = query.clone();
        self.ask(move |view| {
            let (state, budget) = (&view.state, &view.budget);
            match query.signal {
                Signal::Traces => {
                    query::scan_spans(&state.span_sources(query.range), &query, budget)
                }
                Signal::Logs => query::scan_logs(&state.log_sources(query.range), &query, budget),
                Signal::Metrics => {
                    query::scan_points(&state.metric_sources(query.range), &query, budget)
                }
            }
        })
        .await
    }
}
