//! Traces in full.

use super::client::Client;
use super::report::{Comparison, Fault};
use super::totals::kind_name;
use crate::model;
use crate::random::{Purpose, Random};
use crate::trace::Trace;
use crate::world::World;
use carafe_telemetry::{Request, Signal, json, otlp};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which API shows the traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// Jaeger's version 3: OTLP itself, so every field is compared.
    V3,
    /// The same, and spans may be missing.
    V3InPart,
    /// Jaeger's older one: ids, names, services and times.
    Legacy,
    /// Our own: ids, parents, names, services, kinds, statuses and times.
    Native,
}

pub(super) async fn compare(client: &Client, world: &World, api: Api, traces: usize) -> Comparison {
    let mut comparison = Comparison::new(match api {
        Api::V3 => "traces in full, every field",
        Api::V3InPart => "spans of traces that are there, every field",
        Api::Legacy => "traces by Jaeger's API",
        Api::Native => "traces by the native API",
    });
    let mut random = Random::new(world.recipe.seed, Purpose::Check, 3);
    let mut trace = Trace::default();
    for number in 0..traces as u64 {
        // The first and the last, and others in between.
        let index = match number {
            0 => 0,
            1 => world.traces() - 1,
            _ => random.below(world.traces()),
        };
        trace.generate(world, index);
        match api {
            Api::V3 => v3(client, world, &trace, true, &mut comparison).await,
            Api::V3InPart => v3(client, world, &trace, false, &mut comparison).await,
            Api::Legacy => legacy(client, world, &trace, &mut comparison).await,
            Api::Native => native(client, world, &trace, &mut comparison).await,
        }
    }
    comparison
}

/// A trace that nobody sent is not there.
pub(super) async fn missing(client: &Client) -> Comparison {
    let mut comparison = Comparison::new("a trace that was not sent");
    let path = "/api/carafe/v1/traces/0123456789abcdef0123456789abcdef";
    if let Some((status, _)) = comparison.answer(client.fetch(path, &[]).await) {
        comparison.equal("the status", status.as_u16(), 404);
    }
    comparison
}

/// A span with where it comes from.
#[derive(Debug, PartialEq)]
struct Whole {
    resource: otlp::Resource,
    resource_schema: String,
    scope: otlp::InstrumentationScope,
    span: otlp::Span,
}

async fn v3(
    client: &Client,
    world: &World,
    trace: &Trace,
    whole: bool,
    comparison: &mut Comparison,
) {
    let path = format!("/api/v3/traces/{}", trace.id);
    let Some((status, body)) = comparison.answer(client.fetch(&path, &[]).await) else { return };
    if status == StatusCode::NOT_FOUND && !whole {
        return;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !status.is_success() || body["result"].is_null() {
        let what = || format!("{path} answers {status}: {body:.100}");
        comparison.fault(Fault::Unanswered, what);
        return;
    }
    let decoded = json::decode(Signal::Traces, body["result"].to_string().as_bytes());
    let Some(Request::Traces(request)) = comparison.answer(decoded.map_err(|e| e.to_string()))
    else {
        return;
    };
    let mut found = BTreeMap::new();
    for of_resource in request.resource_spans {
        for of_scope in of_resource.scope_spans {
            for mut span in of_scope.spans {
                // An empty status is as good as none.
                span.status = span.status.filter(|status| *status != otlp::Status::default());
                let whole = Whole {
                    resource: of_resource.resource.clone().unwrap_or_default(),
                    resource_schema: of_resource.schema_url.clone(),
                    scope: of_scope.scope.clone().unwrap_or_default(),
                    span,
                };
                let id = whole.span.span_id.clone();
                if found.insert(id, whole).is_some() {
                    let what = || format!("trace {} has a span twice", trace.id);
                    comparison.fault(Fault::Duplicate, what);
                }
            }
        }
    }
    for span in &trace.spans {
        let process = &world.instances[usize::from(span.instance)];
        let expected = Whole {
            resource: process.resource.clone(),
            resource_schema: process.schema_url.to_owned(),
            scope: process.scopes[span.scope() as usize].clone(),
            span: model::span(world, trace, span),
        };
        match found.remove(expected.span.span_id.as_slice()) {
            None if whole => {
                let what = || format!("span {} of {} is missing", span.id(), trace.id);
                comparison.fault(Fault::Missing, what);
            }
            None => {}
            Some(found) => {
                let what = format!("span {} of trace {}", span.id(), trace.id);
                comparison.equal(&what, found, expected);
            }
        }
    }
    comparison.equal(&format!("unknown spans in {}", trace.id), found.len(), 0);
}

#[derive(Deserialize)]
struct Legacy {
    data: Vec<LegacyTrace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyTrace {
    spans: Vec<LegacySpan>,
    processes: BTreeMap<String, LegacyProcess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacySpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    start_time: u64,
    duration: u64,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyProcess {
    service_name: String,
}

async fn legacy(client: &Client, world: &World, trace: &Trace, comparison: &mut Comparison) {
    let path = format!("/api/traces/{}", trace.id);
    let raw = [("raw", "true".to_owned())];
    let Some(body) = comparison.answer(client.read::<Legacy>(&path, &raw).await) else { return };
    let Some(data) = body.data.first() else {
        comparison.differ(|| format!("trace {} is empty", trace.id));
        return;
    };
    let service = |id: &String| data.processes.get(id).map(|p| p.service_name.clone());
    let mut found: Vec<_> = data
        .spans
        .iter()
        .map(|s| {
            let service = service(&s.process_id).unwrap_or_default();
            (s.span_id.clone(), s.operation_name.clone(), service, s.start_time, s.duration)
        })
        .collect();
    let expected = trace.spans.iter().map(|span| {
        let (name, service) = (span.name(world).to_owned(), span.service.get().name.to_owned());
        (span.id().to_string(), name, service, span.start / 1_000, span.duration / 1_000)
    });
    let mut expected: Vec<_> = expected.collect();
    found.sort();
    expected.sort();
    for (found, expected) in found.iter().zip(&expected) {
        comparison.equal(&format!("a span of {}", trace.id), found, expected);
    }
    comparison.equal(&format!("how many spans {} has", trace.id), found.len(), expected.len());
}

async fn native(client: &Client, world: &World, trace: &Trace, comparison: &mut Comparison) {
    let path = format!("/api/carafe/v1/traces/{}", trace.id);
    let Some(body) = comparison.answer(client.get(&path, &[]).await) else { return };
    let spans = &body["spans"];
    let column = |name: &str| spans[name].as_array().map_or(&[][..], Vec::as_slice);
    let named = |list: &str, place: &Value| -> String {
        let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
        let name = place.and_then(|place| body[list].get(place));
        name.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let ids = column("id");
    let parent = |place: &Value| -> Option<String> {
        let place = usize::try_from(place.as_i64()?).ok()?;
        Some(ids.get(place)?.as_str()?.to_owned())
    };
    let kinds = ["", "internal", "server", "client", "producer", "consumer"];
    let mut found = BTreeMap::new();
    for (row, id) in ids.iter().enumerate() {
        let at = |name: &str| column(name).get(row).cloned().unwrap_or_default();
        let kind = at("kind").as_u64().and_then(|kind| kinds.get(kind as usize).copied());
        let about = (
            parent(&at("parent")),
            named("services", &at("service")),
            named("names", &at("name")),
            kind.unwrap_or("unknown"),
            at("status").as_u64(),
            at("eventCount").as_u64(),
        );
        let times = (at("start").as_f64(), at("duration").as_f64());
        found.insert(id.as_str().unwrap_or_default().to_owned(), (about, times));
    }
    comparison.equal(&format!("how many spans {} has", trace.id), ids.len(), trace.spans.len());
    let first = trace.spans.iter().map(|span| span.start).min().unwrap_or(0);
    for span in &trace.spans {
        let events = model::span(world, trace, span).events.len() as u64;
        let about = (
            trace.parent(span).map(|parent| parent.id().to_string()),
            span.service.get().name.to_owned(),
            span.name(world).to_owned(),
            kind_name(span.kind()),
            Some(span.status().map_or(0, |(code, _)| code as u64)),
            Some(events),
        );
        let what = format!("span {} of {}", span.id(), trace.id);
        let Some((found, (start, duration))) = found.remove(&span.id().to_string()) else {
            comparison.fault(Fault::Missing, || format!("{what} is missing"));
            continue;
        };
        comparison.equal(&what, found, about);
        comparison.near(&what, start, (span.start - first) as f64 / 1e3, 1e-9);
        comparison.near(&what, duration, span.duration as f64 / 1e3, 1e-9);
    }
}
