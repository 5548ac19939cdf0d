//! From a request to an answer.

use std::time::Instant;

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;

use crate::page::{self, Notice};
use crate::store::{Added, MAX_TASKS, Store, StoreError};
use crate::title::Title;

/// Largest form body in bytes; a larger one is answered 413.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// Nothing but the page's own style and forms: what a user typed could not run
/// even if it got past the escaping.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn router(store: Store) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/add", post(add))
        .route("/delete/{id}", post(delete))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn(log_request))
        .with_state(store)
}

#[derive(Deserialize)]
struct AddForm {
    title: String,
}

async fn index(State(store): State<Store>) -> Response {
    show(&store, StatusCode::OK, &Notice::default()).await
}

async fn add(State(store): State<Store>, form: Result<Form<AddForm>, FormRejection>) -> Response {
    let text = match form {
        Ok(Form(form)) => form.title,
        Err(rejection) => {
            let message = "That form cannot be read: it must hold one field, title.";
            return refuse(&store, rejection.status(), message).await;
        }
    };
    let title = match Title::parse(&text) {
        Ok(title) => title,
        Err(error) => {
            let message = error.to_string();
            let notice = Notice { message: Some(&message), typed: &text };
            return show(&store, StatusCode::BAD_REQUEST, &notice).await;
        }
    };
    match store.add(title).await {
        Ok(Added::Yes) => to_list(),
        Ok(Added::ListFull) => {
            let message = format!("The list is full ({MAX_TASKS} tasks); delete one first.");
            let notice = Notice { message: Some(&message), typed: &text };
            show(&store, StatusCode::CONFLICT, &notice).await
        }
        Err(error) => unavailable(&error),
    }
}

async fn delete(State(store): State<Store>, Path(id): Path<String>) -> Response {
    let deleted = match id.parse() {
        Ok(id) => store.delete(id).await,
        Err(_) => Ok(false),
    };
    match deleted {
        Ok(true) => to_list(),
        Ok(false) => refuse(&store, StatusCode::NOT_FOUND, "There is no such task.").await,
        Err(error) => unavailable(&error),
    }
}

async fn not_found(State(store): State<Store>) -> Response {
    refuse(&store, StatusCode::NOT_FOUND, "There is no such page; this is the list.").await
}

async fn method_not_allowed(State(store): State<Store>) -> Response {
    let message = "That page does not answer this kind of request; this is the list.";
    refuse(&store, StatusCode::METHOD_NOT_ALLOWED, message).await
}

/// 302, not 303: what the app's peers in other languages answer.
fn to_list() -> Response {
    (StatusCode::FOUND, [(header::LOCATION, HeaderValue::from_static("/"))]).into_response()
}

async fn refuse(store: &Store, status: StatusCode, message: &str) -> Response {
    show(store, status, &Notice { message: Some(message), typed: "" }).await
}

async fn show(store: &Store, status: StatusCode, notice: &Notice<'_>) -> Response {
    match store.list().await {
        Ok(tasks) => html(status, page::render(Some(&tasks), notice)),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &StoreError) -> Response {
    let notice = Notice { message: Some("The tasks cannot be reached; try again."), typed: "" };
    let page = page::render(None, &notice);
    (Extension(Cause(error.to_string())), html(StatusCode::INTERNAL_SERVER_ERROR, page))
        .into_response()
}

/// Travels with a failed response to the log line of its request.
#[derive(Clone)]
struct Cause(String);

fn html(status: StatusCode, page: String) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(page)).into_response()
}

/// One line per request, written when its response is ready.
async fn log_request(request: Request, next: Next) -> Response {
    let method: Method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let time_us = started.elapsed().as_micros();
    match response.extensions().get::<Cause>() {
        Some(Cause(cause)) => tracing::error!(%method, path, status, time_us, cause, "request"),
        None => tracing::info!(%method, path, status, time_us, "request"),
    }
    response
}

#[cfg(test)]
mod tests;
