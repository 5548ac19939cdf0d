//! What the views read, turned into messages and compared with what prost reads.

use crate::otlp::{self, AnyValue, KeyValue};
use crate::view::{
    Attributes, EventView, LinkView, LogView, LogsView, ResourceView, ScopeView, SpanView,
    TracesView, ViewError,
};
use crate::{Batch, Request, Signal, value};
use prost::Message;

/// What views and prost say of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Both read the same.
    Taken,
    /// The views read the same as prost once the request was normalised.
    Irregular,
    /// Neither takes it.
    Refused,
}

/// Reads `batch`, of traces or logs, both ways.
///
/// # Panics
/// Where the two differ.
pub fn check_views(batch: &Batch) -> Agreement {
    match (batch.decode(), read(batch)) {
        (Err(_), Err(_)) => Agreement::Refused,
        (Ok(decoded), Ok(viewed)) => {
            assert_same(decoded, viewed);
            Agreement::Taken
        }
        (Ok(decoded), Err(ViewError::Irregular)) => {
            let normalised = batch.normalised().expect("it was decoded before");
            assert_same(decoded, read(&normalised).expect("a normalised request is regular"));
            Agreement::Irregular
        }
        (Ok(_), Err(error)) => panic!("prost takes what the views refuse: {error}"),
        (Err(error), Ok(_)) => panic!("prost refuses what the views take: {error}"),
    }
}

fn read(batch: &Batch) -> Result<Request, ViewError> {
    match batch.signal {
        Signal::Traces => read_traces(&batch.bytes).map(Request::Traces),
        Signal::Logs => read_logs(&batch.bytes).map(Request::Logs),
        Signal::Metrics => panic!("there is no view of metrics"),
    }
}

fn assert_same(mut decoded: Request, viewed: Request) {
    match &mut decoded {
        Request::Traces(request) => {
            for of_resource in &mut request.resource_spans {
                fill(&mut of_resource.resource.get_or_insert_default().attributes);
                for of_scope in &mut of_resource.scope_spans {
                    fill(&mut of_scope.scope.get_or_insert_default().attributes);
                    for span in &mut of_scope.spans {
                        fill(&mut span.attributes);
                        span.events.iter_mut().for_each(|event| fill(&mut event.attributes));
                        span.links.iter_mut().for_each(|link| fill(&mut link.attributes));
                    }
                }
            }
        }
        Request::Logs(request) => {
            for of_resource in &mut request.resource_logs {
                fill(&mut of_resource.resource.get_or_insert_default().attributes);
                for of_scope in &mut of_resource.scope_logs {
                    fill(&mut of_scope.scope.get_or_insert_default().attributes);
                    of_scope.log_records.iter_mut().for_each(|log| fill(&mut log.attributes));
                }
            }
        }
        Request::Metrics(_) => {}
    }
    // Encoded, because NaN is not equal to itself.
    assert!(decoded.encode() == viewed.encode(), "prost: {decoded:#?}\nviews: {viewed:#?}");
}

/// Views do not tell an absent value from an empty one.
fn fill(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.value.get_or_insert_default();
    }
}

fn read_traces(bytes: &[u8]) -> Result<otlp::ExportTraceServiceRequest, ViewError> {
    let mut request = otlp::ExportTraceServiceRequest::default();
    for of_resource in TracesView::new(bytes).resources() {
        let of_resource = of_resource?;
        let mut scope_spans = Vec::new();
        for of_scope in of_resource.scopes() {
            let of_scope = of_scope?;
            let spans = of_scope.items().map(|item| item.map(|item| span(&item)));
            scope_spans.push(otlp::ScopeSpans {
                spans: spans.collect::<Result<_, _>>()?,
                schema_url: of_scope.scope.schema_url.to_owned(),
                scope: Some(scope(&of_scope.scope)),
            });
        }
        request.resource_spans.push(otlp::ResourceSpans {
            schema_url: of_resource.resource.schema_url.to_owned(),
            resource: Some(resource(&of_resource.resource)),
            scope_spans,
        });
    }
    Ok(request)
}

fn read_logs(bytes: &[u8]) -> Result<otlp::ExportLogsServiceRequest, ViewError> {
    let mut request = otlp::ExportLogsServiceRequest::default();
    for of_resource in LogsView::new(bytes).resources() {
        let of_resource = of_resource?;
        let mut scope_logs = Vec::new();
        for of_scope in of_resource.scopes() {
            let of_scope = of_scope?;
            let logs = of_scope.items().map(|item| item.map(|item| log_record(&item)));
            scope_logs.push(otlp::ScopeLogs {
                log_records: logs.collect::<Result<_, _>>()?,
                schema_url: of_scope.scope.schema_url.to_owned(),
                scope: Some(scope(&of_scope.scope)),
            });
        }
        request.resource_logs.push(otlp::ResourceLogs {
            schema_url: of_resource.resource.schema_url.to_owned(),
            resource: Some(resource(&of_resource.resource)),
            scope_logs,
        });
    }
    Ok(request)
}

fn any_value(view: &crate::view::ValueView<'_>) -> AnyValue {
    let owned = view.to_owned();
    assert_eq!(view.text(), value::text(&owned), "text of {view:?}");
    owned
}

fn attributes(views: Attributes<'_>) -> Vec<KeyValue> {
    let attributes: Vec<_> = views
        .map(|kv| {
            let attribute = KeyValue {
                key: kv.key.to_owned(),
                value: Some(any_value(&kv.value)),
                key_strindex: kv.key_strindex,
            };
            let mut decoded = KeyValue::decode(kv.bytes).expect("a valid attribute");
            decoded.value.get_or_insert_default();
            assert_eq!(decoded.encode_to_vec(), attribute.encode_to_vec());
            attribute
        })
        .collect();
    attributes
}

fn resource(view: &ResourceView<'_>) -> otlp::Resource {
    let decoded = otlp::Resource::decode(view.bytes).expect("a valid resource");
    otlp::Resource {
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
        entity_refs: decoded.entity_refs,
    }
}

fn scope(view: &ScopeView<'_>) -> otlp::InstrumentationScope {
    otlp::InstrumentationScope::decode(view.bytes).expect("a valid scope");
    otlp::InstrumentationScope {
        name: view.name.to_owned(),
        version: view.version.to_owned(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
    }
}

fn span(view: &SpanView<'_>) -> otlp::Span {
    let span = otlp::Span {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: view.trace_state.to_owned(),
        parent_span_id: view.parent_span_id.to_vec(),
        flags: view.flags,
        name: view.name.to_owned(),
        kind: view.kind,
        start_time_unix_nano: view.start,
        end_time_unix_nano: view.end,
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
        events: view.events().map(event).collect(),
        dropped_events_count: view.dropped_events,
        links: view.links().map(link).collect(),
        dropped_links_count: view.dropped_links,
        status: view.has_status.then(|| otlp::Status {
            message: view.status_message.to_owned(),
            code: view.status_code,
        }),
    };
    let again = SpanView::reread(view.bytes).expect("it was read before");
    assert_eq!(format!("{again:?}"), format!("{view:?}"));
    span
}

fn event(view: EventView<'_>) -> otlp::span::Event {
    otlp::span::Event {
        time_unix_nano: view.time,
        name: view.name.to_owned(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
    }
}

fn link(view: LinkView<'_>) -> otlp::span::Link {
    otlp::span::Link {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: view.trace_state.to_owned(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
        flags: view.flags,
    }
}

fn log_record(view: &LogView<'_>) -> otlp::LogRecord {
    let again = LogView::reread(view.bytes).expect("it was read before");
    assert_eq!(format!("{again:?}"), format!("{view:?}"));
    otlp::LogRecord {
        time_unix_nano: view.time,
        observed_time_unix_nano: view.observed,
        severity_number: view.severity_number,
        severity_text: view.severity_text.to_owned(),
        body: view.body.as_ref().map(any_value),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes,
        flags: view.flags,
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        event_name: view.event_name.to_owned(),
    }
}
