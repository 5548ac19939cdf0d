//! One port: does anything listen, who is it, and what does it speak.

use super::probe::{Clients, Speaks};
use crate::backend::Component;
use carafe_nodes::receiver::port_holder::{Holder, holder};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};

/// How long a port may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What was found on a port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) component: Component,
    /// As it was given.
    pub(super) addr: String,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nobody accepts connections.
    Closed,
    /// It is not known whether anybody does.
    Unreachable(io::Error),
    /// Somebody does.
    Open { holder: Option<Holder>, speaks: Speaks },
}

impl Port {
    pub(super) async fn check(clients: &Clients, component: Component, addr: String) -> Self {
        let state = match connect(&addr).await {
            Ok(peer) => {
                // Another machine's processes are not in this one's /proc.
                let holder = if peer.ip().is_loopback() { find_holder(peer).await } else { None };
                State::Open { holder, speaks: clients.probe(&addr).await }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => State::Closed,
            Err(error) => State::Unreachable(error),
        };
        Self { component, addr, state }
    }

    pub(super) fn wanted(&self) -> Speaks {
        match self.component {
            Component::OtlpGrpc => Speaks::OtlpGrpc,
            Component::OtlpHttp => Speaks::OtlpHttp,
            Component::Query | Component::Telemetry => Speaks::Query,
        }
    }

    /// Whether it speaks what it should.
    pub(super) fn is_ok(&self) -> bool {
        matches!(self.state, State::Open { speaks, .. } if speaks == self.wanted())
    }
}

async fn connect(addr: &str) -> io::Result<SocketAddr> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for peer in lookup_host(addr).await? {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(peer)).await {
            Ok(Ok(_)) => return Ok(peer),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn find_holder(peer: SocketAddr) -> Option<Holder> {
    tokio::task::spawn_blocking(move || holder(peer)).await.ok().flatten()
}
