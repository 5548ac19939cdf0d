//! What an API answers when it cannot do what it was asked; each API has its own body for it.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use carafe_store::{StoreError, StoreErrorKind};
use serde::Serialize;

/// A status and what a person reads.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: message.into() }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let status = match error.kind {
            StoreErrorKind::InvalidData => StatusCode::BAD_REQUEST,
            StoreErrorKind::Full => StatusCode::TOO_MANY_REQUESTS,
            StoreErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            StoreErrorKind::TooExpensive => StatusCode::UNPROCESSABLE_ENTITY,
            // Nobody reads the answer; the status is for the access log of a proxy.
            StoreErrorKind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            StoreErrorKind::Corrupt | StoreErrorKind::Internal => {
                tracing::error!(%error, kind = ?error.kind, "a query failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, message: error.message }
    }
}

impl From<axum::extract::rejection::PathRejection> for Fault {
    fn from(rejection: axum::extract::rejection::PathRejection) -> Self {
        Self::bad_request(format!("the path cannot be read: {}", rejection.body_text()))
    }
}

/// `body` as JSON. What our own types hold always has a JSON form; should one not have it,
/// the answer is a 500.
pub(crate) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes()),
    };
    bytes_response(status, bytes)
}

/// `bytes`, which are JSON.
pub(crate) fn bytes_response(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
