//! Log records.

use super::client::Client;
use super::json;
use super::report::Comparison;
use crate::answers::LogSearch;
use crate::log::{self, Log};
use crate::model;
use crate::random::{Purpose, Random};
use crate::trace::Trace;
use crate::world::World;
use serde_json::{Value, json};

pub(super) async fn search(client: &Client, world: &World, search: &LogSearch) -> Comparison {
    let mut comparison = Comparison::new(format!("log search: {}", search.filter.title));
    let found = client.get("/api/carafe/v1/logs", &search.filter.params()).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    let (expected, truncated) = search.page();
    comparison.equal("truncated", found["truncated"].as_bool(), Some(truncated));
    compare(&mut comparison, world, &found, &expected);
    comparison
}

/// The records of some traces that have any, in order of time.
pub(super) async fn of_traces(client: &Client, world: &World, traces: usize) -> Comparison {
    let mut comparison = Comparison::new("log records of traces");
    let mut random = Random::new(world.recipe.seed, Purpose::Check, 4);
    let (mut trace, mut logs) = (Trace::default(), Vec::new());
    for _ in 0..traces {
        trace.generate(world, random.below(world.traces()));
        logs.clear();
        log::of_trace(world, &trace, &mut logs);
        logs.retain(|log| log.context.is_some());
        logs.sort_by_key(|log| log.time);
        let path = format!("/api/carafe/v1/traces/{}/logs", trace.id);
        if let Some(found) = comparison.answer(client.get(&path, &[]).await) {
            compare(&mut comparison, world, &found, &logs.iter().collect::<Vec<_>>());
        }
    }
    comparison
}

fn compare(comparison: &mut Comparison, world: &World, found: &Value, expected: &[&Log]) {
    let found = found["logs"].as_array().map_or(&[][..], Vec::as_slice);
    let ids = found.iter().map(|log| uid(log).unwrap_or_default().to_owned());
    let wanted = expected.iter().map(|log| log.uid().as_str().to_owned());
    let (ids, wanted): (Vec<_>, Vec<_>) = (ids.collect(), wanted.collect());
    comparison.same_names("the records", &ids, &wanted);
    for (found, expected) in found.iter().zip(expected) {
        if uid(found) == Some(expected.uid().as_str()) {
            let mut found = found.clone();
            let expected = shown(world, expected);
            // A map's keys have no order.
            if expected["body"].is_object() {
                let text = found["body"].as_str().unwrap_or_default();
                found["body"] = serde_json::from_str(text).unwrap_or_default();
            }
            comparison.equal("a record", &found, &expected);
        }
    }
}

/// What names a record among all.
pub(super) fn uid(log: &Value) -> Option<&str> {
    let mut attributes = log["attributes"].as_array()?.iter();
    attributes.find(|attribute| attribute["key"] == "log.record.uid")?["value"].as_str()
}

/// A record as the native API shows it.
fn shown(world: &World, log: &Log) -> Value {
    let record = model::log(world, log);
    json!({
        "timeMicros": log.time / 1_000,
        "severityText": record.severity_text,
        "severityNumber": record.severity_number,
        "body": json::body(record.body.as_ref()),
        "traceId": log.context.map(|(trace, _)| trace.to_string()),
        "spanId": log.context.map(|(_, span)| span.to_string()),
        "service": world.instances[usize::from(log.instance)].service.name,
        "attributes": json::attributes(&record.attributes),
    })
}
