//! Which service calls which.

use super::client::Client;
use super::report::Comparison;
use crate::answers::{Answers, Questions};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Found {
    data: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    parent: String,
    child: String,
    call_count: u64,
}

pub(super) async fn whole(client: &Client, questions: &Questions, answers: &Answers) -> Comparison {
    let (start, end) = questions.range;
    let range = (start / 1_000, end / 1_000);
    compare(client, "calls between services", range, answers, |(all, _)| *all).await
}

pub(super) async fn part(client: &Client, questions: &Questions, answers: &Answers) -> Comparison {
    let title = "calls between services, a part of the time";
    compare(client, title, questions.graph_range, answers, |(_, part)| *part).await
}

async fn compare(
    client: &Client,
    title: &str,
    (start, end): (u64, u64),
    answers: &Answers,
    count: impl Fn(&(u64, u64)) -> u64,
) -> Comparison {
    let mut comparison = Comparison::new(title);
    let params = [("endTs", end.to_string()), ("lookback", (end - start).to_string())];
    let found = client.read::<Found>("/api/dependencies", &params).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    let mut expected: BTreeMap<(&str, &str), u64> = answers
        .edges
        .iter()
        .map(|(edge, counts)| (*edge, count(counts)))
        .filter(|(_, calls)| *calls > 0)
        .collect();
    for link in &found.data {
        let edge = (link.parent.as_str(), link.child.as_str());
        let calls = expected.remove(&edge).unwrap_or(0);
        comparison.equal(&format!("calls {} → {}", edge.0, edge.1), link.call_count, calls);
    }
    for ((parent, child), calls) in expected {
        comparison.differ(|| format!("{calls} calls {parent} → {child} are missing"));
    }
    comparison
}
