//! `/api/services`, `/api/operations`, `/api/traces`, `/api/dependencies`.

use super::legacy_params::{self, Search};
use super::model::{DependencyLink, Trace};
use super::{SharedStore, adjust, find_traces, trace_id};
use crate::fault::{Fault, bytes_response, json_response};
use crate::params::Params;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carafe_store::{GraphQuery, kind_name};
use carafe_telemetry::{TraceId, UnixNanos};
use serde::Serialize;
use std::collections::HashSet;

pub(super) fn router() -> Router<SharedStore> {
    Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(operation_names))
        .route("/operations", get(operations))
        .route("/traces", get(search))
        .route("/traces/{id}", get(trace))
        .route("/dependencies", get(dependencies))
}

/// The envelope of every answer.
#[derive(Serialize)]
struct Answer<T> {
    data: Option<T>,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<AnswerError>>,
}

#[derive(Serialize)]
struct AnswerError {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    msg: String,
    #[serde(rename = "traceID", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl<T> Answer<Vec<T>> {
    /// Lists of names carry their length.
    fn list(data: Vec<T>) -> Self {
        Self { total: data.len(), ..Self::unnumbered(data) }
    }

    /// Lists of traces and of dependencies do not.
    fn unnumbered(data: Vec<T>) -> Self {
        Self { data: Some(data), total: 0, limit: 0, offset: 0, errors: None }
    }
}

struct Failure(Fault);

impl<F: Into<Fault>> From<F> for Failure {
    fn from(fault: F) -> Self {
        Self(fault.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error =
            AnswerError { code: Some(self.0.status.as_u16()), msg: self.0.message, trace_id: None };
        let answer =
            Answer::<()> { data: None, total: 0, limit: 0, offset: 0, errors: Some(vec![error]) };
        json_response(self.0.status, &answer)
    }
}

/// Indented by four spaces where `prettyPrint` is set to anything but `false`.
fn answer(params: &Params, body: &impl Serialize) -> Response {
    if params.get("prettyPrint").is_none_or(|value| value == "false") {
        return json_response(StatusCode::OK, body);
    }
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match body.serialize(&mut serializer) {
        Ok(()) => bytes_response(StatusCode::OK, bytes),
        Err(_) => json_response(StatusCode::OK, body),
    }
}

async fn services(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let services = store.services().await?;
    let names = services.iter().map(|service| &*service.name).collect();
    Ok(answer(&params, &Answer::list(names)))
}

async fn operation_names(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Failure> {
    let Path(name) = path?;
    let services = store.services().await?;
    let service = services.iter().find(|service| *service.name == *name);
    let mut names: Vec<&str> = service
        .map(|service| service.operations.iter().map(|operation| &*operation.name).collect())
        .unwrap_or_default();
    // Operations come in order of their names, once for each kind.
    names.dedup();
    Ok(answer(&params, &Answer::list(names)))
}

#[derive(Serialize)]
pub(super) struct Operation {
    name: String,
    #[serde(rename = "spanKind")]
    span_kind: &'static str,
}

async fn operations(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let service = params
        .get("service")
        .ok_or_else(|| Fault::bad_request("parameter 'service' is required"))?;
    let operations = operations_of(&store, service, params.get("spanKind")).await?;
    Ok(answer(&params, &Answer::list(operations)))
}

/// The operations of a service, of one kind where that is given.
pub(super) async fn operations_of(
    store: &SharedStore,
    service: &str,
    kind: Option<&str>,
) -> Result<Vec<Operation>, Fault> {
    let services = store.services().await?;
    let operations = services.iter().filter(|known| *known.name == *service);
    let operations = operations.flat_map(|service| &service.operations);
    Ok(operations
        .map(|operation| Operation {
            name: operation.name.to_string(),
            span_kind: kind_name(operation.kind),
        })
        .filter(|operation| kind.is_none_or(|kind| operation.span_kind == kind))
        .collect())
}

impl Operation {
    pub(super) fn span_kind(&self) -> &'static str {
        self.span_kind
    }

    /// Version 3 takes an unspecified kind for internal.
    pub(super) fn or_internal(mut self) -> Self {
        if self.span_kind.is_empty() {
            self.span_kind = "internal";
        }
        self
    }
}

async fn search(State(store): State<SharedStore>, params: Params) -> Result<Response, Failure> {
    let raw = params.boolean("raw")?;
    let (traces, errors) = match legacy_params::search(&params, UnixNanos::now())? {
        Search::Query(query) => (find_traces(&*store, &query).await?, None),
        Search::Ids(ids) => {
            let traces = store.traces(&ids).await?;
            let found: HashSet<TraceId> = traces.iter().map(|trace| trace.id).collect();
            let missing = ids.iter().filter(|id| !found.contains(id)).map(|id| AnswerError {
                code: None,
                msg: "trace not found".to_owned(),
                trace_id: Some(trace_id::format(*id)),
            });
            let missing: Vec<_> = missing.collect();
            (traces, (!missing.is_empty()).then_some(missing))
        }
    };
    let data = traces.iter().map(|trace| convert(trace, raw)).collect();
    Ok(answer(&params, &Answer { errors, ..Answer::unnumbered(data) }))
}

async fn trace(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Failure> {
    let Path(id) = path?;
    let id = trace_id::parse(&id).map_err(Fault::bad_request)?;
    params.micros("start")?;
    params.micros("end")?;
    let raw = params.boolean("raw")?;
    let trace = store.trace(id).await?.ok_or_else(|| Fault::not_found("trace not found"))?;
    Ok(answer(&params, &Answer::unnumbered(vec![convert(&trace, raw)])))
}

fn convert(trace: &carafe_store::Trace, raw: bool) -> Trace {
    let spans = if raw { adjust::raw(trace) } else { adjust::adjusted(trace) };
    Trace::new(trace.id, spans)
}

async fn dependencies(
    State(store): State<SharedStore>,
    params: Params,
) -> Result<Response, Failure> {
    let range = legacy_params::dependencies(&params, UnixNanos::now())?;
    let service = params.get("service");
    let edges = store.service_graph(&GraphQuery { range }).await?;
    let links = edges
        .into_iter()
        .filter(|edge| service.is_none_or(|name| *edge.parent == *name || *edge.child == *name))
        .map(|edge| DependencyLink {
            parent: edge.parent.to_string(),
            child: edge.child.to_string(),
            call_count: edge.calls,
        })
        .collect();
    Ok(answer(&params, &Answer::unnumbered(links)))
}
