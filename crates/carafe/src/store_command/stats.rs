//! `carafe store stats`.

use super::{Directory, text};
use carafe_store::StoreError;
use carafe_store_local::overview::Overview;
use carafe_telemetry::{Signal, UnixNanos};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, StoreError> {
    let directory = args.directory.path()?;
    let overview = Overview::of(&directory)?;
    let sums = Signal::ALL.map(|signal| (signal, Sum::of(&overview, signal)));
    if args.json {
        println!("{:#}", to_json(&directory, &overview, &sums));
    } else {
        print!("{}", to_text(&directory, &overview, &sums));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the files of a signal add up to.
struct Sum {
    items: u64,
    files: u64,
    bytes: u64,
    oldest: Option<UnixNanos>,
    newest: Option<UnixNanos>,
    removed: u64,
}

impl Sum {
    fn of(overview: &Overview, signal: Signal) -> Self {
        let files = overview.contents.files.iter().map(|entry| &entry.file);
        let files: Vec<_> = files.filter(|file| file.signal == signal).collect();
        let removed = overview.contents.counters.evicted;
        let at = Signal::ALL.iter().position(|other| *other == signal);
        Self {
            items: files.iter().map(|file| file.rows).sum(),
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.data_bytes + file.side_bytes).sum(),
            oldest: files.iter().map(|file| file.extent.start).min(),
            newest: files.iter().map(|file| file.extent.end).max(),
            removed: at.and_then(|at| removed.get(at)).copied().unwrap_or_default(),
        }
    }
}

fn to_text(directory: &Path, overview: &Overview, sums: &[(Signal, Sum); 3]) -> String {
    let mut lines = vec![format!("directory  {}", directory.display())];
    lines.push(match &overview.holder {
        Some(holder) => format!("used by    {holder}"),
        None => "used by    nobody".to_owned(),
    });
    for (signal, sum) in sums {
        let time = |at: Option<UnixNanos>| at.map_or("none".to_owned(), text::time);
        lines.push(format!(
            "{:<10} {} in {} files, {}; oldest {}, newest {}",
            signal.as_str(),
            text::count(sum.items),
            text::count(sum.files),
            text::size(sum.bytes),
            time(sum.oldest),
            time(sum.newest),
        ));
    }
    lines.push(format!(
        "log        {}: what is not in files yet is here, and not counted above",
        text::size(overview.log_bytes)
    ));
    for aside in &overview.contents.aside {
        lines.push(format!("set aside  {}: {}", aside.file.path, aside.reason));
    }
    lines.join("\n") + "\n"
}

fn to_json(directory: &Path, overview: &Overview, sums: &[(Signal, Sum); 3]) -> Value {
    let signals: serde_json::Map<String, Value> = sums
        .iter()
        .map(|(signal, sum)| {
            let value = json!({
                "items": sum.items,
                "files": sum.files,
                "bytes": sum.bytes,
                "oldest_unix_nano": sum.oldest.map(|at| at.0),
                "newest_unix_nano": sum.newest.map(|at| at.0),
                "removed_items": sum.removed,
            });
            (signal.to_string(), value)
        })
        .collect();
    let aside: Vec<Value> = (overview.contents.aside.iter())
        .map(|aside| json!({"file": aside.file.path, "reason": aside.reason}))
        .collect();
    json!({
        "directory": directory,
        "holder": overview.holder,
        "signals": signals,
        "log_bytes": overview.log_bytes,
        "set_aside": aside,
    })
}
