//! `carafe store clear`.

use super::{Directory, SignalName, text};
use crate::cli::fail;
use carafe_settings::StoreSettings;
use carafe_store::StoreError;
use carafe_telemetry::{Signal, UnixNanos};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// Only this signal
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<SignalName>,
    /// Only files that end before this time: 2026-01-31T12:00:00Z, or 7d for so long ago
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    before: Option<UnixNanos>,
    /// Really remove it
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, StoreError> {
    let signal = args.signal.map(Signal::from);
    if !args.yes {
        let path = args.directory.path()?;
        let what = signal.map_or("all telemetry".to_owned(), |signal| format!("all {signal}"));
        let when = args.before.map_or(String::new(), |at| format!(" before {}", text::time(at)));
        return Ok(fail(format_args!(
            "this removes {what}{when} from {}; hint: say --yes if that is meant",
            path.display()
        )));
    }
    // Nothing that is about to go shall be refused when the log is read.
    let settings = StoreSettings { retention_age: Some(None), ..StoreSettings::default() };
    let store = args.directory.open(settings, "carafe store clear")?;
    let cleared = store.clear_blocking(signal, args.before)?;
    store.close_blocking()?;
    let items: Vec<String> = Signal::ALL
        .into_iter()
        .zip(cleared.items)
        .filter(|(_, items)| *items > 0)
        .map(|(signal, items)| format!("{} {signal}", text::count(items)))
        .collect();
    let items = if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    println!("removed {items}: {} files, {}", cleared.files, text::size(cleared.bytes));
    Ok(ExitCode::SUCCESS)
}
