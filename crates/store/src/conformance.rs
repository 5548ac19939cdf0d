//! The suite that every store must pass.
//!
//! It generates telemetry from a seed, keeps a plain model of it, and compares what the store
//! answers with what the model says. The model is written on its own and shares no code with
//! the query types, so that an error in these shows. A check panics where a store fails.

mod aggregates;
mod conditions;
mod data;
mod disorder;
mod ingest;
mod logs;
mod metrics;
mod pages;
mod scan;
mod traces;

use crate::interface::Store;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The outcome of a check to come.
pub type CheckFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store to come.
pub type StoreFuture = Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>>;

/// What a store that was filled goes through before it is asked: gives back a store with the
/// same data. It gets the only reference to the store.
pub type Settle = Arc<dyn Fn(Arc<dyn Store>) -> StoreFuture + Send + Sync>;

/// An empty store that nothing else uses, and what it goes through once it is filled.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What comes between appending and asking.
    pub settle: Settle,
}

impl Subject {
    /// The subject after what comes between appending and asking.
    async fn settled(self) -> Self {
        Self { store: (self.settle)(self.store).await, settle: self.settle }
    }
}

/// One check: a name, and what it does with a store.
#[derive(Clone, Copy)]
pub struct Check {
    /// What a store that cannot pass names to opt out.
    pub name: &'static str,
    /// Panics where the store fails.
    pub run: fn(Subject) -> CheckFuture,
}

macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |subject| Box::pin($module::$name(subject)),
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
    conditions::spans_are_found_by_condition,
    conditions::logs_are_found_by_condition,
    pages::pages_of_traces_are_one_large_page,
    pages::pages_of_spans_are_one_large_page,
    pages::pages_of_logs_are_one_large_page,
    pages::cursors_of_another_search_are_refused,
    disorder::days_of_data_come_newest_first,
    disorder::late_data_is_found,
    disorder::duplicates_are_found_once,
    disorder::duplicates_are_counted_once,
    disorder::skewed_clocks_do_no_harm,
    disorder::ends_of_a_call_may_share_an_id,
    disorder::a_dropped_question_does_no_harm,
    scan::a_scan_gives_everything_once,
    scan::what_was_scanned_can_be_stored_again,
    logs::log_searches_find_what_matches,
    logs::logs_without_a_time_get_one,
    metrics::selections_find_what_matches,
];

/// Runs all checks but those named in `except`, each on a store of its own. Panics where a
/// check fails, or where `except` names none.
pub async fn run(open: impl Fn() -> Arc<dyn Store>, except: &[&str]) {
    run_with(open, Arc::new(|store| Box::pin(async { store })), except).await;
}

/// As [`run`]; between appending and asking each store goes through `settle`: it may be
/// flushed, compacted, closed and opened again.
pub async fn run_with(open: impl Fn() -> Arc<dyn Store>, settle: Settle, except: &[&str]) {
    for name in except {
        assert!(CHECKS.iter().any(|check| check.name == *name), "there is no check {name}");
    }
    for check in CHECKS.iter().filter(|check| !except.contains(&check.name)) {
        println!("conformance: {}", check.name);
        (check.run)(Subject { store: open(), settle: Arc::clone(&settle) }).await;
    }
}
