//! Compares what a store answers through the query APIs with what it must answer.

mod acknowledged;
mod client;
mod graph;
mod json;
mod logs;
mod red;
mod report;
mod searches;
mod totals;
mod traces;

pub use report::CheckReport;

use crate::acks::Acknowledged;
use crate::answers::{Answers, Questions};
use crate::world::World;
use client::Client;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far a percentile may be from the value at its rank, as a fraction of it: what the
/// query APIs promise.
const PERCENTILE_RELATIVE_ERROR: f64 = 1.0 / 64.0;

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Not a URL of a query API.
    #[error("{url:?} is not the URL of a query API: {reason}; hint: write http://localhost:16686")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No HTTP client can be made.
    #[error("http client: {0}")]
    Client(#[from] reqwest::Error),
    /// A task of this program failed.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Asks everything about a world that a store must have in full, and nothing else.
/// `traces`: how many traces are compared span by span.
pub async fn check(world: Arc<World>, url: &str, traces: usize) -> Result<CheckReport, CheckError> {
    let client = Client::new(url)?;
    let computing = {
        let world = Arc::clone(&world);
        tokio::task::spawn_blocking(move || {
            let questions = Questions::new(&world);
            let answers = Answers::new(&world, &questions);
            (questions, answers)
        })
    };
    let (questions, answers) = computing.await?;
    let mut report = CheckReport::default();
    let signals = world.recipe().signals;
    report.add(totals::status(&client, &answers).await);
    if signals.traces {
        report.add(totals::services(&client, &answers).await);
        report.add(totals::operations(&client, &answers).await);
        report.add(graph::whole(&client, &questions, &answers).await);
        report.add(graph::part(&client, &questions, &answers).await);
        for red in &answers.reds {
            report.add(red::compare(&client, red).await);
        }
        for (search, newest) in questions.searches.iter().zip(&answers.searches) {
            report.add(searches::native(&client, &world, search, newest).await);
            if !search.filter.is_native() {
                report.add(searches::jaeger(&client, &world, search, newest).await);
            }
        }
        for comparison in [traces::Api::V3, traces::Api::Legacy, traces::Api::Native] {
            report.add(traces::compare(&client, &world, comparison, traces).await);
        }
        report.add(traces::missing(&client).await);
    }
    if signals.logs {
        for search in &answers.log_searches {
            report.add(logs::search(&client, &world, search).await);
        }
        report.add(logs::of_traces(&client, &world, traces).await);
    }
    Ok(report)
}

/// Asks for all that was acknowledged: each span and log record must be there once, whatever
/// else of the run is there; what is not of the run must not. What is there of `traces` traces
/// is compared span by span.
pub async fn check_acknowledged(
    world: Arc<World>,
    acknowledged: &Acknowledged,
    url: &str,
    traces: usize,
) -> Result<CheckReport, CheckError> {
    let client = Client::new(url)?;
    let requests: Arc<BTreeSet<_>> = Arc::new(acknowledged.requests.clone());
    let mut report = CheckReport::default();
    let signals = world.recipe().signals;
    if signals.traces {
        report.add(acknowledged::spans(&client, &world, &requests).await?);
        report.add(traces::compare(&client, &world, traces::Api::V3InPart, traces).await);
    }
    if signals.logs {
        report.add(acknowledged::logs(&client, &world, &requests).await?);
    }
    if signals.metrics {
        report.add(acknowledged::points(&client, &world, &requests).await?);
    }
    Ok(report)
}
