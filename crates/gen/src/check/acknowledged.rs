//! What was acknowledged must be there, once.

use super::CheckError;
use super::client::Client;
use super::logs::uid;
use super::report::{Comparison, Fault};
use crate::answers::Questions;
use crate::blocks::{Blocks, Items, RequestId, Scratch};
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Traces that are asked for at once.
const TRACES: usize = 50;

/// Log records that are asked for at once, the API's limit.
const LOGS: u64 = 1_500;

/// The spans of a trace, and whether they were acknowledged.
type Spans = BTreeMap<String, bool>;

#[derive(Deserialize)]
struct Found {
    data: Vec<FoundTrace>,
}

#[derive(Deserialize)]
struct FoundTrace {
    #[serde(rename = "traceID")]
    id: String,
    spans: Vec<FoundSpan>,
}

#[derive(Deserialize)]
struct FoundSpan {
    #[serde(rename = "spanID")]
    id: String,
}

type Requests = Arc<BTreeSet<RequestId>>;

/// Runs `make` for one block away from the runtime's threads.
async fn of_block<T: Send + 'static>(
    world: &Arc<World>,
    requests: &Requests,
    make: impl FnOnce(&Blocks<'_>, &BTreeSet<RequestId>) -> T + Send + 'static,
) -> Result<T, CheckError> {
    let (world, requests) = (Arc::clone(world), Arc::clone(requests));
    let made = tokio::task::spawn_blocking(move || make(&Blocks::new(&world), &requests));
    Ok(made.await?)
}

pub(super) async fn spans(
    client: &Client,
    world: &Arc<World>,
    requests: &Requests,
) -> Result<Comparison, CheckError> {
    let mut comparison = Comparison::new("acknowledged spans, each once");
    for block in 0..Blocks::new(world).count() {
        let make = move |blocks: &Blocks<'_>, requests: &BTreeSet<RequestId>| {
            spans_of(blocks, block, requests)
        };
        let traces = of_block(world, requests, make).await?;
        let traces: Vec<(String, Spans)> = traces.into_iter().collect();
        for traces in traces.chunks(TRACES) {
            compare_spans(client, &mut comparison, traces).await;
        }
    }
    Ok(comparison)
}

/// The traces of a block of which anything was acknowledged.
fn spans_of(
    blocks: &Blocks<'_>,
    block: u64,
    requests: &BTreeSet<RequestId>,
) -> BTreeMap<String, Spans> {
    let mut traces = BTreeMap::<String, Spans>::new();
    blocks.block(block, &mut Scratch::default(), &mut |id, items, scratch| {
        let Items::Spans(entries) = items else { return };
        for entry in entries {
            let trace = &scratch.traces[entry.trace()];
            let span = trace.spans[entry.item()].id().to_string();
            let spans = traces.entry(trace.id.to_string()).or_default();
            spans.insert(span, requests.contains(&id));
        }
    });
    traces.retain(|_, spans| spans.values().any(|acknowledged| *acknowledged));
    traces
}

async fn compare_spans(client: &Client, comparison: &mut Comparison, traces: &[(String, Spans)]) {
    let mut params: Vec<(&'static str, String)> =
        traces.iter().map(|(id, _)| ("traceID", id.clone())).collect();
    params.push(("raw", "true".to_owned()));
    let found = client.read::<Found>("/api/traces", &params).await;
    let Some(found) = comparison.answer(found) else { return };
    let found: HashMap<String, Vec<FoundSpan>> =
        found.data.into_iter().map(|trace| (format!("{:0>32}", trace.id), trace.spans)).collect();
    for (id, spans) in traces {
        let mut counts = HashMap::<&str, u64>::new();
        for span in found.get(id).map_or(&[][..], Vec::as_slice) {
            *counts.entry(span.id.as_str()).or_default() += 1;
        }
        for (span, acknowledged) in spans {
            let count = counts.remove(span.as_str()).unwrap_or(0);
            comparison.count(1);
            if *acknowledged && count == 0 {
                comparison.fault(Fault::Missing, || format!("span {span} of {id} is missing"));
            } else if count > 1 {
                let what = || format!("span {span} of {id} is there {count} times");
                comparison.fault(Fault::Duplicate, what);
            }
        }
        for span in counts.keys() {
            comparison.differ(|| format!("span {span} of {id} was never sent"));
        }
    }
}

/// A record that was acknowledged must be there. It may be there more often where its request
/// was not acknowledged at first: records have no identity by which a store knows a copy.
pub(super) async fn logs(
    client: &Client,
    world: &Arc<World>,
    requests: &Requests,
) -> Result<Comparison, CheckError> {
    let mut comparison = Comparison::new("acknowledged log records");
    let mut missing = HashMap::<String, bool>::new();
    for block in 0..Blocks::new(world).count() {
        let make = move |blocks: &Blocks<'_>, requests: &BTreeSet<RequestId>| {
            let mut logs = Vec::new();
            blocks.block(block, &mut Scratch::default(), &mut |id, items, scratch| {
                let Items::Logs(places) = items else { return };
                let acknowledged = requests.contains(&id);
                logs.extend(places.iter().map(|entry| {
                    let log = &scratch.logs[entry.log_place()];
                    (log.uid().as_str().to_owned(), acknowledged)
                }));
            });
            logs
        };
        missing.extend(of_block(world, requests, make).await?);
    }
    let expected = missing.values().filter(|acknowledged| **acknowledged).count();
    let mut end = Questions::new(world).range.1;
    let start = Questions::new(world).range.0;
    let mut seen_at_end = BTreeSet::<String>::new();
    loop {
        let params =
            [("start", start.to_string()), ("end", end.to_string()), ("limit", LOGS.to_string())];
        let Some(page) = comparison.answer(client.get("/api/carafe/v1/logs", &params).await) else {
            return Ok(comparison);
        };
        let page = page["logs"].as_array().cloned().unwrap_or_default();
        let time = |log: &Value| log["timeMicros"].as_u64().unwrap_or(0);
        let Some(oldest) = page.last().map(time) else { break };
        let mut fresh = 0;
        for log in &page {
            let Some(uid) = uid(log) else {
                comparison.differ(|| format!("a record was never sent: {log:.200}"));
                continue;
            };
            fresh += u64::from(!seen_at_end.contains(uid));
            missing.remove(uid);
        }
        let at_end = page.iter().filter(|log| time(log) <= oldest + 1);
        seen_at_end = at_end.filter_map(|log| uid(log).map(str::to_owned)).collect();
        if fresh == 0 || (page.len() as u64) < LOGS {
            break;
        }
        // Times are shown in whole microseconds, and the range's end is exact.
        end = oldest + 1;
    }
    let lost = missing.iter().filter(|(_, acknowledged)| **acknowledged);
    let lost: Vec<&String> = lost.map(|(uid, _)| uid).collect();
    comparison.count(expected as u64);
    for uid in lost {
        comparison.fault(Fault::Missing, || format!("log record {uid} is missing"));
    }
    Ok(comparison)
}

/// Points are only counted: no API shows them one by one.
pub(super) async fn points(
    client: &Client,
    world: &Arc<World>,
    requests: &Requests,
) -> Result<Comparison, CheckError> {
    let mut comparison = Comparison::new("acknowledged points, at least as many");
    let make = |blocks: &Blocks<'_>, requests: &BTreeSet<RequestId>| blocks.points_of(requests);
    let acknowledged = of_block(world, requests, make).await?;
    let status = client.get("/api/carafe/v1/status", &[]).await;
    let Some(status) = comparison.answer(status) else { return Ok(comparison) };
    let found = status["store"]["points"].as_u64().unwrap_or(0);
    comparison.count(1);
    if found < acknowledged {
        let what = || format!("{found} points are there, {acknowledged} must be");
        comparison.fault(Fault::Missing, what);
    }
    Ok(comparison)
}
