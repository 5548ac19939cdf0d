//! Carafe's own API, `/api/carafe/v1`: what the web UI asks for. The unit of every time is in
//! its field's name; attributes keep their types.

mod attribute;
mod filter;
mod live;
mod logs;
mod overview;
mod red;
mod search;
mod span;
mod trace;

use crate::fault::{Fault, json_response};
use crate::status::StatusSource;
use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carafe_store::Store;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

type SharedStore = Arc<dyn Store>;

#[derive(Clone)]
struct Native {
    store: SharedStore,
    status: StatusSource,
    live_streams: Arc<Semaphore>,
}

impl FromRef<Native> for SharedStore {
    fn from_ref(native: &Native) -> Self {
        Arc::clone(&native.store)
    }
}

pub(crate) fn router(store: SharedStore, status: StatusSource) -> Router {
    let live_streams = Arc::new(Semaphore::new(live::MAX_STREAMS));
    Router::new()
        .route("/services", get(overview::services))
        .route("/status", get(overview::status))
        .route("/tags", get(overview::tag_keys))
        .route("/tags/{key}/values", get(overview::tag_values))
        .route("/search", get(search::search))
        .route("/traces/{id}", get(trace::trace))
        .route("/traces/{id}/logs", get(logs::of_trace))
        .route("/traces/{id}/spans/{span}", get(span::span))
        .route("/logs", get(logs::logs))
        .route("/red", get(red::red))
        .route("/live", get(live::live))
        .with_state(Native { store, status, live_streams })
}

type Answer = Result<Response, Failure>;

struct Failure(Fault);

impl<F: Into<Fault>> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self(fault.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = json!({"code": self.0.status.as_u16(), "message": self.0.message});
        json_response(self.0.status, &json!({"error": error}))
    }
}

fn ok(body: &impl Serialize) -> Answer {
    Ok(json_response(StatusCode::OK, body))
}

fn trace_id(text: &str) -> Result<carafe_telemetry::TraceId, Fault> {
    carafe_telemetry::TraceId::from_hex(text)
        .map_err(|error| Fault::bad_request(format!("not a trace id: {error}")))
}

/// Microseconds with their fractions.
fn micros(duration: std::time::Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}
