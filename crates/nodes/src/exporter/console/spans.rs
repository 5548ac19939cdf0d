//! Spans, as `ReadableSpan.to_json` prints them.

use super::json::Json;
use super::text::{iso_time, trace_state};
use super::value::{attributes, resource, span_id, trace_id};
use carafe_telemetry::otlp::{ExportTraceServiceRequest, ResourceSpans, Span, span::SpanKind};
use carafe_telemetry::otlp::{Status, status::StatusCode};

/// One JSON text for each span, in the order of the request.
pub(super) fn objects(request: &ExportTraceServiceRequest) -> impl Iterator<Item = String> {
    request.resource_spans.iter().flat_map(|resource| {
        let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.map(|span| Json::document(|json| members(json, resource, span)))
    })
}

fn members(json: &mut Json, from: &ResourceSpans, span: &Span) {
    json.key("name").string(&span.name);
    context(json.key("context"), &span.trace_id, &span.span_id, &span.trace_state);
    json.key("kind").string(kind(span.kind()));
    let parent = (!span.parent_span_id.is_empty()).then(|| span_id(&span.parent_span_id));
    json.key("parent_id").optional_string(parent.as_deref());
    json.key("start_time").optional_string(time(span.start_time_unix_nano).as_deref());
    json.key("end_time").optional_string(time(span.end_time_unix_nano).as_deref());
    status(json.key("status"), span.status.as_ref());
    attributes(json.key("attributes"), &span.attributes);
    json.key("events").array(&span.events, |json, event| {
        json.object(|json| {
            json.key("name").string(&event.name);
            json.key("timestamp").string(&iso_time(event.time_unix_nano));
            attributes(json.key("attributes"), &event.attributes);
        });
    });
    json.key("links").array(&span.links, |json, link| {
        json.object(|json| {
            context(json.key("context"), &link.trace_id, &link.span_id, &link.trace_state);
            attributes(json.key("attributes"), &link.attributes);
        });
    });
    resource(json.key("resource"), from.resource.as_ref(), &from.schema_url);
}

fn context(json: &mut Json, trace: &[u8], span: &[u8], state: &str) {
    json.object(|json| {
        json.key("trace_id").string(&trace_id(trace));
        json.key("span_id").string(&span_id(span));
        json.key("trace_state").string(&trace_state(state));
    });
}

fn status(json: &mut Json, status: Option<&Status>) {
    json.object(|json| {
        let code = match status.map_or(StatusCode::Unset, Status::code) {
            StatusCode::Unset => "UNSET",
            StatusCode::Ok => "OK",
            StatusCode::Error => "ERROR",
        };
        json.key("status_code").string(code);
        if let Some(status) = status.filter(|status| !status.message.is_empty()) {
            json.key("description").string(&status.message);
        }
    });
}

/// opentelemetry/proto/trace/v1: an unspecified kind may be taken for INTERNAL.
fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified | SpanKind::Internal => "SpanKind.INTERNAL",
        SpanKind::Server => "SpanKind.SERVER",
        SpanKind::Client => "SpanKind.CLIENT",
        SpanKind::Producer => "SpanKind.PRODUCER",
        SpanKind::Consumer => "SpanKind.CONSUMER",
    }
}

fn time(unix_nanos: u64) -> Option<String> {
    (unix_nanos != 0).then(|| iso_time(unix_nanos))
}
