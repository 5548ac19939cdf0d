//! Requests to rows, by views over their bytes: spans and log records are not decoded.

use super::rules::{Rejected, Rules};
use super::{
    IncomingLog, IncomingLogs, IncomingResource, IncomingScope, IncomingSpan, IncomingSpans, Place,
};
use bytes::Bytes;
use carafe_store::{
    Appended, PointRecord, Records, ResourceRecord, ScopeRecord, StoreError, StoreErrorKind,
};
use carafe_telemetry::otlp::{self, status::StatusCode};
use carafe_telemetry::view::{Item, LogView, RequestView, SpanView, ViewError};
use carafe_telemetry::{Batch, Signal, SpanId, TraceId, UnixNanos};
use prost::Message;
use std::sync::Arc;

/// The largest request that [`Place`] can point into.
pub const MAX_REQUEST_BYTES: usize = u32::MAX as usize;

/// A request's items, and what is said of those that were rejected.
#[derive(Clone, Debug)]
pub struct Indexed<T> {
    /// What can be stored.
    pub items: T,
    /// What cannot.
    pub appended: Appended,
}

/// Indexes an `ExportTraceServiceRequest`. Fails as a whole where it is no valid protobuf.
pub fn index_traces(bytes: &Bytes, rules: &Rules) -> Result<Indexed<IncomingSpans>, StoreError> {
    index(Signal::Traces, bytes, |bytes| {
        let mut spans = Vec::new();
        let mut rejected = Rejected::default();
        let groups = walk(bytes, |view: SpanView<'_>, resource, scope| {
            match span(bytes, &view, resource, scope) {
                None => rejected.ids += 1,
                Some(span) if !rules.accept(span.start) => rejected.times += 1,
                Some(span) => spans.push(span),
            }
        })?;
        let Groups { resources, scopes } = groups;
        let items = IncomingSpans { bytes: bytes.clone(), spans, resources, scopes };
        Ok(Indexed { items, appended: rejected.appended("spans start", rules) })
    })
}

/// Indexes an `ExportLogsServiceRequest`. Fails as a whole where it is no valid protobuf.
pub fn index_logs(bytes: &Bytes, rules: &Rules) -> Result<Indexed<IncomingLogs>, StoreError> {
    index(Signal::Logs, bytes, |bytes| {
        let mut logs = Vec::new();
        let mut rejected = Rejected::default();
        let groups = walk(bytes, |view: LogView<'_>, resource, scope| {
            let log = log(bytes, &view, resource, scope, rules.received);
            if rules.accept(log.time) {
                logs.push(log);
            } else {
                rejected.times += 1;
            }
        })?;
        let Groups { resources, scopes } = groups;
        let items = IncomingLogs { bytes: bytes.clone(), logs, resources, scopes };
        Ok(Indexed { items, appended: rejected.appended("log records happened", rules) })
    })
}

/// Decodes an `ExportMetricsServiceRequest`: data points are taken apart anyway.
pub fn index_metrics(
    bytes: &Bytes,
    rules: &Rules,
) -> Result<Indexed<Vec<PointRecord>>, StoreError> {
    let batch = Batch { signal: Signal::Metrics, bytes: bytes.clone() };
    let decoded = carafe_store::decode(&batch, rules.received)?;
    let Records::Points(mut items) = decoded.records else {
        return Err(StoreError::new(StoreErrorKind::Internal, "metrics that hold no data points"));
    };
    let before = items.len();
    items.retain(|point| rules.accept(point.point.time));
    let times = (before - items.len()) as u64;
    let late = Rejected { times, ..Rejected::default() }.appended("data points are", rules);
    let messages = [decoded.appended.message, late.message];
    let messages: Vec<_> = messages.into_iter().filter(|message| !message.is_empty()).collect();
    let appended = Appended {
        rejected_items: decoded.appended.rejected_items + late.rejected_items,
        message: messages.join("; "),
    };
    Ok(Indexed { items, appended })
}

/// Reads with views; a request that they do not take, as prost would have written it.
fn index<T>(
    signal: Signal,
    bytes: &Bytes,
    read: impl Fn(&Bytes) -> Result<T, ViewError>,
) -> Result<T, StoreError> {
    let check_size = |bytes: &Bytes| match bytes.len() {
        0..=MAX_REQUEST_BYTES => Ok(()),
        length => Err(StoreError::invalid(format!(
            "a request of {length} bytes; hint: send at most {MAX_REQUEST_BYTES}"
        ))),
    };
    check_size(bytes)?;
    read(bytes).or_else(|_| {
        let normalised = Batch { signal, bytes: bytes.clone() }.normalised()?.bytes;
        check_size(&normalised)?;
        read(&normalised).map_err(|error| {
            let message = format!("a {signal} request that was decoded cannot be read: {error}");
            StoreError::new(StoreErrorKind::Internal, message)
        })
    })
}

struct Groups {
    resources: Vec<IncomingResource>,
    scopes: Vec<IncomingScope>,
}

/// Gives all items to `add`, with the numbers of their resource and scope.
fn walk<'a, I: Item<'a>>(
    bytes: &'a Bytes,
    mut add: impl FnMut(I, u32, u32),
) -> Result<Groups, ViewError> {
    let mut resources = Vec::new();
    let mut scopes = Vec::new();
    for of_resource in RequestView::<I>::new(bytes).resources() {
        let of_resource = of_resource?;
        let view = of_resource.resource;
        // The view has checked what is decoded here and below.
        let resource = otlp::Resource::decode(view.bytes).unwrap_or_default();
        let record = Arc::new(ResourceRecord::new(resource, view.schema_url.to_owned()));
        resources.push(IncomingResource { bytes: bytes.slice_ref(view.bytes), record });
        for of_scope in of_resource.scopes() {
            let of_scope = of_scope?;
            let view = of_scope.scope;
            let scope = otlp::InstrumentationScope::decode(view.bytes).unwrap_or_default();
            let schema_url = view.schema_url.to_owned();
            let record = Arc::new(ScopeRecord { scope, schema_url });
            scopes.push(IncomingScope { bytes: bytes.slice_ref(view.bytes), record });
            for item in of_scope.items() {
                add(item?, resources.len() as u32 - 1, scopes.len() as u32 - 1);
            }
        }
    }
    Ok(Groups { resources, scopes })
}

fn span(bytes: &[u8], view: &SpanView<'_>, resource: u32, scope: u32) -> Option<IncomingSpan> {
    let parent_span_id = match view.parent_span_id {
        [] => None,
        id => Some(SpanId::from_slice(id).ok()?).filter(|id| id.is_valid()),
    };
    Some(IncomingSpan {
        trace_id: TraceId::from_slice(view.trace_id).ok().filter(|id| id.is_valid())?,
        span_id: SpanId::from_slice(view.span_id).ok().filter(|id| id.is_valid())?,
        parent_span_id,
        start: UnixNanos(view.start),
        end: UnixNanos(view.end),
        kind: view.kind,
        status: StatusCode::try_from(view.status_code).map_or(0, |code| code as u8),
        resource,
        scope,
        name: place(bytes, view.name.as_bytes()),
        item: place(bytes, view.bytes),
    })
}

fn log(
    bytes: &[u8],
    view: &LogView<'_>,
    resource: u32,
    scope: u32,
    received: UnixNanos,
) -> IncomingLog {
    let time = match (view.time, view.observed) {
        (0, 0) => received,
        (0, observed) => UnixNanos(observed),
        (time, _) => UnixNanos(time),
    };
    IncomingLog {
        time,
        // The logs data model makes both ids optional, and asks receivers to take an invalid
        // one for an absent one.
        trace_id: TraceId::from_slice(view.trace_id).ok().filter(|id| id.is_valid()),
        span_id: SpanId::from_slice(view.span_id).ok().filter(|id| id.is_valid()),
        severity_number: view.severity_number,
        resource,
        scope,
        item: place(bytes, view.bytes),
    }
}

/// Where `part` is in `bytes`, which it was borrowed from.
fn place(bytes: &[u8], part: &[u8]) -> Place {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
    start as u32..(start + part.len()) as u32
}
