//! The backend: receivers in front of a store, query APIs, UI and self-telemetry over it.
//!
//! `carafe up` runs it as a program; `carafe run` and `carafe demo` host it in their own
//! process and feed it through [`Backend::consumer`], with no network between.

use crate::telemetry_endpoint::{self, SelfTelemetry};
use carafe_launch::rings::ReaderCounters;
use carafe_nodes::receiver::listen::{BindError, Listener};
use carafe_nodes::receiver::otlp::{self, OtlpReceiver};
use carafe_nodes::store_consumer::StoreConsumer;
use carafe_pipeline::Consumer;
use carafe_store::{MemoryLimits, MemoryStore, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long queries under way may take to finish at shutdown. A live stream never ends by
/// itself, so this is short.
const QUERY_DRAIN: Duration = Duration::from_secs(1);

/// What the backend listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    OtlpGrpc,
    OtlpHttp,
    Query,
    Telemetry,
}

impl Component {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OtlpGrpc => otlp::GRPC_COMPONENT,
            Self::OtlpHttp => otlp::HTTP_COMPONENT,
            Self::Query => "UI and query APIs",
            Self::Telemetry => "self-telemetry",
        }
    }

    /// Loopback, with the port that each protocol is known by.
    pub(crate) const fn default_addr(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "127.0.0.1:4317",
            Self::OtlpHttp => "127.0.0.1:4318",
            Self::Query => "127.0.0.1:16686",
            Self::Telemetry => "127.0.0.1:8888",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "--otlp-grpc",
            Self::OtlpHttp => "--otlp-http",
            Self::Query => "--query",
            Self::Telemetry => "--telemetry",
        }
    }
}

/// Where the backend listens (`host:port`, port 0 for a free one), and what it may keep.
#[derive(Clone, Debug)]
pub(crate) struct BackendConfig {
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
    pub(crate) query: String,
    pub(crate) telemetry: String,
    pub(crate) store: MemoryLimits,
}

impl Default for BackendConfig {
    fn default() -> Self {
        let addr = |component: Component| component.default_addr().to_owned();
        Self {
            otlp_grpc: addr(Component::OtlpGrpc),
            otlp_http: addr(Component::OtlpHttp),
            query: addr(Component::Query),
            telemetry: addr(Component::Telemetry),
            store: MemoryLimits::default(),
        }
    }
}

/// A port of the backend that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{fault}; hint: choose another address with {}", .component.flag())]
pub(crate) struct BackendError {
    component: Component,
    #[source]
    fault: BindError,
}

impl BackendError {
    /// Which component it is about.
    pub(crate) fn component(&self) -> Component {
        self.component
    }
}

/// A backend whose ports are all bound. Dropping it closes them.
pub(crate) struct Backend {
    receiver: OtlpReceiver,
    query: Listener,
    telemetry: Listener,
    store: Arc<dyn Store>,
    consumer: Arc<StoreConsumer>,
}

impl Backend {
    /// Binds every port, or says what is wrong with each of them and leaves none open.
    pub(crate) async fn bind(config: BackendConfig) -> Result<Self, Vec<BackendError>> {
        let BackendConfig { otlp_grpc, otlp_http, query, telemetry, store } = config;
        let limits = otlp::Limits::default();
        let receiver =
            OtlpReceiver::bind(&otlp::Config { grpc: otlp_grpc, http: otlp_http, limits }).await;
        let query = Listener::bind(Component::Query.name(), &query).await;
        let telemetry = Listener::bind(Component::Telemetry.name(), &telemetry).await;
        match (receiver, query, telemetry) {
            (Ok(receiver), Ok(query), Ok(telemetry)) => {
                let store: Arc<dyn Store> = Arc::new(MemoryStore::new(store));
                let consumer = Arc::new(StoreConsumer::new(store.clone()));
                Ok(Self { receiver, query, telemetry, store, consumer })
            }
            (receiver, query, telemetry) => {
                let mut faults = receiver.err().unwrap_or_default();
                faults.extend(query.err());
                faults.extend(telemetry.err());
                Err(faults.into_iter().map(BackendError::from).collect())
            }
        }
    }

    /// Where one of its components listens, with the port that was really chosen.
    pub(crate) fn addr(&self, component: Component) -> SocketAddr {
        match component {
            Component::OtlpGrpc => self.receiver.grpc_addr(),
            Component::OtlpHttp => self.receiver.http_addr(),
            Component::Query => self.query.local_addr(),
            Component::Telemetry => self.telemetry.local_addr(),
        }
    }

    /// The URL of each component, for people to click on.
    pub(crate) fn urls(&self) -> [(Component, String); 4] {
        let url = |component: Component| format!("http://{}", self.addr(component));
        [
            (Component::OtlpGrpc, url(Component::OtlpGrpc)),
            (Component::OtlpHttp, url(Component::OtlpHttp)),
            (Component::Query, url(Component::Query)),
            (Component::Telemetry, format!("{}/metrics", url(Component::Telemetry))),
        ]
    }

    /// The way into the store for a sender in the same process.
    pub(crate) fn consumer(&self) -> Arc<dyn Consumer> {
        self.consumer.clone()
    }

    /// Serves until `cancel`, then lets what is under way finish within named deadlines. `agent`
    /// has the counters of an agent in this process.
    pub(crate) async fn serve(self, cancel: CancellationToken, agent: Option<Arc<ReaderCounters>>) {
        let consumer = self.consumer();
        let exporters = vec![("store", self.consumer.counters())];
        let own =
            SelfTelemetry::new(self.receiver.counters(), exporters, self.store.clone(), agent);
        let version = env!("CARGO_PKG_VERSION");
        let status = carafe_api::StatusSource::new(version, cancel.clone());
        let query = carafe_api::router(self.store, status).merge(carafe_ui::router());
        tokio::join!(
            self.receiver.serve(consumer, cancel.clone()),
            self.query.serve_http(query, cancel.clone(), QUERY_DRAIN),
            self.telemetry.serve_http(telemetry_endpoint::router(own), cancel, QUERY_DRAIN),
        );
    }
}

impl From<BindError> for BackendError {
    fn from(fault: BindError) -> Self {
        let all =
            [Component::OtlpGrpc, Component::OtlpHttp, Component::Query, Component::Telemetry];
        let component = all.into_iter().find(|component| component.name() == fault.component);
        Self { component: component.unwrap_or(Component::Query), fault }
    }
}
