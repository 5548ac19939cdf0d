//! The command line: what each subcommand is called, and which code it ends with.

use crate::{check, demo, generate, run, store_command, todo, up};
use carafe_settings::flags::{self, Invocation};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
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
    /// Run an app with zero-code instrumentation
    ///
    /// Its arguments are declared in `carafe_settings::flags`, which replaces this command.
    Run,
    /// Start the To-Do app, the agent in it and the backend: the product in one command
    Demo(demo::Args),
    /// Start the backend: OTLP receivers, store, query APIs and UI
    Up(up::Args),
    /// Say what listens on the OTLP and query ports, and send a test span through
    Check(check::Args),
    /// Look at kept telemetry, check, export or remove it
    Store(store_command::Args),
    /// Send the telemetry of an invented shop, and check what a backend answers about it
    Gen(carafe_gen::Options),
    /// Start the To-Do app alone, with no telemetry code in it
    Todo(todo::Args),
}

pub(crate) fn main() -> ExitCode {
    // reqwest is built without a provider of its own. An error only says that one is set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let matches = command().get_matches();
    if let Some(("run", arguments)) = matches.subcommand() {
        return run::main(&Invocation::from_matches(arguments));
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Run => ExitCode::FAILURE,
        Command::Demo(args) => demo::main(args),
        Command::Up(args) => block_on(up::main(args)),
        Command::Check(args) => block_on(check::main(args)),
        Command::Store(args) => block_on(store_command::main(args)),
        Command::Gen(options) => block_on(generate::main(options)),
        Command::Todo(args) => block_on(todo::main(args)),
    }
}

fn command() -> clap::Command {
    Cli::command().mut_subcommand("run", |_| flags::command().display_order(0))
}

/// Runs `command` on a runtime of its own.
pub(crate) fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // Whatever still works was given its time.
            runtime.shutdown_background();
            code
        }
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
        command().debug_assert();
    }
}
