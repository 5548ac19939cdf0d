//! `/traces/{id}/spans/{span}`: everything about one span.

use super::attribute::{Attribute, attributes};
use super::{Answer, SharedStore, micros, ok, trace, trace_id};
use crate::fault::Fault;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use carafe_store::{SpanRecord, kind_name, virtual_tag};
use carafe_telemetry::otlp::span::{Event, Link, SpanKind};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: String,
    service: String,
    start_micros: u64,
    duration_micros: f64,
    status: Status,
    trace_state: String,
    scope: Scope,
    attributes: Vec<Attribute>,
    resource: Vec<Attribute>,
    events: Vec<EventDetail>,
    links: Vec<LinkDetail>,
}

#[derive(Serialize)]
struct Status {
    code: String,
    message: String,
}

#[derive(Serialize)]
struct Scope {
    name: String,
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventDetail {
    name: String,
    time_micros: u64,
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkDetail {
    trace_id: String,
    span_id: String,
    attributes: Vec<Attribute>,
}

pub(super) async fn span(
    State(store): State<SharedStore>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((trace_text, span_text)) = path?;
    let trace_id = trace_id(&trace_text)?;
    let span_id = SpanId::from_hex(&span_text)
        .map_err(|error| Fault::bad_request(format!("not a span id: {error}")))?;
    let trace = store.trace(trace_id).await?.ok_or_else(|| trace::not_found(trace_id))?;
    let span =
        trace.spans.iter().find(|span| span.span_id == span_id).ok_or_else(|| {
            Fault::not_found(format!("the trace {trace_id} has no span {span_id}"))
        })?;
    ok(&detail(span))
}

fn detail(record: &SpanRecord) -> Detail {
    let span = &record.span;
    let status = span.status.as_ref();
    let kind = match record.kind() {
        SpanKind::Unspecified => "UNSPECIFIED".to_owned(),
        kind => kind_name(kind).to_ascii_uppercase(),
    };
    Detail {
        span_id: record.span_id.to_string(),
        parent_span_id: record.parent_span_id.map(|id| id.to_string()),
        name: span.name.clone(),
        kind,
        service: record.service().to_string(),
        start_micros: record.start.as_micros(),
        duration_micros: micros(record.duration()),
        status: Status {
            code: virtual_tag(record, "otel.status_code").unwrap_or_default().to_owned(),
            message: status.map(|status| status.message.clone()).unwrap_or_default(),
        },
        trace_state: span.trace_state.clone(),
        scope: Scope {
            name: record.scope.scope.name.clone(),
            version: record.scope.scope.version.clone(),
        },
        attributes: attributes(&span.attributes),
        resource: attributes(&record.resource.resource.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
    }
}

fn event(event: &Event) -> EventDetail {
    EventDetail {
        name: event.name.clone(),
        time_micros: UnixNanos(event.time_unix_nano).as_micros(),
        attributes: attributes(&event.attributes),
    }
}

fn link(link: &Link) -> LinkDetail {
    LinkDetail {
        trace_id: TraceId::from_slice(&link.trace_id).unwrap_or_default().to_string(),
        span_id: SpanId::from_slice(&link.span_id).unwrap_or_default().to_string(),
        attributes: attributes(&link.attributes),
    }
}
