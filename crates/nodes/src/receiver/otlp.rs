//! The OTLP receiver: gRPC and HTTP, one consumer behind both.

mod body;
mod counters;
mod grpc;
mod http;
mod ingest;
mod limits;
mod response;
mod status;

pub use counters::{Outcome, ReceiverCounters, Transport};
pub use limits::{DEFAULT_IN_FLIGHT_BYTES, DEFAULT_MAX_REQUEST_BYTES, Limits, RETRY_AFTER};

use super::listen::{BindError, Listener};
use carafe_pipeline::Consumer;
use ingest::Ingest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What errors call the gRPC port of the receiver.
pub const GRPC_COMPONENT: &str = "OTLP gRPC";

/// What errors call the HTTP port of the receiver.
pub const HTTP_COMPONENT: &str = "OTLP HTTP";

/// How long requests under way may take to finish once the receiver is told to stop.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Where a receiver listens, and how much it takes.
#[derive(Clone, Debug)]
pub struct Config {
    /// `host:port` of OTLP/gRPC.
    pub grpc: String,
    /// `host:port` of OTLP/HTTP.
    pub http: String,
    /// Sizes that it accepts.
    pub limits: Limits,
}

/// A receiver whose ports are bound; clients can connect, and wait until it is served.
#[derive(Debug)]
pub struct OtlpReceiver {
    grpc: Listener,
    http: Listener,
    limits: Limits,
    counters: Arc<ReceiverCounters>,
}

impl OtlpReceiver {
    /// Binds both ports, or says what is wrong with each; on failure neither stays open.
    pub async fn bind(config: &Config) -> Result<Self, Vec<BindError>> {
        let grpc = Listener::bind(GRPC_COMPONENT, &config.grpc).await;
        let http = Listener::bind(HTTP_COMPONENT, &config.http).await;
        match (grpc, http) {
            (Ok(grpc), Ok(http)) => {
                Ok(Self { grpc, http, limits: config.limits, counters: Arc::default() })
            }
            (grpc, http) => Err([grpc.err(), http.err()].into_iter().flatten().collect()),
        }
    }

    /// The address of OTLP/gRPC, with the port that was really chosen.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc.local_addr()
    }

    /// The address of OTLP/HTTP, with the port that was really chosen.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// What it counts; stays readable after the receiver ended.
    pub fn counters(&self) -> Arc<ReceiverCounters> {
        self.counters.clone()
    }

    /// Takes requests until `cancel`, then finishes those under way for [`DRAIN`] at most.
    pub async fn serve(self, consumer: Arc<dyn Consumer>, cancel: CancellationToken) {
        let ingest = Arc::new(Ingest::new(self.limits, self.counters, consumer));
        let http = self.http.serve_http(http::router(ingest.clone()), cancel.clone(), DRAIN);
        let grpc = grpc::serve(self.grpc, ingest, cancel, DRAIN);
        let ((), grpc) = tokio::join!(http, grpc);
        if let Err(error) = grpc {
            tracing::error!(%error, "the OTLP gRPC server stopped");
        }
    }
}
