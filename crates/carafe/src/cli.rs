//! The command line: what each subcommand is called, and which code it ends with.

use crate::{check, todo, up};
use clap::{Parser, Subcommand};
use std::future::Future;
use std::process::ExitCode;

/// A fault at run time. Clap itself ends with 2 for a command line that it cannot read.
pub(crate) const EXIT_RUNTIME: u8 = 1;

/// Zero-code OpenTelemetry for any web app: agent, collector, store and UI in one binary.
#[derive(Debug, Parser)]
#[command(name = "carafe", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the backend: OTLP receivers, store, query APIs and UI
    Up(up::Args),
    /// Say what listens on the OTLP and query ports, and send a test span through
    Check(check::Args),
    /// Start the To-Do app alone, with no telemetry code in it
    Todo(todo::Args),
}

pub(crate) fn main() -> ExitCode {
    // reqwest is built without a provider of its own. An error only says that one is set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Up(args) => block_on(up::main(args)),
        Command::Check(args) => block_on(check::main(args)),
        Command::Todo(args) => block_on(todo::main(args)),
    }
}

/// Runs `command` on a runtime of its own.
fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            fail(format_args!("cannot start: {error}; hint: check the limits on threads"))
        }
    }
}

/// Says on stderr what went wrong.
pub(crate) fn fail(message: impl std::fmt::Display) -> ExitCode {
    eprintln!("carafe: {message}");
    ExitCode::from(EXIT_RUNTIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
