//! Many requests over kept connections, each one different.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::http::{Connection, Response};

/// One request of a load and the answer that the client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Which of the concurrent clients sent it.
    pub client: usize,
    /// GET or POST.
    pub method: &'static str,
    /// Unique within the load.
    pub target: String,
    /// What the server answered.
    pub status: u16,
}

/// Sends `total` requests from `clients` threads, each on a connection that is
/// kept as long as the server keeps it, and gives them in the order in which
/// each client sent them. `choose` names method and target of request n.
///
/// # Errors
/// A request failed.
pub fn run(
    addr: SocketAddr,
    total: usize,
    clients: usize,
    choose: fn(usize) -> (&'static str, String),
) -> Result<Vec<Exchange>> {
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            thread::spawn(move || -> Result<Vec<Exchange>> {
                let mut pool = Pool { addr, connection: None };
                (client..total)
                    .step_by(clients)
                    .map(|number| {
                        let (method, target) = choose(number);
                        let response = pool.send(method, &target)?;
                        Ok(Exchange { client, method, target, status: response.status })
                    })
                    .collect()
            })
        })
        .collect();
    let mut exchanges = Vec::with_capacity(total);
    for thread in threads {
        exchanges.extend(thread.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    Ok(exchanges)
}

/// Sends GET requests on one connection until the server breaks it or `most`
/// are answered; tells `answered` of each and gives those targets.
///
/// # Errors
/// The connection cannot be opened.
pub fn until_broken(
    addr: SocketAddr,
    most: usize,
    target: impl Fn(usize) -> String,
    answered: impl Fn(),
) -> Result<Vec<String>> {
    let mut connection = Connection::open(addr)?;
    let mut targets = Vec::new();
    for number in 0..most {
        let target = target(number);
        if connection.send("GET", &target, &[], b"").is_err() {
            break;
        }
        answered();
        targets.push(target);
    }
    Ok(targets)
}

struct Pool {
    addr: SocketAddr,
    connection: Option<Connection>,
}

impl Pool {
    fn send(&mut self, method: &str, target: &str) -> Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.addr)?,
        };
        let response = connection
            .send(method, target, &[], b"")
            .with_context(|| format!("{method} {target}"))?;
        if response.keep_alive {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}
