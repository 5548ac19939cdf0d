//! Why the app could not start or had to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure that ends the app. Failures of one request are answered on its
/// page instead.
#[derive(Debug, thiserror::Error)]
pub enum TodoError {
    /// The address to listen on is in use.
    #[error(
        "{addr} is already in use; stop the program that listens there, or choose another address with --listen"
    )]
    AddressInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The address to listen on cannot be bound for another reason.
    #[error("cannot listen on {addr}: {source}; choose another address with --listen")]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be opened, or its schema cannot be created.
    #[error("cannot open the task database {}: {source}; choose another file with --db", path.display())]
    Database {
        /// The file that was asked for.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The thread that owns the database could not be started.
    #[error("cannot start the database thread: {0}")]
    Thread(#[source] io::Error),
    /// Accepting connections failed.
    #[error("the server stopped: {0}")]
    Serve(#[source] io::Error),
}
