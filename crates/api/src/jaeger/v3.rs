//! `/api/v3/...`.

use super::legacy::operations_of;
use super::v3_params::{self, malformed};
use super::{SharedStore, find_traces, otlp_json, trace_id};
use crate::fault::{Fault, json_response};
use crate::params::Params;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carafe_store::{Trace, TraceSummary};
use serde::Serialize;
use serde_json::json;

pub(super) fn router() -> Router<SharedStore> {
    Router::new()
        .route("/services", get(services))
        .route("/operations", get(operations))
        .route("/traces", get(traces))
        .route("/traces/{id}", get(trace))
        .route("/trace-summaries", get(summaries))
}

struct Failure(Fault);

impl<F: Into<Fault>> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self(fault.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let details = json!({"httpCode": self.0.status.as_u16(), "message": self.0.message});
        json_response(self.0.status, &json!({"error": details}))
    }
}

async fn services(State(store): State<SharedStore>) -> Result<Response, Failure> {
    let services = store.services().await?;
    let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
    Ok(json_response(StatusCode::OK, &json!({"services": names})))
}

async fn operations(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let service = params.get("service").ok_or_else(|| malformed("service", "it is required"))?;
    let kind = params.get_any(&["spanKind", "span_kind"]).map(|(_, kind)| kind);
    let operations = operations_of(&store, service, None).await?;
    let operations: Vec<_> = operations
        .into_iter()
        .map(super::legacy::Operation::or_internal)
        .filter(|operation| kind.is_none_or(|kind| operation.span_kind() == kind))
        .collect();
    Ok(json_response(StatusCode::OK, &json!({"operations": operations})))
}

async fn traces(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let query = v3_params::search(&params)?;
    result(&find_traces(&*store, &query).await?)
}

async fn trace(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Failure> {
    let Path(id) = path?;
    let id = trace_id::parse(&id).map_err(|error| malformed("trace_id", error))?;
    v3_params::check_trace(&params)?;
    result(&store.traces(&[id]).await?)
}

fn result(traces: &[Trace]) -> Result<Response, Failure> {
    if traces.is_empty() {
        return Err(Fault::not_found("No traces found").into());
    }
    let body = json!({"result": otlp_json::traces_data(traces)});
    Ok(json_response(StatusCode::OK, &body))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    trace_id: String,
    root_service_name: String,
    root_operation_name: String,
    min_start_time_unix_nano: String,
    max_end_time_unix_nano: String,
    span_count: u64,
    error_span_count: u64,
    orphan_span_count: u64,
    services: Vec<ServiceSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSummary {
    name: String,
    span_count: u64,
    error_span_count: u64,
}

impl From<TraceSummary> for Summary {
    fn from(trace: TraceSummary) -> Self {
        // Only a span without a parent is a root here.
        let root = trace.root.filter(|root| !root.is_orphan);
        let services = trace.services.iter().map(|service| ServiceSummary {
            name: service.name.to_string(),
            span_count: service.spans,
            error_span_count: service.errors,
        });
        Self {
            trace_id: trace.trace_id.to_string(),
            root_service_name: root.as_ref().map(|r| r.service.to_string()).unwrap_or_default(),
            root_operation_name: root.map(|root| root.operation).unwrap_or_default(),
            min_start_time_unix_nano: trace.start.0.to_string(),
            max_end_time_unix_nano: trace.end.0.to_string(),
            span_count: trace.spans,
            error_span_count: trace.errors,
            orphan_span_count: trace.orphans,
            services: services.collect(),
        }
    }
}

async fn summaries(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let query = v3_params::search(&params)?;
    let found = store.find_traces(&query).await?;
    let summaries: Vec<Summary> = found.traces.into_iter().map(Summary::from).collect();
    Ok(json_response(StatusCode::OK, &json!({"summaries": summaries})))
}
