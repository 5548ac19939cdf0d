//! What Carafe says about itself while it works.

use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// Writes warnings and errors to stderr; `RUST_LOG` asks for more or less. stdout belongs to
/// the app and to what a command was asked to print.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        // What cannot be said must not end the thread that says it: stderr may be a file on
        // the disk that is full.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal())
        .init();
}
