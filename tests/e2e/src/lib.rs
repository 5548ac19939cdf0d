//! Harness for the end-to-end tests: the real `carafe` binary, real servers
//! and clients, and receivers that we did not write.
//!
//! Everything listens on ports that the system chose, waits for conditions
//! with a deadline, and is killed when its handle is dropped.

pub mod apps;
pub mod backend;
pub mod binary;
pub mod console;
pub mod http;
pub mod load;
pub mod otlp_sink;
pub mod process;
pub mod python;
pub mod wait;

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A file of this crate: an app, a receiver, a skeleton.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A port that was free a moment ago, for programs that cannot be told to
/// choose one themselves.
///
/// # Errors
/// No port could be bound.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
