//! The suite that every store must pass.
//!
//! It generates telemetry from a seed, keeps a plain model of it, and compares what the store
//! answers with what the model says. The model is written on its own and shares no code with
//! the query types, so that an error in these shows. A check panics where a store fails.

mod aggregates;
mod data;
mod ingest;
mod logs;
mod metrics;
mod traces;

use crate::interface::Store;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The outcome of a check to come.
pub type CheckFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One check: a name, and what it does with an empty store that nothing else uses.
#[derive(Clone, Copy)]
pub struct Check {
    /// What a store that cannot pass names to opt out.
    pub name: &'static str,
    /// Panics where the store fails.
    pub run: fn(Arc<dyn Store>) -> CheckFuture,
}

macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |store| Box::pin($module::$name(store)),
        }),*]
    };
}

/// All checks.
pub const CHECKS: &[Check] = checks![
    ingest::nothing_is_an_answer,
    ingest::what_is_stored_comes_back_unchanged,
    ingest::spans_of_a_trace_may_come_in_any_order,
    ingest::a_retried_request_is_stored_once,
    ingest::what_cannot_be_stored_is_rejected_one_by_one,
    ingest::what_is_not_otlp_is_invalid_data,
    ingest::stats_count_what_is_there,
    ingest::the_tail_tells_what_is_appended,
    ingest::the_tail_resumes,
    ingest::a_scan_gives_everything_once,
    ingest::readers_and_writers_do_not_disturb_each_other,
    traces::searches_find_what_matches,
    traces::span_searches_find_what_matches,
    traces::a_limit_keeps_the_newest,
    traces::tags_are_found_wherever_they_are,
    traces::addresses_are_found,
    traces::summaries_add_up,
    aggregates::services_and_operations_add_up,
    aggregates::red_adds_up,
    aggregates::red_refuses_too_many_points,
    aggregates::the_service_graph_adds_up,
    aggregates::attributes_are_counted,
    logs::log_searches_find_what_matches,
    logs::logs_without_a_time_get_one,
    metrics::selections_find_what_matches,
];

/// Runs all checks but those named in `except`, each on a store of its own. Panics where a
/// check fails, or where `except` names none.
pub async fn run(open: impl Fn() -> Arc<dyn Store>, except: &[&str]) {
    for name in except {
        assert!(CHECKS.iter().any(|check| check.name == *name), "there is no check {name}");
    }
    for check in CHECKS.iter().filter(|check| !except.contains(&check.name)) {
        println!("conformance: {}", check.name);
        (check.run)(open()).await;
    }
}
