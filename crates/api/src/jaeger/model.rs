//! The JSON of Jaeger's first API, and OTLP in it.
//!
//! Follows the mapping of the OpenTelemetry specification ("OpenTelemetry to Jaeger
//! Transformation") and the order in which Jaeger's own translator writes tags.

use super::adjust::JaegerSpan;
use super::trace_id;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carafe_store::{kind_name, value, virtual_tag};
use carafe_telemetry::otlp::{AnyValue, KeyValue, any_value::Value, span::Event, status};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The largest integer that every smaller one has an exact double for.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

#[derive(Serialize)]
pub(super) struct Trace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<Span>,
    processes: BTreeMap<String, Process>,
    warnings: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Span {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(rename = "operationName")]
    operation_name: String,
    references: Vec<Reference>,
    /// Microseconds since the epoch.
    #[serde(rename = "startTime")]
    start_time: u64,
    /// Microseconds.
    duration: u64,
    tags: Vec<Tag>,
    logs: Vec<Log>,
    #[serde(rename = "processID")]
    process_id: String,
    warnings: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Reference {
    #[serde(rename = "refType")]
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Serialize)]
struct Process {
    #[serde(rename = "serviceName")]
    service_name: String,
    tags: Vec<Tag>,
}

#[derive(Serialize)]
struct Log {
    /// Microseconds since the epoch.
    timestamp: u64,
    fields: Vec<Tag>,
}

#[derive(Serialize)]
struct Tag {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    value: Json,
}

#[derive(Serialize)]
pub(super) struct DependencyLink {
    pub(super) parent: String,
    pub(super) child: String,
    #[serde(rename = "callCount")]
    pub(super) call_count: u64,
}

impl Trace {
    pub(super) fn new(id: TraceId, spans: Vec<JaegerSpan>) -> Self {
        let mut processes = Processes::default();
        let spans = spans.into_iter().map(|span| {
            let process_id = processes.id(&span);
            convert_span(span, process_id)
        });
        let spans = spans.collect();
        Self { trace_id: trace_id::format(id), spans, processes: processes.by_id, warnings: None }
    }
}

/// Gives equal processes one id: `p1`, `p2` ... in the order in which they are met.
#[derive(Default)]
struct Processes {
    by_id: BTreeMap<String, Process>,
    ids: HashMap<(Arc<str>, String), String>,
    /// Spares comparing the attributes of a process that was met as the same object.
    met: HashMap<(Arc<str>, *const Vec<KeyValue>), String>,
}

impl Processes {
    fn id(&mut self, span: &JaegerSpan) -> String {
        let service = span.record.service();
        let object = (Arc::clone(service), Arc::as_ptr(&span.process));
        if let Some(id) = self.met.get(&object) {
            return id.clone();
        }
        let tags: Vec<Tag> =
            span.process.iter().filter(|kv| kv.key != "service.name").map(tag).collect();
        let content = serde_json::to_string(&tags).unwrap_or_default();
        let next = format!("p{}", self.by_id.len() + 1);
        let id = self.ids.entry((Arc::clone(service), content)).or_insert_with(|| {
            let process = Process { service_name: service.to_string(), tags };
            self.by_id.insert(next.clone(), process);
            next
        });
        self.met.insert(object, id.clone());
        id.clone()
    }
}

fn convert_span(span: JaegerSpan, process_id: String) -> Span {
    Span {
        trace_id: trace_id::format(span.record.trace_id),
        span_id: span.span_id.to_string(),
        operation_name: span.record.span.name.clone(),
        references: references(&span),
        start_time: span.record.start.as_micros(),
        duration: span.record.duration().as_micros() as u64,
        tags: span_tags(&span),
        logs: span.events.iter().map(log).collect(),
        process_id,
        warnings: (!span.warnings.is_empty()).then_some(span.warnings),
    }
}

/// The parent first, because readers take the first CHILD_OF for it; then the links, which
/// follow from unless they say otherwise.
fn references(span: &JaegerSpan) -> Vec<Reference> {
    let parent = span.parent_span_id.map(|parent| Reference {
        ref_type: "CHILD_OF",
        trace_id: trace_id::format(span.record.trace_id),
        span_id: parent.to_string(),
    });
    let links = span.links.iter().map(|link| {
        let said = carafe_telemetry::otlp::find_str(&link.attributes, "opentracing.ref_type");
        Reference {
            ref_type: if said == Some("child_of") { "CHILD_OF" } else { "FOLLOWS_FROM" },
            trace_id: trace_id::format(TraceId::from_slice(&link.trace_id).unwrap_or_default()),
            span_id: SpanId::from_slice(&link.span_id).unwrap_or_default().to_string(),
        }
    });
    parent.into_iter().chain(links).collect()
}

fn span_tags(span: &JaegerSpan) -> Vec<Tag> {
    let record = &span.record;
    let field = |key| virtual_tag(record, key).map(|text| string_tag(key, text));
    let mut tags: Vec<Tag> =
        ["otel.scope.name", "otel.scope.version"].into_iter().filter_map(field).collect();
    tags.extend(span.attributes.iter().map(tag));
    let kind = kind_name(record.kind());
    if !kind.is_empty() {
        tags.push(string_tag("span.kind", kind));
    }
    if record.status_code() != status::StatusCode::Unset {
        tags.extend(field("otel.status_code"));
    }
    if record.is_error() {
        tags.push(Tag { key: "error".to_owned(), kind: "bool", value: Json::Bool(true) });
    }
    tags.extend(field("otel.status_description"));
    if !record.span.trace_state.is_empty() {
        tags.push(string_tag("w3c.tracestate", &record.span.trace_state));
    }
    tags
}

fn log(event: &Event) -> Log {
    let named = event.attributes.iter().any(|kv| kv.key == "event");
    let name = (!event.name.is_empty() && !named).then(|| string_tag("event", &event.name));
    Log {
        timestamp: UnixNanos(event.time_unix_nano).as_micros(),
        fields: name.into_iter().chain(event.attributes.iter().map(tag)).collect(),
    }
}

fn string_tag(key: &str, text: &str) -> Tag {
    Tag { key: key.to_owned(), kind: "string", value: Json::from(text) }
}

fn tag(kv: &KeyValue) -> Tag {
    let (kind, value) = match &kv.value {
        Some(any) => typed(any),
        None => ("string", Json::from("")),
    };
    Tag { key: kv.key.clone(), kind, value }
}

fn typed(any: &AnyValue) -> (&'static str, Json) {
    match &any.value {
        Some(Value::BoolValue(flag)) => ("bool", Json::Bool(*flag)),
        Some(Value::IntValue(int)) if int.unsigned_abs() > MAX_SAFE_INTEGER => {
            ("int64", Json::from(int.to_string()))
        }
        Some(Value::IntValue(int)) => ("int64", Json::from(*int)),
        Some(Value::DoubleValue(_)) => ("float64", value::json(any)),
        Some(Value::BytesValue(bytes)) => ("binary", Json::from(STANDARD.encode(bytes))),
        _ => ("string", Json::from(value::text(any))),
    }
}
