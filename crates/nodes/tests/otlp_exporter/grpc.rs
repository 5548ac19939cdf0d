//! OTLP over gRPC.

use crate::certificates::Authority;
use crate::grpc_server::GrpcServer;
use crate::{PLENTY, batch, partial_success, rpc_status, send};
use carafe_nodes::exporter::otlp::{
    Compression, Endpoint, OtlpConfig, OtlpExporter, Protocol, TlsConfig,
};
use carafe_pipeline::{Accepted, Consumer, RefusalKind, Retry, RetryPolicy};
use carafe_telemetry::Signal;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Code, Status};

fn config(server: &GrpcServer) -> OtlpConfig {
    let endpoint = Endpoint::grpc(&server.address.to_string(), true).unwrap();
    OtlpConfig { timeout: PLENTY, ..OtlpConfig::new(endpoint, Protocol::Grpc) }
}

#[tokio::test]
async fn sends_the_bytes_as_they_are() {
    let server = GrpcServer::start([], None).await;
    let mut config = config(&server);
    config.headers =
        vec![("authorization".into(), "Bearer abc".into()), ("X-Team".into(), "coffee".into())];
    let exporter = OtlpExporter::new(&config).unwrap();
    for signal in Signal::ALL {
        assert_eq!(exporter.consume(batch(signal)).await, Ok(Accepted::default()));
    }
    let received = server.received();
    for (received, signal) in received.iter().zip(Signal::ALL) {
        assert_eq!(received.message, batch(signal).bytes);
        let header = |name| received.metadata.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("authorization"), "Bearer abc");
        assert_eq!(header("x-team"), "coffee");
        let user_agent = concat!("carafe/", env!("CARGO_PKG_VERSION"));
        assert!(header("user-agent").starts_with(user_agent));
        assert!(received.metadata.get("grpc-timeout").is_some());
        assert!(received.metadata.get("grpc-encoding").is_none());
    }
    let paths: Vec<_> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ]
    );
}

#[tokio::test]
async fn compresses() {
    let server = GrpcServer::start([], None).await;
    for (compression, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let config = OtlpConfig { compression, ..config(&server) };
        send(&config, batch(Signal::Traces)).await.unwrap();
        let received = server.received();
        assert_eq!(received[0].metadata.get("grpc-encoding").unwrap(), name);
        assert_eq!(received[0].message, batch(Signal::Traces).bytes);
    }
}

#[tokio::test]
async fn codes_become_refusals() {
    use RefusalKind::{Internal, InvalidData, TooLarge, Unauthenticated, Unavailable};
    let codes = [
        (Code::Cancelled, Unavailable),
        (Code::Unknown, Internal),
        (Code::InvalidArgument, InvalidData),
        (Code::DeadlineExceeded, Unavailable),
        (Code::NotFound, Internal),
        (Code::PermissionDenied, Unauthenticated),
        (Code::ResourceExhausted, TooLarge),
        (Code::FailedPrecondition, Internal),
        (Code::Aborted, Unavailable),
        (Code::OutOfRange, Unavailable),
        (Code::Unimplemented, Internal),
        (Code::Internal, Internal),
        (Code::Unavailable, Unavailable),
        (Code::DataLoss, Unavailable),
        (Code::Unauthenticated, Unauthenticated),
    ];
    let answers = codes.map(|(code, _)| Err(Status::new(code, "because")));
    let server = GrpcServer::start(answers, None).await;
    let exporter = OtlpExporter::new(&config(&server)).unwrap();
    for (code, kind) in codes {
        let refusal = exporter.consume(batch(Signal::Logs)).await.unwrap_err();
        assert_eq!(refusal.kind, kind, "{code:?}");
        let expected = format!("http://{} answers {code:?}: because", server.address);
        assert_eq!(refusal.message, expected);
        assert_eq!(refusal.retry_after, None);
    }
}

#[tokio::test]
async fn retry_info_is_honoured() {
    let answer = |code, number| {
        let details = rpc_status(number, "slow down", Some(7));
        Err(Status::with_details(code, "slow down", details))
    };
    let answers = [answer(Code::ResourceExhausted, 8), answer(Code::Unavailable, 14)];
    let server = GrpcServer::start(answers, None).await;
    for kind in [RefusalKind::Exhausted, RefusalKind::Unavailable] {
        let refusal = send(&config(&server), batch(Signal::Traces)).await.unwrap_err();
        assert_eq!(refusal.kind, kind);
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn retry_repeats_after_unavailable() {
    let away = || Err(Status::unavailable("restarting"));
    let server = GrpcServer::start([away(), away()], None).await;
    let policy = RetryPolicy { initial_interval: Duration::from_millis(5), ..Default::default() };
    let exporter = OtlpExporter::new(&config(&server)).unwrap();
    let retry = Retry::new("otlp", exporter, policy, CancellationToken::new());
    assert_eq!(retry.consume(batch(Signal::Traces)).await, Ok(Accepted::default()));
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|received| received.message == batch(Signal::Traces).bytes));
}

#[tokio::test]
async fn partial_success_is_accepted() {
    let answers = [(3, "too old"), (0, "nearly full")];
    let server =
        GrpcServer::start(answers.map(|(n, text)| Ok(partial_success(n, text))), None).await;
    for (rejected, message) in answers {
        let accepted = send(&config(&server), batch(Signal::Traces)).await;
        let rejected_items = u64::from(rejected);
        assert_eq!(accepted, Ok(Accepted { rejected_items, message: message.into() }));
    }
}

#[tokio::test]
async fn connects_again_after_the_server_restarted() {
    let server = GrpcServer::start([], None).await;
    let (address, config) = (server.address, config(&server));
    let exporter = OtlpExporter::new(&config).unwrap();
    exporter.consume(batch(Signal::Traces)).await.unwrap();
    drop(server);

    let policy = RetryPolicy {
        initial_interval: Duration::from_millis(10),
        max_interval: Duration::from_millis(50),
        max_elapsed: Some(PLENTY),
        ..Default::default()
    };
    let retry = Retry::new("otlp", exporter, policy, CancellationToken::new());
    let server = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break GrpcServer::serve(listener, [], None),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    // The old connection may take a last request before it is closed.
    let deadline = Instant::now() + PLENTY;
    while server.received().is_empty() {
        assert!(Instant::now() < deadline, "the new server gets nothing");
        assert_eq!(retry.consume(batch(Signal::Logs)).await, Ok(Accepted::default()));
    }
}

#[tokio::test]
async fn tls_with_an_authority_of_our_own() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&identity.cert, &identity.key));
    let server = GrpcServer::start([], Some(tls)).await;
    let port = server.address.port();
    // No scheme and not insecure: TLS.
    let endpoint = Endpoint::grpc(&format!("localhost:{port}"), false).unwrap();
    let mut config = OtlpConfig { timeout: PLENTY, ..OtlpConfig::new(endpoint, Protocol::Grpc) };

    config.tls.ca_file = Some(authority.file());
    send(&config, batch(Signal::Traces)).await.unwrap();
    assert_eq!(server.received()[0].message, batch(Signal::Traces).bytes);

    let other = Authority::new();
    config.tls.ca_file = Some(other.file());
    let refusal = send(&config, batch(Signal::Traces)).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
    let expected = format!("tls with https://localhost:{port} failed: invalid peer certificate");
    assert!(refusal.message.starts_with(&expected), "{}", refusal.message);

    config.tls.insecure_skip_verify = true;
    send(&config, batch(Signal::Traces)).await.unwrap();
}

#[tokio::test]
async fn tls_with_a_client_certificate() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&identity.cert, &identity.key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let server = GrpcServer::start([], Some(tls)).await;
    let url = format!("https://localhost:{}", server.address.port());
    let mut config = OtlpConfig::new(Endpoint::grpc(&url, true).unwrap(), Protocol::Grpc);
    config.timeout = PLENTY;
    config.tls = TlsConfig { ca_file: Some(authority.file()), ..Default::default() };
    let refusal = send(&config, batch(Signal::Traces)).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
    assert!(refusal.message.contains("tls"), "{}", refusal.message);

    let client = authority.sign("agent");
    config.tls.cert_file = Some(client.cert_file);
    config.tls.key_file = Some(client.key_file);
    send(&config, batch(Signal::Traces)).await.unwrap();
    assert_eq!(server.received().len(), 1);
}
