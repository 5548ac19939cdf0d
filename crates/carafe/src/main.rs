//! The `carafe` command.

#![forbid(unsafe_code)]

mod backend;
mod check;
mod cli;
mod demo;
mod generate;
mod logging;
mod run;
mod signals;
mod store_command;
mod store_options;
mod telemetry_endpoint;
mod todo;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
