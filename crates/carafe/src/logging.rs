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
        .with_ansi(stderr().is_terminal())
        .init();
}
