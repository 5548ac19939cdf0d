//! What Jaeger changes in a trace before it shows it, and what it warns of.
//!
//! Order of attributes and events, ids that client and server share, numeric IP addresses,
//! library attributes that belong to the process, links to nowhere. Clock skew is reported,
//! never corrected: that is Jaeger's default, and a corrected time is a wrong time.

use crate::go_duration::format_go_duration;
use carafe_store::{SpanRecord, Trace, value};
use carafe_telemetry::otlp::{self, AnyValue, KeyValue, any_value::Value, span::SpanKind};
use carafe_telemetry::{SpanId, UnixNanos};
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A span as Jaeger shows it.
pub(super) struct JaegerSpan {
    pub(super) record: SpanRecord,
    pub(super) span_id: SpanId,
    pub(super) parent_span_id: Option<SpanId>,
    pub(super) attributes: Vec<KeyValue>,
    /// Attributes of the process; shared by spans of one resource.
    pub(super) process: Arc<Vec<KeyValue>>,
    pub(super) events: Vec<otlp::span::Event>,
    pub(super) links: Vec<otlp::span::Link>,
    pub(super) warnings: Vec<String>,
}

/// The spans as they are.
pub(super) fn raw(trace: &Trace) -> Vec<JaegerSpan> {
    let mut processes = HashMap::new();
    let span = |record: &SpanRecord| JaegerSpan {
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        attributes: record.span.attributes.clone(),
        process: Arc::clone(
            processes
                .entry(Arc::as_ptr(&record.resource))
                .or_insert_with(|| Arc::new(record.resource.resource.attributes.clone())),
        ),
        events: record.span.events.clone(),
        links: record.span.links.clone(),
        warnings: Vec::new(),
        record: record.clone(),
    };
    trace.spans.iter().map(span).collect()
}

/// The spans with Jaeger's adjustments.
pub(super) fn adjusted(trace: &Trace) -> Vec<JaegerSpan> {
    let mut spans = raw(trace);
    separate_shared_ids(&mut spans);
    let mut processes = HashMap::new();
    for span in &mut spans {
        sort(&mut span.attributes);
        span.events.sort_by(|a, b| a.name.cmp(&b.name));
        span.events.iter_mut().for_each(|event| sort(&mut event.attributes));
        let process = processes.entry(Arc::as_ptr(&span.process)).or_insert_with(|| {
            let mut process = (*span.process).clone();
            sort(&mut process);
            write_addresses(&mut process);
            Arc::new(process)
        });
        span.process = Arc::clone(process);
        write_addresses(&mut span.attributes);
        move_library_attributes(span);
        remove_empty_links(span);
    }
    warn_of_structure(&mut spans);
    spans
}

/// Stable, so that attributes with one key stay in their order.
fn sort(attributes: &mut [KeyValue]) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

/// Zipkin's clients and servers share one span id. Here the server's span gets an id of its
/// own and becomes the child of the client's; its children follow it.
fn separate_shared_ids(spans: &mut [JaegerSpan]) {
    let mut used: HashSet<SpanId> = HashSet::new();
    let mut clients: HashSet<SpanId> = HashSet::new();
    for span in spans.iter() {
        used.insert(span.span_id);
        if span.record.kind() == SpanKind::Client {
            clients.insert(span.span_id);
        }
    }
    let mut next = 0_u64;
    let mut new_ids = HashMap::new();
    for span in spans.iter_mut() {
        if span.record.kind() == SpanKind::Server && clients.contains(&span.span_id) {
            let new_id = loop {
                next += 1;
                let id = SpanId(next.to_be_bytes());
                if used.insert(id) {
                    break id;
                }
            };
            new_ids.insert(span.span_id, new_id);
            span.parent_span_id = Some(span.span_id);
            span.span_id = new_id;
        }
    }
    for span in spans.iter_mut() {
        let new_parent = span.parent_span_id.and_then(|parent| new_ids.get(&parent));
        if let Some(new_parent) = new_parent.filter(|id| **id != span.span_id) {
            span.parent_span_id = Some(*new_parent);
        }
    }
}

/// Old Jaeger clients sent IPv4 addresses as numbers.
fn write_addresses(attributes: &mut [KeyValue]) {
    for kv in attributes.iter_mut().filter(|kv| matches!(&*kv.key, "ip" | "peer.ipv4")) {
        let number = match kv.value.as_ref().and_then(|any| any.value.as_ref()) {
            // The lower 32 bits are the address, however the client signed them.
            Some(Value::IntValue(number)) => *number as u32,
            Some(Value::DoubleValue(number)) => *number as u32,
            _ => continue,
        };
        let text = Ipv4Addr::from(number).to_string();
        kv.value = Some(AnyValue { value: Some(Value::StringValue(text)) });
    }
}

const LIBRARY_KEYS: [&str; 5] = [
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
];

/// Some clients put onto spans what describes the process.
fn move_library_attributes(span: &mut JaegerSpan) {
    let is_library = |kv: &KeyValue| LIBRARY_KEYS.contains(&kv.key.as_str());
    if !span.attributes.iter().any(is_library) {
        return;
    }
    let (library, mut kept): (Vec<_>, Vec<_>) =
        std::mem::take(&mut span.attributes).into_iter().partition(is_library);
    let mut process = (*span.process).clone();
    for kv in library {
        match process.iter().find(|known| known.key == kv.key) {
            Some(known) if known.value != kv.value => {
                span.warnings.push(format!("span and process differ in {}", kv.key));
                kept.push(kv);
            }
            Some(_) => {}
            None => process.push(kv),
        }
    }
    sort(&mut kept);
    sort(&mut process);
    span.attributes = kept;
    span.process = Arc::new(process);
}

fn remove_empty_links(span: &mut JaegerSpan) {
    let before = span.links.len();
    span.links.retain(|link| link.trace_id.iter().any(|byte| *byte != 0));
    if span.links.len() < before {
        span.warnings.push("a link without a trace id was left out".to_owned());
    }
}

/// Warns of ids that are there twice, of missing parents, and of spans that clocks put
/// outside of their parents.
fn warn_of_structure(spans: &mut [JaegerSpan]) {
    let mut places = HashMap::new();
    let mut warnings = Vec::new();
    for (place, span) in spans.iter().enumerate() {
        if *places.entry(span.span_id).or_insert(place) != place {
            warnings.push((place, "another span has the same id".to_owned()));
        }
    }
    let parent_of = |span: &JaegerSpan| span.parent_span_id.and_then(|id| places.get(&id).copied());
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    // A span, its parent, and the skew of spans that share the parent's host.
    let mut stack: Vec<(usize, Option<usize>, i64)> = Vec::new();
    for &place in places.values() {
        let span = &spans[place];
        match (span.parent_span_id, parent_of(span)) {
            (None, _) => stack.push((place, None, 0)),
            (Some(_), Some(parent)) => children[parent].push(place),
            (Some(parent), None) => {
                warnings.push((place, format!("the parent span {parent} is not in this trace")));
                stack.push((place, None, 0));
            }
        }
    }
    let hosts: Vec<String> = spans.iter().map(host).collect();
    // Spans in a cycle are children only, so the walk never comes to them.
    while let Some((place, parent, inherited)) = stack.pop() {
        let skew = match parent {
            Some(parent) if hosts[place].is_empty() || hosts[place] != hosts[parent] => {
                skew(&spans[place].record, &spans[parent].record)
            }
            _ => inherited,
        };
        if skew != 0 {
            let skew = format_go_duration(skew);
            warnings.push((place, format!("its clock seems to be off by {skew}; not corrected")));
        }
        stack.extend(children[place].iter().map(|child| (*child, Some(place), skew)));
    }
    for (place, warning) in warnings {
        spans[place].warnings.push(warning);
    }
}

/// What tells hosts apart.
fn host(span: &JaegerSpan) -> String {
    let key = |key: &&str| span.process.iter().find(|kv| kv.key == *key);
    let found = ["host.id", "host.ip", "host.name"].iter().find_map(key);
    let Some(any) = found.and_then(|kv| kv.value.as_ref()) else { return String::new() };
    match &any.value {
        Some(Value::ArrayValue(list)) => list.values.first().map(value::text),
        _ => Some(value::text(any)),
    }
    .unwrap_or_default()
    .into_owned()
}

/// By how many nanoseconds a span must move to lie within its parent: to its middle where it
/// fits, else not before its start.
fn skew(child: &SpanRecord, parent: &SpanRecord) -> i64 {
    let (child_duration, parent_duration) = (child.duration(), parent.duration());
    let difference = |to: u64, from: UnixNanos| {
        i64::try_from(i128::from(to) - i128::from(from.0)).unwrap_or(i64::MAX)
    };
    if child_duration > parent_duration {
        return difference(parent.start.0.max(child.start.0), child.start);
    }
    if child.start >= parent.start && child.end <= parent.end {
        return 0;
    }
    let latency = (parent_duration - child_duration).as_nanos() as u64 / 2;
    difference(parent.start.0.saturating_add(latency), child.start)
}
