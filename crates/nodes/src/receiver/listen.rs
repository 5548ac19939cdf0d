//! Listening sockets: bound before anything is served, with a bounded number of connections.

use super::port_holder::{Holder, holder};
use axum::serve::Listener as _;
use futures::Stream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections that one listener keeps open. Further clients wait in the kernel's backlog until
/// one closes.
pub const MAX_CONNECTIONS: usize = 1024;

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for {component}: {source}{}", taken_by(.holder.as_ref()))]
pub struct BindError {
    /// What wanted to listen.
    pub component: &'static str,
    /// The address as it was configured.
    pub addr: String,
    /// The process that listens there, where that can be known.
    pub holder: Option<Holder>,
    /// What the system says.
    pub source: io::Error,
}

fn taken_by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!("; {holder} listens there")).unwrap_or_default()
}

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    addr: SocketAddr,
    connections: Arc<Semaphore>,
}

impl Listener {
    /// Binds `addr` (`host:port`, port 0 for a free one) for `component`, which errors name.
    pub async fn bind(component: &'static str, addr: &str) -> Result<Self, BindError> {
        match bind_tcp(addr).await {
            Ok((tcp, local)) => {
                let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
                Ok(Self { tcp, addr: local, connections })
            }
            Err(source) => {
                let holder = if source.kind() == io::ErrorKind::AddrInUse {
                    find_holder(addr).await
                } else {
                    None
                };
                Err(BindError { component, addr: addr.to_owned(), holder, source })
            }
        }
    }

    /// The address with the port that was really chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves HTTP/1.1 until `cancel`; then lets requests under way finish for `drain` at most.
    pub async fn serve_http(
        self,
        router: axum::Router,
        cancel: CancellationToken,
        drain: Duration,
    ) {
        let addr = self.addr;
        let stop = cancel.clone().cancelled_owned();
        let serve = axum::serve(self, router).with_graceful_shutdown(stop).into_future();
        if let Err(error) = within(serve, cancel, drain).await {
            tracing::error!(%addr, %error, "the server stopped");
        }
    }

    /// The accepted connections, for servers other than axum's.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        futures::stream::unfold(self, |mut listener| async move {
            let (connection, _) = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }
}

/// Runs `serve`, which ends by itself some time after `cancel`, for `drain` after it at most.
pub(crate) async fn within<E>(
    serve: impl Future<Output = Result<(), E>>,
    cancel: CancellationToken,
    drain: Duration,
) -> Result<(), E> {
    let deadline = async {
        cancel.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        result = serve => result,
        () = deadline => Ok(()),
    }
}

async fn bind_tcp(addr: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let tcp = TcpListener::bind(addr).await?;
    let local = tcp.local_addr()?;
    Ok((tcp, local))
}

async fn find_holder(addr: &str) -> Option<Holder> {
    let addrs: Vec<SocketAddr> = lookup_host(addr).await.ok()?.collect();
    let found = tokio::task::spawn_blocking(move || addrs.into_iter().find_map(holder)).await;
    found.ok().flatten()
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; if it were, nothing more could be accepted.
        let Ok(permit) = self.connections.clone().acquire_owned().await else {
            return std::future::pending().await;
        };
        // axum's implementation for TcpListener backs off when descriptors run out.
        let (stream, peer) = axum::serve::Listener::accept(&mut self.tcp).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        (Connection { stream, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// A connection that counts against its listener's limit while it is open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_the_port_the_component_and_the_holder() {
        let first = Listener::bind("the first", "127.0.0.1:0").await.unwrap();
        let addr = first.local_addr().to_string();
        let error = Listener::bind("the second", &addr).await.unwrap_err();
        let text = error.to_string();
        for part in ["the second", &addr, &format!("process {}", std::process::id())] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[tokio::test]
    async fn says_which_address_is_none() {
        let error = Listener::bind("the receiver", "no port").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on no port for the receiver: "));
        assert_eq!(error.holder, None);
    }
}
