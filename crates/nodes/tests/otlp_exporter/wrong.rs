//! Wrong addresses, wrong protocols, wrong configurations: what a person is told.

use crate::grpc_server::GrpcServer;
use crate::http_server::{Answer, HttpServer};
use crate::{PLENTY, batch, send};
use carafe_nodes::exporter::otlp::{Compression, Endpoint, OtlpConfig, OtlpExporter, Protocol};
use carafe_pipeline::{Refusal, RefusalKind};
use carafe_telemetry::Signal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn config(url: &str, protocol: Protocol) -> OtlpConfig {
    let endpoint = match protocol {
        Protocol::Grpc => Endpoint::grpc(url, false).unwrap(),
        _ => Endpoint::http_base(url).unwrap(),
    };
    OtlpConfig { timeout: PLENTY, ..OtlpConfig::new(endpoint, protocol) }
}

async fn refusal(url: &str, protocol: Protocol) -> Refusal {
    let refusal = send(&config(url, protocol), batch(Signal::Traces)).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Unavailable, "{}", refusal.message);
    refusal
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, address) = listener().await;
    drop(listener);
    let url = format!("http://{address}");
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let expected = format!("connection refused by {url}; is a receiver running there?");
        assert_eq!(refusal(&url, protocol).await.message, expected);
    }
}

#[tokio::test]
async fn no_such_host() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let message = refusal("http://no-such-host.invalid:4317", protocol).await.message;
        assert!(
            message.starts_with("cannot reach http://no-such-host.invalid:4317: "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn grpc_spoken_to_an_http_port() {
    // One that knows HTTP/2, and one that does not.
    let server = HttpServer::start([Answer::new(404, "text/plain", "")]).await;
    for address in [server.address, http1_only().await] {
        let config = config(&format!("http://{address}"), Protocol::Grpc);
        let refusal = send(&config, batch(Signal::Traces)).await.unwrap_err();
        let message = refusal.message;
        assert!(message.contains("4318 is usually OTLP over HTTP"), "{message}");
        assert!(message.contains(&address.to_string()), "{message}");
    }
}

/// Answers the first connection as HTTP/1.1 servers answer what they do not understand.
async fn http1_only() -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await.unwrap();
        // Reads to the end, so that closing does not reset the connection.
        let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
    });
    address
}

#[tokio::test]
async fn http_spoken_to_a_grpc_port() {
    let server = GrpcServer::start([], None).await;
    let url = format!("http://{}", server.address);
    let message = refusal(&url, Protocol::HttpProtobuf).await.message;
    assert!(message.contains("4317 is usually OTLP over gRPC"), "{message}");
    assert!(message.contains(&url), "{message}");
}

#[tokio::test]
async fn tls_spoken_to_a_plain_port() {
    let server = HttpServer::start([]).await;
    let url = format!("https://{}", server.address);
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let message = refusal(&url, protocol).await.message;
        assert!(
            message.starts_with(&format!("{url} does not speak tls; use http://")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let (_listener, address) = listener().await;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut config = config(&format!("http://{address}"), protocol);
        config.timeout = Duration::from_millis(50);
        let started = Instant::now();
        let refusal = send(&config, batch(Signal::Traces)).await.unwrap_err();
        assert!(started.elapsed() < PLENTY);
        assert_eq!(refusal.kind, RefusalKind::Unavailable);
        assert!(refusal.message.starts_with("no answer from http://127.0.0.1"));
    }
}

#[tokio::test]
async fn configurations_that_cannot_work() {
    let error = |change: fn(&mut OtlpConfig)| {
        let mut config = config("https://localhost:4317", Protocol::Grpc);
        change(&mut config);
        OtlpExporter::new(&config).err().unwrap().to_string()
    };
    let name = error(|config| config.headers.push(("a b".into(), "c".into())));
    assert_eq!(name, "\"a b\" cannot be the name of a header");
    let value = error(|config| config.headers.push(("key".into(), "secret\n".into())));
    assert_eq!(value, "the value of header \"key\" has characters that headers cannot have");
    let deflate = error(|config| config.compression = Compression::Deflate);
    assert_eq!(deflate, "deflate is for http only; use gzip or zstd with grpc");
    let half = error(|config| config.tls.cert_file = Some("client.pem".into()));
    assert!(half.starts_with("a client certificate and its key go together"));
    let missing = error(|config| config.tls.ca_file = Some("/no/such/ca.pem".into()));
    assert!(missing.starts_with("cannot use /no/such/ca.pem: "), "{missing}");
    let not_pem = error(|config| {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        config.tls.ca_file = Some(file);
    });
    assert!(not_pem.ends_with("there is no certificate in it; it must be PEM"), "{not_pem}");
}
