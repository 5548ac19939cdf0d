//! Start, serve, stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::TodoError;
use crate::routes::router;
use crate::store::{Store, StoreThread};

/// How long requests under way may take to finish once the app is told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Where the app keeps its tasks and where it listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SQLite file; created when it is missing.
    pub db: PathBuf,
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// The app with its database open and its address bound, not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    store: Store,
    thread: StoreThread,
}

impl Server {
    /// Opens the database and binds the address.
    ///
    /// # Errors
    /// The address is taken or cannot be bound; the file cannot be opened or
    /// is no SQLite database.
    pub async fn bind(options: Options) -> Result<Self, TodoError> {
        let Options { db, listen: addr } = options;
        // The address first: a second start must not touch the first one's file.
        let listener = TcpListener::bind(addr).await.map_err(|source| bind_error(addr, source))?;
        let local_addr = listener.local_addr().map_err(|source| bind_error(addr, source))?;
        let (store, thread) = Store::open(db).await?;
        Ok(Self { listener, local_addr, store, thread })
    }

    /// The address that clients reach, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` completes, then lets requests under way finish
    /// for at most [`SHUTDOWN_GRACE`].
    ///
    /// # Errors
    /// Accepting connections failed.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), TodoError> {
        let Self { listener, local_addr, store, thread } = self;
        tracing::info!("listening on http://{local_addr}");
        let (stop, mut stopping) = watch::channel(false);
        let serving = axum::serve(listener, router(store)).with_graceful_shutdown(async move {
            // An error means that the sender is gone: stop as well.
            let _ = stopping.wait_for(|stop| *stop).await;
        });
        let grace = async {
            shutdown.await;
            stop.send_replace(true);
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        let served = tokio::select! {
            outcome = serving.into_future() => outcome.map_err(TodoError::Serve),
            () = grace => {
                tracing::warn!("requests still under way after {SHUTDOWN_GRACE:?} were cut off");
                // Their tasks keep the database open, so it is not waited for.
                return Ok(());
            }
        };
        thread.join().await;
        served
    }
}

/// Binds and serves until `shutdown` completes.
///
/// # Errors
/// As [`Server::bind`] and [`Server::serve`].
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), TodoError> {
    Server::bind(options).await?.serve(shutdown).await
}

fn bind_error(addr: SocketAddr, source: io::Error) -> TodoError {
    if source.kind() == io::ErrorKind::AddrInUse {
        TodoError::AddressInUse { addr }
    } else {
        TodoError::Bind { addr, source }
    }
}
