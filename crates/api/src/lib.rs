//! The HTTP query APIs, as views over one [`Store`]: Jaeger's, both generations, and
//! Carafe's own. One folder per contract; none of them knows the engine of the store.

#![forbid(unsafe_code)]

mod fault;
mod go_duration;
mod jaeger;
mod native;
mod params;
mod status;

pub use go_duration::{GoDurationError, format_go_duration, parse_go_duration};
pub use status::StatusSource;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::any;
use carafe_store::Store;
use std::sync::Arc;

/// Everything under `/api`. What is there but unknown answers 404 with JSON, so that it never
/// reaches the web UI's fallback.
pub fn router(store: Arc<dyn Store>, status: StatusSource) -> Router {
    let api = Router::new()
        .merge(jaeger::router(Arc::clone(&store)))
        .nest("/carafe/v1", native::router(store, status))
        .fallback(unknown);
    // Nesting does not cover the slash alone.
    Router::new().nest("/api", api).route("/api/", any(unknown))
}

async fn unknown(uri: Uri) -> Response {
    let message = format!("there is no {} here", uri.path());
    let body = serde_json::json!({"error": {"code": 404, "message": message}});
    fault::json_response(StatusCode::NOT_FOUND, &body)
}
