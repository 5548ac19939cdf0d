//! How much there is: in all, by service, by operation.

use super::PERCENTILE_RELATIVE_ERROR;
use super::client::Client;
use super::report::Comparison;
use crate::answers::{Answers, Operation};
use crate::durations::OWN_ERROR;
use carafe_telemetry::otlp::span::SpanKind;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) async fn status(client: &Client, answers: &Answers) -> Comparison {
    let mut comparison = Comparison::new("totals of the store");
    let status = client.get("/api/carafe/v1/status", &[]).await;
    let Some(status) = comparison.answer(status) else { return comparison };
    for (name, expected) in
        [("spans", answers.spans), ("logs", answers.logs), ("points", answers.points)]
    {
        comparison.equal(name, status["store"][name].as_u64(), Some(expected));
    }
    comparison
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    name: String,
    span_count: u64,
    error_count: u64,
    last_seen_micros: u64,
    operations: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    name: String,
    span_kind: String,
    count: u64,
    error_count: u64,
    p50_micros: Option<f64>,
    p95_micros: Option<f64>,
}

pub(super) async fn services(client: &Client, answers: &Answers) -> Comparison {
    let mut comparison = Comparison::new("spans and errors by service");
    let found = client.read::<Services>("/api/carafe/v1/services", &[]).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    let mut expected = BTreeMap::<&str, (u64, u64)>::new();
    for ((service, ..), operation) in &answers.operations {
        let counts = expected.entry(service).or_default();
        *counts = (counts.0 + operation.spans, counts.1 + operation.errors);
    }
    for service in &found.services {
        let name = service.name.as_str();
        let Some((spans, errors)) = expected.remove(name) else {
            comparison.differ(|| format!("there is a service {name:?}, which sent nothing"));
            continue;
        };
        comparison.equal(&format!("spans of {name}"), service.span_count, spans);
        comparison.equal(&format!("errors of {name}"), service.error_count, errors);
        let seen = answers.last_seen.get(name).copied().unwrap_or(0) / 1_000;
        comparison.equal(&format!("last start in {name}"), service.last_seen_micros, seen);
    }
    for name in expected.keys() {
        comparison.differ(|| format!("service {name:?} is missing"));
    }
    comparison
}

pub(super) async fn operations(client: &Client, answers: &Answers) -> Comparison {
    let mut comparison = Comparison::new("spans, errors and percentiles by operation");
    let found = client.read::<Services>("/api/carafe/v1/services", &[]).await;
    let Some(found) = comparison.answer(found) else { return comparison };
    let mut expected: BTreeMap<(&str, &str, &str), &Operation> = answers
        .operations
        .iter()
        .map(|((service, name, kind), operation)| {
            ((*service, name.as_str(), kind_name(*kind)), operation)
        })
        .collect();
    for service in &found.services {
        for found in &service.operations {
            let key = (service.name.as_str(), found.name.as_str(), found.span_kind.as_str());
            let Some(operation) = expected.remove(&key) else {
                comparison.differ(|| format!("there is an operation {key:?}, which was not sent"));
                continue;
            };
            let counts = (found.count, found.error_count);
            comparison.equal(&format!("{key:?}"), counts, (operation.spans, operation.errors));
            for (quantile, found) in [(0.5, found.p50_micros), (0.95, found.p95_micros)] {
                let exact = operation.durations.quantile(quantile).unwrap_or(0.0) / 1e3;
                let allowed = PERCENTILE_RELATIVE_ERROR + OWN_ERROR;
                comparison.near(
                    &format!("{key:?} quantile {quantile} in µs"),
                    found,
                    exact,
                    allowed,
                );
            }
        }
    }
    for key in expected.keys() {
        comparison.differ(|| format!("operation {key:?} is missing"));
    }
    comparison
}

/// The names that the APIs have for kinds.
pub(super) fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}
