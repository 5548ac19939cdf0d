//! What `carafe run` says on stderr. Standard output belongs to the app.

use super::exports::Plan;
use crate::backend::{Backend, Component};
use carafe_launch::launcher::Summary;
use carafe_launch::program::Program;
use carafe_launch::rings::ReaderCounters;
use carafe_pipeline::Leftover;
use carafe_settings::{Exporter, Settings};
use carafe_telemetry::Signal;
use std::fmt::Display;
use std::sync::atomic::Ordering;

pub(super) fn say(message: &dyn Display) {
    eprintln!("carafe: {message}");
}

pub(super) fn warn(warning: &dyn Display) {
    eprintln!("carafe: warning: {warning}");
}

/// Before the app starts: what is observed, and where it can be seen.
pub(super) fn start(program: &Program, plan: &Plan, settings: &Settings, hosted: Option<&Backend>) {
    let executable = program.executable.display();
    match program.reach.explanation() {
        None => eprintln!("carafe: observing {executable}"),
        Some(explanation) => eprintln!("carafe: {executable} {explanation}"),
    }
    if let Some(backend) = hosted {
        eprintln!("carafe: ui http://{}", backend.addr(Component::Query));
        eprintln!("carafe: otlp grpc {}", backend.addr(Component::OtlpGrpc));
        eprintln!("carafe: otlp http {}", backend.addr(Component::OtlpHttp));
    }
    for signal in &plan.unexported {
        eprintln!(
            "carafe: {signal} are not exported: no exporter is named and no OTLP receiver answers \
             on localhost:4317"
        );
    }
    for signal in Signal::ALL {
        note_unused_endpoint(signal, plan, settings);
    }
}

/// An endpoint was named for a signal that does not go by OTLP: likely not as meant.
fn note_unused_endpoint(signal: Signal, plan: &Plan, settings: &Settings) {
    let named = super::exports::of(settings, signal);
    let is_unused =
        named.otlp.endpoint.as_ref().is_some_and(|endpoint| endpoint.is_signal_specific)
            && plan.of(signal).iter().all(|exporter| *exporter == Exporter::Console);
    if is_unused {
        let upper = signal.as_str().to_uppercase();
        eprintln!(
            "carafe: warning: OTEL_EXPORTER_OTLP_{upper}_ENDPOINT is not used, because \
             OTEL_{upper}_EXPORTER does not name otlp; name both as console,otlp"
        );
    }
}

/// After the app's end: only what was lost.
pub(super) fn end(summary: &Summary, leftover: Leftover, counters: &ReaderCounters) {
    let delivered = summary.delivered;
    let lost = delivered.failed + leftover.items;
    if lost > 0 || !summary.is_complete {
        eprintln!("carafe: {lost} items could not be exported before the end");
    }
    if delivered.dropped > 0 {
        eprintln!(
            "carafe: {} items were dropped because the export queue was full; raise \
             OTEL_BSP_MAX_QUEUE_SIZE",
            delivered.dropped
        );
    }
    for (count, what) in [
        (&counters.dropped_records, "records were dropped because a ring was full"),
        (&counters.unusable_records, "records could not be used"),
    ] {
        let count = count.load(Ordering::Relaxed);
        if count > 0 {
            eprintln!("carafe: {count} {what}");
        }
    }
}
