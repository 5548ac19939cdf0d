//! `carafe store`: a look at a data directory, and its care.

mod clear;
mod compact;
mod export;
mod stats;
mod text;
mod verify;

use crate::cli::fail;
use crate::logging;
use crate::store_options::{default_data_dir, local_config};
use carafe_settings::StoreSettings;
use carafe_store::StoreError;
use carafe_store_local::verify::existing;
use carafe_store_local::{LocalConfig, LocalStore};
use carafe_telemetry::Signal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say how much there is, also while another process keeps it
    Stats(stats::Args),
    /// Read everything, and say what is damaged
    Verify(verify::Args),
    /// Merge files, and remove what retention would
    Compact(compact::Args),
    /// Write telemetry as OTLP JSON, a request a line, or send it to an OTLP receiver
    Export(export::Args),
    /// Remove telemetry
    Clear(clear::Args),
}

/// Which data directory.
#[derive(Clone, Debug, clap::Args)]
struct Directory {
    /// The data directory [default: $XDG_DATA_HOME/carafe]
    #[arg(long, value_name = "DIR", env = "CARAFE_DATA_DIR", hide_env = true)]
    data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SignalName {
    Traces,
    Metrics,
    Logs,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Traces => Self::Traces,
            SignalName::Metrics => Self::Metrics,
            SignalName::Logs => Self::Logs,
        }
    }
}

impl Directory {
    fn path(&self) -> Result<PathBuf, StoreError> {
        self.data_dir.clone().map_or_else(default_data_dir, Ok)
    }

    /// Opens the store in it, which has to be there. Nothing is merged or removed by itself.
    fn open(&self, settings: StoreSettings, program: &str) -> Result<Arc<LocalStore>, StoreError> {
        let path = self.path()?;
        existing(&path)?;
        let settings = StoreSettings { data_dir: Some(path), ..settings };
        let config = local_config(&settings, program)?;
        LocalStore::open(LocalConfig { maintenance: false, ..config })
    }
}

pub(crate) async fn main(args: Args) -> ExitCode {
    logging::init();
    let outcome = match args.action {
        Action::Export(args) => export::run(args).await,
        action => {
            let work = move || match action {
                Action::Stats(args) => stats::run(&args),
                Action::Verify(args) => verify::run(&args),
                Action::Compact(args) => compact::run(args),
                Action::Clear(args) => clear::run(&args),
                Action::Export(_) => Ok(ExitCode::SUCCESS),
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(outcome) => outcome,
                Err(error) => return fail(format_args!("the command failed: {error}")),
            }
        }
    };
    outcome.unwrap_or_else(fail)
}
