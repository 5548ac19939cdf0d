//! The backend: receivers in front of a store, query APIs, UI and self-telemetry over it.
//!
//! `carafe up` runs it as a program; `carafe run` and `carafe demo` host it in their own
//! process and feed it through [`Backend::consumer`], with no network between.

use crate::store_options::{OpenStore, StoreChoice};
use crate::telemetry_endpoint::{self, SelfTelemetry};
use carafe_launch::rings::ReaderCounters;
use carafe_nodes::receiver::listen::{BindError, Listener};
use carafe_nodes::receiver::otlp::{self, OtlpReceiver};
use carafe_nodes::store_consumer::StoreConsumer;
use carafe_pipeline::Consumer;
use carafe_store::{StoreError, StoreErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long queries under way may take to finish at shutdown. A live stream never ends by
/// itself, so this is short.
const QUERY_DRAIN: Duration = Duration::from_secs(1);

/// How long the store may take to write its recent data to files at shutdown. What it does not
/// manage is in its log, and is read from there at the next start.
const STORE_CLOSE: Duration = Duration::from_secs(10);

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

/// Where the backend listens (`host:port`, port 0 for a free one), and where it keeps telemetry.
#[derive(Clone, Debug)]
pub(crate) struct BackendConfig {
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
    pub(crate) query: String,
    pub(crate) telemetry: String,
    pub(crate) store: StoreChoice,
}

/// Why the backend cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// A port that cannot be bound.
    #[error("{fault}; hint: choose another address with {}", .component.flag())]
    Port {
        component: Component,
        #[source]
        fault: BindError,
    },
    /// A store that cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackendError {
    /// Whether it is about this component's port.
    pub(crate) fn is_about(&self, port: Component) -> bool {
        matches!(self, Self::Port { component, .. } if *component == port)
    }
}

/// A backend whose ports are all bound and whose store is open. Dropping it closes them.
pub(crate) struct Backend {
    receiver: OtlpReceiver,
    query: Listener,
    telemetry: Listener,
    store: OpenStore,
    consumer: Arc<StoreConsumer>,
}

impl Backend {
    /// Binds every port, or says what is wrong with each of them and leaves none open. Then
    /// opens the store.
    pub(crate) async fn bind(config: BackendConfig) -> Result<Self, Vec<BackendError>> {
        let BackendConfig { otlp_grpc, otlp_http, query, telemetry, store } = config;
        let limits = otlp::Limits::default();
        let receiver =
            OtlpReceiver::bind(&otlp::Config { grpc: otlp_grpc, http: otlp_http, limits }).await;
        let query = Listener::bind(Component::Query.name(), &query).await;
        let telemetry = Listener::bind(Component::Telemetry.name(), &telemetry).await;
        match (receiver, query, telemetry) {
            (Ok(receiver), Ok(query), Ok(telemetry)) => {
                let store = open(store).await.map_err(|error| vec![error.into()])?;
                let consumer = Arc::new(StoreConsumer::new(store.store()));
                let backend = Self { receiver, query, telemetry, store, consumer };
                backend.tell_address();
                Ok(backend)
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

    /// Who finds the data directory taken is told where its data can be seen.
    fn tell_address(&self) {
        if let OpenStore::Local(store) = &self.store
            && let Err(error) =
                store.set_addresses(vec![format!("http://{}", self.query.local_addr())])
        {
            tracing::warn!("{error}");
        }
    }

    /// Where its store keeps telemetry, unless that is memory.
    pub(crate) fn data_directory(&self) -> Option<&Path> {
        match &self.store {
            OpenStore::Memory(_) => None,
            OpenStore::Local(store) => Some(store.directory()),
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

    /// Serves until `cancel`, lets what is under way finish within `drain` and named deadlines of
    /// its own, then closes the store. `agent` has the counters of an agent in this process.
    pub(crate) async fn serve(
        self,
        cancel: CancellationToken,
        drain: Duration,
        agent: Option<Arc<ReaderCounters>>,
    ) {
        let consumer = self.consumer();
        let exporters = vec![("store", self.consumer.counters())];
        let own =
            SelfTelemetry::new(self.receiver.counters(), exporters, self.store.store(), agent);
        let version = env!("CARGO_PKG_VERSION");
        let status = carafe_api::StatusSource::new(version, cancel.clone());
        let query = carafe_api::router(self.store.store(), status).merge(carafe_ui::router());
        let telemetry = telemetry_endpoint::router(own);
        let serving = async {
            tokio::join!(
                self.receiver.serve(consumer, cancel.clone()),
                self.query.serve_http(query, cancel.clone(), QUERY_DRAIN),
                self.telemetry.serve_http(telemetry, cancel.clone(), QUERY_DRAIN),
            );
        };
        let deadline = async {
            cancel.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            () = serving => {}
            () = deadline => {}
        }
        match tokio::time::timeout(STORE_CLOSE, self.store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("recent data stays in the log: {error}"),
            Err(_) => tracing::warn!(
                "recent data stays in the log: it was not written to files within {STORE_CLOSE:?}"
            ),
        }
    }
}

/// Opening reads the log, which may be long.
async fn open(store: StoreChoice) -> Result<OpenStore, StoreError> {
    tokio::task::spawn_blocking(move || store.open()).await.unwrap_or_else(|error| {
        let message = format!("opening the store failed: {error}");
        Err(StoreError::new(StoreErrorKind::Internal, message))
    })
}

impl From<BindError> for BackendError {
    fn from(fault: BindError) -> Self {
        let all =
            [Component::OtlpGrpc, Component::OtlpHttp, Component::Query, Component::Telemetry];
        let component = all.into_iter().find(|component| component.name() == fault.component);
        Self::Port { component: component.unwrap_or(Component::Query), fault }
    }
}
