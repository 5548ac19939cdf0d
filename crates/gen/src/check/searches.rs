//! The newest traces that match.

use super::client::Client;
use super::json;
use super::report::Comparison;
use crate::answers::{Newest, Search};
use crate::trace::Trace;
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Half a nanosecond, in microseconds: what a duration may lose as a floating point number.
const DURATION_ERROR: f64 = 0.000_5;

/// The traces of a page, in the order in which they are shown: newest start first.
fn expected(world: &World, search: &Search, newest: &Newest) -> (Vec<Trace>, bool) {
    let (indexes, truncated) = newest.page(search.limit);
    let mut traces: Vec<Trace> = indexes
        .into_iter()
        .map(|index| {
            let mut trace = Trace::default();
            trace.generate(world, index);
            trace
        })
        .collect();
    let start = |trace: &Trace| trace.spans.iter().map(|span| span.start).min();
    traces.sort_by_key(|trace| std::cmp::Reverse(start(trace)));
    (traces, truncated)
}

pub(super) async fn native(
    client: &Client,
    world: &World,
    search: &Search,
    newest: &Newest,
) -> Comparison {
    let mut comparison = Comparison::new(format!("search: {}", search.title));
    let (traces, truncated) = expected(world, search, newest);
    let mut params = search.filter.params();
    params.push(("limit", search.limit.to_string()));
    let found = client.get("/api/carafe/v1/search", &params).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    let Some(found_traces) = found["traces"].as_array() else {
        comparison.differ(|| format!("there are no traces in {found:.100}"));
        return comparison;
    };
    let ids = |summaries: &[Value]| -> Vec<String> {
        let ids = summaries.iter().map(|s| s["traceId"].as_str().unwrap_or_default().to_owned());
        ids.collect()
    };
    let summaries: Vec<Value> = traces.iter().map(|trace| json::summary(world, trace)).collect();
    comparison.same_names("the traces", &ids(found_traces), &ids(&summaries));
    comparison.equal("truncated", found["truncated"].as_bool(), Some(truncated));
    for (found, expected) in found_traces.iter().zip(&summaries) {
        if found["traceId"] == expected["traceId"] {
            compare_summary(&mut comparison, found, expected);
        }
    }
    comparison
}

fn compare_summary(comparison: &mut Comparison, found: &Value, expected: &Value) {
    let name = "durationMicros";
    let duration = |summary: &Value| summary[name].as_f64().unwrap_or(f64::NAN);
    comparison.near(name, Some(duration(found)), duration(expected), DURATION_ERROR / 1e6);
    let mut found = found.clone();
    found[name] = expected[name].clone();
    let id = expected["traceId"].as_str().unwrap_or_default();
    comparison.equal(&format!("the summary of {id}"), &found, expected);
}

#[derive(Deserialize)]
struct JaegerTraces {
    data: Vec<JaegerTrace>,
}

#[derive(Deserialize)]
struct JaegerTrace {
    #[serde(rename = "traceID")]
    id: String,
    spans: Vec<JaegerSpan>,
}

#[derive(Deserialize)]
struct JaegerSpan {
    #[serde(rename = "spanID")]
    id: String,
}

pub(super) async fn jaeger(
    client: &Client,
    world: &World,
    search: &Search,
    newest: &Newest,
) -> Comparison {
    let mut comparison = Comparison::new(format!("search by Jaeger's API: {}", search.title));
    let (traces, _) = expected(world, search, newest);
    let mut params = search.filter.params();
    params.push(("limit", search.limit.to_string()));
    let found = client.read::<JaegerTraces>("/api/traces", &params).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    // Jaeger's order is that of its users; what counts is which traces there are.
    let sorted = |ids: &mut dyn Iterator<Item = String>| -> Vec<String> {
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids
    };
    let ids = sorted(&mut found.data.iter().map(|trace| format!("{:0>32}", trace.id)));
    let wanted = sorted(&mut traces.iter().map(|trace| trace.id.to_string()));
    comparison.same_names("the traces", &ids, &wanted);
    for trace in &traces {
        let id = trace.id.to_string();
        let Some(found) = found.data.iter().find(|t| format!("{:0>32}", t.id) == id) else {
            continue;
        };
        let spans: BTreeSet<&str> = found.spans.iter().map(|span| span.id.as_str()).collect();
        let known: Vec<String> = trace.spans.iter().map(|span| span.id().to_string()).collect();
        let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        comparison.equal(&format!("the spans of {id}"), spans, known);
    }
    comparison
}
