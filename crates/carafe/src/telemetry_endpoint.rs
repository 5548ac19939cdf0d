//! Carafe's own metrics at `/metrics`, in Prometheus' text format, under the names that the
//! OpenTelemetry Collector gives its own.

mod exposition;
mod process;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use carafe_launch::rings::ReaderCounters;
use carafe_nodes::receiver::otlp::{Outcome, ReceiverCounters, Transport};
use carafe_pipeline::{DropReason, NodeCounters};
use carafe_store::{Store, StoreStats};
use carafe_telemetry::Signal;
use exposition::{Exposition, Kind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Version 0.0.4 is the text format that every scraper reads.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is told about this process.
pub(crate) struct SelfTelemetry {
    started: Instant,
    receiver: Arc<ReceiverCounters>,
    exporters: Vec<(&'static str, Arc<NodeCounters>)>,
    store: Arc<dyn Store>,
    /// Where the agent runs in this process.
    agent: Option<Arc<ReaderCounters>>,
}

impl SelfTelemetry {
    pub(crate) fn new(
        receiver: Arc<ReceiverCounters>,
        exporters: Vec<(&'static str, Arc<NodeCounters>)>,
        store: Arc<dyn Store>,
        agent: Option<Arc<ReaderCounters>>,
    ) -> Self {
        Self { started: Instant::now(), receiver, exporters, store, agent }
    }
}

/// `GET /metrics`.
pub(crate) fn router(own: SelfTelemetry) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(own))
}

async fn metrics(State(own): State<Arc<SelfTelemetry>>) -> impl IntoResponse {
    let mut out = Exposition::default();
    receiver(&mut out, &own.receiver);
    exporters(&mut out, &own.exporters);
    if let Some(counters) = &own.agent {
        agent(&mut out, counters);
    }
    process::write(&mut out, own.started.elapsed());
    match own.store.stats().await {
        Ok(stats) => store(&mut out, &stats),
        Err(error) => tracing::warn!(%error, "the store does not tell its size"),
    }
    ([(CONTENT_TYPE, TEXT_FORMAT)], out.finish())
}

/// The Collector's word for the items of a signal.
fn items(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "metric_points",
        Signal::Logs => "log_records",
    }
}

fn receiver(out: &mut Exposition, counters: &ReceiverCounters) {
    for outcome in Outcome::ALL {
        for signal in Signal::ALL {
            let name = format!("otelcol_receiver_{}_{}", outcome.as_str(), items(signal));
            out.family(
                &name,
                Kind::Counter,
                "Items that arrived at the receiver, by what became of them.",
            );
            for transport in Transport::ALL {
                let labels = [("receiver", "otlp"), ("transport", transport.as_str())];
                out.sample(&name, &labels, counters.items(transport, outcome, signal) as f64);
            }
        }
    }
    let name = "otelcol_receiver_requests";
    out.family(name, Kind::Counter, "Export requests, by what became of them.");
    for transport in Transport::ALL {
        for outcome in Outcome::ALL {
            let labels = [
                ("receiver", "otlp"),
                ("transport", transport.as_str()),
                ("outcome", outcome.as_str()),
            ];
            out.sample(name, &labels, counters.requests(transport, outcome) as f64);
        }
    }
}

fn exporters(out: &mut Exposition, exporters: &[(&'static str, Arc<NodeCounters>)]) {
    for signal in Signal::ALL {
        let items = items(signal);
        let sent = format!("otelcol_exporter_sent_{items}");
        out.family(&sent, Kind::Counter, "Items that the destination took.");
        for (exporter, counters) in exporters {
            out.sample(&sent, &[("exporter", exporter)], counters.sent.get(signal) as f64);
        }
        let failed = format!("otelcol_exporter_send_failed_{items}");
        out.family(&failed, Kind::Counter, "Items that the destination did not take.");
        for (exporter, counters) in exporters {
            out.sample(&failed, &[("exporter", exporter)], counters.send_failed.get(signal) as f64);
        }
        let enqueue = format!("otelcol_exporter_enqueue_failed_{items}");
        out.family(&enqueue, Kind::Counter, "Items that found the queue full or closed.");
        for (exporter, counters) in exporters {
            let full = counters.dropped(DropReason::QueueFull).get(signal);
            let closed = counters.dropped(DropReason::ShuttingDown).get(signal);
            out.sample(&enqueue, &[("exporter", exporter)], (full + closed) as f64);
        }
        let dropped = format!("carafe_exporter_dropped_{items}");
        out.family(&dropped, Kind::Counter, "Items that were given up, by reason.");
        for (exporter, counters) in exporters {
            for reason in DropReason::ALL {
                let labels = [("exporter", *exporter), ("reason", reason.as_str())];
                out.sample(&dropped, &labels, counters.dropped(reason).get(signal) as f64);
            }
        }
    }
}

fn agent(out: &mut Exposition, counters: &ReaderCounters) {
    for (name, count, help) in [
        ("carafe_agent_processes", &counters.processes, "Processes of the app that were observed."),
        (
            "carafe_agent_dropped_records",
            &counters.dropped_records,
            "Records that found their ring full.",
        ),
        (
            "carafe_agent_unusable_records",
            &counters.unusable_records,
            "Records that the launcher could not use.",
        ),
        (
            "carafe_agent_faults",
            &counters.agent_faults,
            "Processes in which a fault disabled the agent.",
        ),
    ] {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[], count.load(Ordering::Relaxed) as f64);
    }
}

fn store(out: &mut Exposition, stats: &StoreStats) {
    let mut gauge = |name: &str, value: u64, help: &str| {
        out.family(name, Kind::Gauge, help);
        out.sample(name, &[("store", stats.kind)], value as f64);
    };
    gauge("carafe_store_bytes", stats.bytes, "Bytes that the store holds, about.");
    gauge("carafe_store_max_bytes", stats.max_bytes, "Bytes that the store may hold.");
    gauge("carafe_store_recent_bytes", stats.recent_bytes, "Bytes of data not in files yet.");
    gauge("carafe_store_disk_bytes", stats.disk_bytes, "Bytes on disk, files and log.");
    gauge("carafe_store_log_bytes", stats.log_bytes, "Bytes of the log.");
    gauge("carafe_store_files", stats.files, "Data files, each with its side file.");
    gauge("carafe_store_set_aside_files", stats.set_aside_files, "Files found damaged.");
    let oldest = stats.oldest.0 / 1_000_000_000;
    gauge("carafe_store_oldest_seconds", oldest, "Time of the oldest item in files, Unix seconds.");
    gauge("carafe_store_traces", stats.traces, "Traces in the store.");
    gauge("carafe_store_spans", stats.spans, "Spans in the store.");
    gauge("carafe_store_log_records", stats.logs, "Log records in the store.");
    gauge("carafe_store_metric_points", stats.points, "Data points in the store.");
    let mut counter = |name: &str, value: u64, help: &str| {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[("store", stats.kind)], value as f64);
    };
    counter("carafe_store_appended_spans", stats.appended_spans, "Spans ever stored.");
    counter("carafe_store_appended_log_records", stats.appended_logs, "Log records ever stored.");
    counter("carafe_store_appended_metric_points", stats.appended_points, "Points ever stored.");
    counter("carafe_store_evicted_traces", stats.evicted_traces, "Traces that made room.");
    counter("carafe_store_evicted_spans", stats.evicted_spans, "Spans that made room.");
    counter("carafe_store_evicted_log_records", stats.evicted_logs, "Records that made room.");
    counter("carafe_store_evicted_metric_points", stats.evicted_points, "Points that made room.");
    counter("carafe_store_rejected_items", stats.rejected_items, "Items that cannot be stored.");
}
