//! Jaeger's HTTP query API: the one that its UI and Grafana used up to version 2.20
//! (`/api/traces` ...), and version 3 (`/api/v3/...`).
//!
//! Differences, all deliberate: a service is not required in a search; errors are sent as
//! `application/json`; times that only help a storage to find a trace by id are read but not
//! needed; version 3 always answers with what was stored (`rawTraces`).

mod adjust;
mod legacy;
mod legacy_params;
mod model;
mod otlp_json;
mod trace_id;
mod v3;
mod v3_params;

use axum::Router;
use carafe_store::{Store, TraceQuery};
use carafe_telemetry::TraceId;
use std::sync::Arc;

/// Traces that a search gives at most, whatever limit it asks for.
const MAX_TRACES: usize = 1_500;

/// Traces that a search gives when it does not say.
const DEFAULT_TRACES: usize = 100;

type SharedStore = Arc<dyn Store>;

pub(crate) fn router(store: SharedStore) -> Router {
    Router::new().merge(legacy::router()).nest("/v3", v3::router()).with_state(store)
}

/// The traces that a search finds, newest first.
async fn find_traces(
    store: &dyn Store,
    query: &TraceQuery,
) -> Result<Vec<carafe_store::Trace>, carafe_store::StoreError> {
    let found = store.find_traces(query).await?;
    let ids: Vec<TraceId> = found.traces.iter().map(|trace| trace.trace_id).collect();
    store.traces(&ids).await
}
