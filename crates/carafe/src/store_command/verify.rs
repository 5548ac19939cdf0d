//! `carafe store verify`.

use super::{Directory, text};
use crate::cli::EXIT_RUNTIME;
use carafe_store::StoreError;
use carafe_store_local::verify::{Verification, verify};
use carafe_telemetry::Signal;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Ends with 1 where something is damaged.
pub(super) fn run(args: &Args) -> Result<ExitCode, StoreError> {
    let directory = args.directory.path()?;
    let report = verify(&directory, "carafe store verify", |_| {})?;
    if args.json {
        println!("{:#}", to_json(&report));
    } else {
        print!("{}", to_text(&report));
    }
    let is_sound = report.findings.is_empty();
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_RUNTIME) })
}

fn items(report: &Verification) -> impl Iterator<Item = (Signal, u64)> {
    Signal::ALL.into_iter().zip(report.items)
}

fn to_text(report: &Verification) -> String {
    let mut lines: Vec<String> = (report.findings.iter())
        .map(|finding| format!("damaged: {}: {}", finding.file, finding.problem))
        .collect();
    let items: Vec<String> =
        items(report).map(|(signal, items)| format!("{} {signal}", text::count(items))).collect();
    lines.push(format!(
        "sound: {} files of {} with {}; {} requests in the log",
        text::count(report.files),
        text::size(report.bytes),
        items.join(", "),
        text::count(report.log_requests),
    ));
    if report.torn_bytes > 0 {
        lines.push(format!(
            "the log ends with {} of a write that was cut off: nobody was told that it is safe",
            text::size(report.torn_bytes)
        ));
    }
    lines.join("\n") + "\n"
}

fn to_json(report: &Verification) -> serde_json::Value {
    let items: serde_json::Map<String, serde_json::Value> =
        items(report).map(|(signal, items)| (signal.to_string(), items.into())).collect();
    let findings: Vec<_> = (report.findings.iter())
        .map(|finding| json!({"file": finding.file, "problem": finding.problem}))
        .collect();
    json!({
        "ok": report.findings.is_empty(),
        "files": report.files,
        "bytes": report.bytes,
        "items": items,
        "log_requests": report.log_requests,
        "torn_bytes": report.torn_bytes,
        "damaged": findings,
    })
}
