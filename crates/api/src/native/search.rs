//! `/search`, and a trace in one line.

use super::{Answer, SharedStore, filter, micros, ok};
use crate::params::Params;
use axum::extract::State;
use carafe_store::{SpanFilter, TraceQuery, TraceSummary};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    trace_id: String,
    root_service: String,
    root_operation: String,
    start_micros: u64,
    duration_micros: f64,
    span_count: u64,
    error_count: u64,
    services: Vec<ServiceCount>,
    http_status: Option<u16>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceCount {
    name: String,
    span_count: u64,
    error_count: u64,
}

impl From<TraceSummary> for Summary {
    fn from(trace: TraceSummary) -> Self {
        let services = trace.services.iter().map(|service| ServiceCount {
            name: service.name.to_string(),
            span_count: service.spans,
            error_count: service.errors,
        });
        Self {
            trace_id: trace.trace_id.to_string(),
            root_service: trace.root.as_ref().map(|r| r.service.to_string()).unwrap_or_default(),
            root_operation: trace.root.map(|root| root.operation).unwrap_or_default(),
            start_micros: trace.start.as_micros(),
            duration_micros: micros(Duration::from_nanos(trace.end.0 - trace.start.0)),
            span_count: trace.spans,
            error_count: trace.errors,
            services: services.collect(),
            http_status: trace.http_status,
        }
    }
}

pub(super) async fn search(State(store): State<SharedStore>, params: Params) -> Answer {
    let query = TraceQuery {
        filter: SpanFilter { range: filter::range(&params)?, ..filter::filter(&params)? },
        limit: filter::limit(&params)?,
        after: filter::after(&params)?,
    };
    let page = store.find_traces(&query).await?;
    let next = filter::next(page.next.as_ref());
    let traces: Vec<Summary> = page.traces.into_iter().map(Summary::from).collect();
    ok(&json!({"traces": traces, "truncated": next.is_some(), "next": next}))
}
