//! `carafe todo`: the To-Do app, which knows nothing of telemetry.

use crate::cli::fail;
use crate::signals::StopSignals;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SQLite file that keeps the tasks; created when it is missing
    #[arg(long, value_name = "FILE", default_value = "todo.db")]
    db: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

pub(crate) async fn main(args: Args) -> ExitCode {
    carafe_todo::init_logging();
    let mut signals = match StopSignals::catch() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("cannot catch signals: {error}")),
    };
    let options = carafe_todo::Options { db: args.db, listen: args.listen };
    match carafe_todo::run(options, async move { signals.next().await }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}
