//! Where the app's log lines go.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Writes log lines to stderr, filtered by `RUST_LOG` (default `info`), in
/// colour on a terminal. Keeps the subscriber that is already set, if any.
pub fn init_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let outcome = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    if outcome.is_err() {
        tracing::debug!("a log subscriber is already set");
    }
}
