//! Sends to a whole backend and checks what it answers, and that the check sees what is
//! wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use async_trait::async_trait;
use carafe_api::StatusSource;
use carafe_gen::check::{CheckReport, check, check_acknowledged};
use carafe_gen::send::{Report, SendConfig, send};
use carafe_gen::{Acknowledged, Fraction, Recipe, Signals, World};
use carafe_nodes::exporter::otlp::{Compression, Endpoint, OtlpConfig, Protocol};
use carafe_nodes::receiver::listen::Listener;
use carafe_nodes::receiver::otlp::{Config, Limits, OtlpReceiver};
use carafe_nodes::store_consumer::StoreConsumer;
use carafe_pipeline::{Accepted, Consumer, Refusal, RefusalKind};
use carafe_store::{MemoryLimits, MemoryStore, Store};
use carafe_telemetry::{Batch, Request, Signal, UnixNanos};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What happens to requests on their way to the store.
type Hook = dyn Fn(u64, Batch) -> Result<Option<Batch>, Refusal> + Send + Sync;

struct Hooked {
    store: StoreConsumer,
    hook: Box<Hook>,
    seen: Mutex<u64>,
}

#[async_trait]
impl Consumer for Hooked {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let number = {
            let mut seen = self.seen.lock();
            *seen += 1;
            *seen
        };
        match (self.hook)(number, batch)? {
            Some(batch) => self.store.consume(batch).await,
            None => Ok(Accepted::default()),
        }
    }
}

/// A store with receivers and query APIs.
struct Backend {
    receiver: (String, String),
    query: String,
    cancel: CancellationToken,
}

impl Backend {
    async fn start(
        hook: impl Fn(u64, Batch) -> Result<Option<Batch>, Refusal> + Send + Sync + 'static,
    ) -> Self {
        // An error only says that a provider is set.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store: Arc<dyn Store> =
            Arc::new(MemoryStore::new(MemoryLimits::with_max_bytes(1 << 30)));
        let cancel = CancellationToken::new();
        let any = "127.0.0.1:0".to_owned();
        let config = Config { grpc: any.clone(), http: any.clone(), limits: Limits::default() };
        let receiver = OtlpReceiver::bind(&config).await.unwrap();
        let addresses = (
            format!("http://{}", receiver.grpc_addr()),
            format!("http://{}", receiver.http_addr()),
        );
        let consumer = Hooked {
            store: StoreConsumer::new(Arc::clone(&store)),
            hook: Box::new(hook),
            seen: Mutex::default(),
        };
        tokio::spawn(receiver.serve(Arc::new(consumer), cancel.clone()));
        let listener = Listener::bind("query", &any).await.unwrap();
        let query = format!("http://{}", listener.local_addr());
        let router = carafe_api::router(store, StatusSource::new("1", cancel.clone()));
        tokio::spawn(listener.serve_http(router, cancel.clone(), Duration::from_secs(1)));
        Self { receiver: addresses, query, cancel }
    }

    fn config(&self, protocol: Protocol) -> SendConfig {
        let endpoint = match protocol {
            Protocol::Grpc => Endpoint::grpc(&self.receiver.0, true),
            _ => Endpoint::http_base(&self.receiver.1),
        };
        SendConfig {
            otlp: OtlpConfig::new(endpoint.unwrap(), protocol),
            connections: 3,
            rate: None,
            retry_for: Duration::from_secs(60),
            acks: None,
        }
    }

    async fn send(&self, world: &Arc<World>, config: &SendConfig) -> Report {
        send(Arc::clone(world), config, CancellationToken::new()).await.unwrap()
    }

    async fn check(&self, world: &Arc<World>) -> CheckReport {
        check(Arc::clone(world), &self.query, 10).await.unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn recipe(spans: u64) -> Recipe {
    Recipe {
        seed: 11,
        spans,
        // 2026-01-01T00:00:00Z.
        start: UnixNanos(1_767_225_600_000_000_000),
        range: Duration::from_secs(3_600),
        signals: Signals::ALL,
        batch: 200,
        late: Fraction::NONE,
        duplicate: Fraction::NONE,
        skew: Fraction::NONE,
    }
}

fn world(recipe: Recipe) -> Arc<World> {
    Arc::new(World::new(recipe))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_right_shows_no_difference() {
    let backend = Backend::start(|_, batch| Ok(Some(batch))).await;
    let fraction = |value| Fraction::new(value).unwrap();
    let world = world(Recipe {
        late: fraction(0.1),
        duplicate: fraction(0.2),
        skew: fraction(0.05),
        ..recipe(15_000)
    });
    let mut config = backend.config(Protocol::HttpProtobuf);
    config.otlp.compression = Compression::Gzip;
    let report = backend.send(&world, &config).await;
    assert_eq!(report.lost(), 0, "{report}");
    assert!(report.accepted() > 15_000, "{report}");
    let checked = backend.check(&world).await;
    assert_eq!(checked.differences(), 0, "{checked}");
    assert!(checked.compared() > 5_000, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_telemetry_differs_everywhere() {
    let backend = Backend::start(|_, batch| Ok(Some(batch))).await;
    let sent = world(recipe(4_000));
    backend.send(&sent, &backend.config(Protocol::Grpc)).await;
    let other = world(Recipe { seed: 12, ..recipe(4_000) });
    let checked = backend.check(&other).await;
    assert!(checked.differences() > 300, "{checked}");
}

/// Takes away what `lose` names from the first request of a signal that has it.
async fn losing(
    signal: Signal,
    lose: impl Fn(&mut Request) -> bool + Send + Sync + 'static,
) -> CheckReport {
    let lost = Mutex::new(false);
    let backend = Backend::start(move |_, batch| {
        let mut lost = lost.lock();
        if *lost || batch.signal != signal {
            return Ok(Some(batch));
        }
        let mut request = batch.decode().unwrap();
        *lost = lose(&mut request);
        Ok(Some(request.encode()))
    })
    .await;
    let world = world(recipe(3_000));
    backend.send(&world, &backend.config(Protocol::Grpc)).await;
    backend.check(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_span_is_seen() {
    let checked = losing(Signal::Traces, |request| {
        let Request::Traces(request) = request else { return false };
        request.resource_spans[0].scope_spans[0].spans.pop().is_some()
    })
    .await;
    assert!(checked.differences() >= 3, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_log_record_is_seen() {
    let checked = losing(Signal::Logs, |request| {
        let Request::Logs(request) = request else { return false };
        request.resource_logs[0].scope_logs[0].log_records.pop().is_some()
    })
    .await;
    assert!(checked.differences() >= 1, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_sent_again_until_they_are_accepted() {
    let backend = Backend::start(|number, batch| {
        if number % 5 == 0 {
            let mut refusal = Refusal::new(RefusalKind::Unavailable, "not now");
            refusal.retry_after = Some(Duration::from_secs(1));
            return Err(refusal);
        }
        Ok(Some(batch))
    })
    .await;
    let world = world(recipe(3_000));
    let report = backend.send(&world, &backend.config(Protocol::HttpProtobuf)).await;
    assert_eq!(report.lost(), 0, "{report}");
    assert!(!report.to_string().contains(" 0 retries"), "{report}");
    let checked = backend.check(&world).await;
    assert_eq!(checked.differences(), 0, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_counted() {
    let backend = Backend::start(|_, _| Err(Refusal::new(RefusalKind::InvalidData, "never"))).await;
    let world = world(recipe(500));
    let report = backend.send(&world, &backend.config(Protocol::Grpc)).await;
    assert_eq!(report.accepted(), 0, "{report}");
    assert!(report.lost() > 500 && report.to_string().contains("never"), "{report}");
}

/// Sends with a file of acknowledgements; what it says then.
async fn send_noted(backend: &Backend, world: &Arc<World>, acks: &Path) -> Acknowledged {
    let config = SendConfig { acks: Some(acks.to_owned()), ..backend.config(Protocol::Grpc) };
    backend.send(world, &config).await;
    Acknowledged::read(acks).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_acknowledged_is_demanded() {
    let folder = tempfile::tempdir().unwrap();
    let acks = folder.path().join("acks");
    let backend = Backend::start(|number, batch| match number {
        1..=12 => Ok(Some(batch)),
        _ => Err(Refusal::new(RefusalKind::Internal, "broken")),
    })
    .await;
    let world = world(recipe(6_000));
    let acknowledged = send_noted(&backend, &world, &acks).await;
    assert_eq!(acknowledged.requests.len(), 12);
    let report =
        check_acknowledged(Arc::clone(&world), &acknowledged, &backend.query, 10).await.unwrap();
    assert_eq!(report.differences(), 0, "{report}");
    assert!(report.compared() > 1_000, "{report}");
    assert!(backend.check(&world).await.differences() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_request_that_is_missing_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let acks = folder.path().join("acks");
    let backend = Backend::start(|number, batch| Ok((number != 3).then_some(batch))).await;
    let world = world(recipe(3_000));
    let acknowledged = send_noted(&backend, &world, &acks).await;
    let report =
        check_acknowledged(Arc::clone(&world), &acknowledged, &backend.query, 10).await.unwrap();
    let json = report.to_json();
    assert!(json["missing"].as_u64() > Some(0), "{report}");
    assert_eq!((&json["altered"], &json["duplicates"]), (&0.into(), &0.into()), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_with_what_was_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let acks = folder.path().join("acks");
    let world = world(recipe(4_000));
    let backend = Backend::start(|number, batch| match number {
        4..=10 => Err(Refusal::new(RefusalKind::Internal, "broken")),
        _ => Ok(Some(batch)),
    })
    .await;
    let first = send_noted(&backend, &world, &acks).await;
    let second = send_noted(&backend, &world, &acks).await;
    assert_eq!(second.requests.len(), first.requests.len() + 7);
    let checked = backend.check(&world).await;
    assert_eq!(checked.differences(), 0, "{checked}");
}

#[test]
fn percentiles_are_checked_as_the_store_promises_them() {
    assert_eq!(carafe_store::PERCENTILE_RELATIVE_ERROR, 1.0 / 64.0);
}
