//! Listening sockets: bound before anything is served, with a bounded number of connections.

use super::port_holder::{Holder, holder};
use futures::Stream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that one listener keeps open. Further clients wait in the kernel's backlog until
/// one closes. Half of the 1024 descriptors that a process usually may have.
pub const MAX_CONNECTIONS: usize = 512;

/// How long an HTTP/1.1 connection may go without a request, or take to send the head of one.
/// Longer than most clients keep theirs, so that it is they who close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

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

    /// Serves HTTP/1.1 until `cancel`; then lets requests under way finish for `drain` at most,
    /// and ends those that do not.
    pub async fn serve_http(
        mut self,
        router: axum::Router,
        cancel: CancellationToken,
        drain: Duration,
    ) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(_) = connections.join_next() => {}
                connection = self.accept() => {
                    connections.spawn(serve_connection(connection, router.clone(), cancel.clone()));
                }
            }
        }
        drop(self);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, all).await.is_err() {
            connections.shutdown().await;
        }
    }

    async fn accept(&mut self) -> Connection {
        // The semaphore is never closed; if it were, nothing more could be accepted.
        let Ok(permit) = self.connections.clone().acquire_owned().await else {
            return std::future::pending().await;
        };
        // axum's implementation for TcpListener backs off when descriptors run out.
        let (stream, peer) = axum::serve::Listener::accept(&mut self.tcp).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        Connection { stream, _permit: permit }
    }

    /// The accepted connections, for servers of other protocols.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        futures::stream::unfold(self, |mut listener| async move {
            let connection = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }
}

async fn serve_connection(connection: Connection, router: axum::Router, cancel: CancellationToken) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

    async fn exchange(addr: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_waits_its_turn() {
        let mut listener = Listener::bind("the server", "127.0.0.1:0").await.unwrap();
        listener.connections = Arc::new(Semaphore::new(1));
        let addr = listener.local_addr();
        let cancel = CancellationToken::new();
        let router = axum::Router::new().fallback(async || "hello");
        let server = tokio::spawn(listener.serve_http(router, cancel.clone(), Duration::ZERO));
        // It has the only place once it was answered.
        let mut first = TcpStream::connect(addr).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        first.read_exact(&mut [0; 12]).await.unwrap();
        let mut second = pin!(exchange(addr));
        let early = tokio::time::timeout(Duration::from_millis(100), second.as_mut()).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        assert!(second.await.unwrap().ends_with("hello"));
        cancel.cancel();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_outlives_the_drain_is_ended() {
        let listener = Listener::bind("the server", "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr();
        let cancel = CancellationToken::new();
        let reached = CancellationToken::new();
        let handler_reached = reached.clone();
        let router = axum::Router::new().fallback(async move || {
            handler_reached.cancel();
            std::future::pending::<()>().await;
        });
        let drain = Duration::from_millis(10);
        let server = tokio::spawn(listener.serve_http(router, cancel.clone(), drain));
        let client = tokio::spawn(exchange(addr));
        reached.cancelled().await;
        cancel.cancel();
        server.await.unwrap();
        assert!(client.await.unwrap().is_ok_and(|answer| answer.is_empty()));
        assert!(TcpStream::connect(addr).await.is_err(), "nothing listens any more");
    }
}
