//! OTLP over HTTP.

use crate::certificates::Authority;
use crate::http_server::{Answer, HttpServer};
use crate::{PLENTY, batch, partial_success, rpc_status, send};
use bytes::Bytes;
use carafe_nodes::exporter::otlp::{Compression, Endpoint, OtlpConfig, OtlpExporter, Protocol};
use carafe_pipeline::{Accepted, Consumer, RefusalKind};
use carafe_telemetry::Signal;
use http::Method;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

fn config(server: &HttpServer) -> OtlpConfig {
    let endpoint = Endpoint::http_base(&format!("http://{}", server.address)).unwrap();
    OtlpConfig { timeout: PLENTY, ..OtlpConfig::new(endpoint, Protocol::HttpProtobuf) }
}

#[tokio::test]
async fn sends_the_bytes_as_they_are() {
    let server = HttpServer::start([]).await;
    let config = OtlpConfig { headers: vec![("X-Key".into(), "abc".into())], ..config(&server) };
    let exporter = OtlpExporter::new(&config).unwrap();
    for signal in Signal::ALL {
        assert_eq!(exporter.consume(batch(signal)).await, Ok(Accepted::default()));
    }
    let received = server.received();
    for (received, signal) in received.iter().zip(Signal::ALL) {
        assert_eq!(received.method, Method::POST);
        assert_eq!(received.uri.path(), format!("/v1/{signal}"));
        assert_eq!(received.body, batch(signal).bytes);
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        assert_eq!(received.headers["x-key"], "abc");
        let user_agent = concat!("carafe/", env!("CARGO_PKG_VERSION"));
        assert_eq!(received.headers["user-agent"], user_agent);
        assert!(!received.headers.contains_key("content-encoding"));
    }
    assert_eq!(received.len(), 3);
}

#[tokio::test]
async fn the_endpoint_of_one_signal_is_used_as_it_is() {
    let server = HttpServer::start([]).await;
    let url = format!("http://{}/ingest/otlp?tenant=a", server.address);
    let config = OtlpConfig { endpoint: Endpoint::http_exact(&url).unwrap(), ..config(&server) };
    send(&config, batch(Signal::Logs)).await.unwrap();
    assert_eq!(server.received()[0].uri, "/ingest/otlp?tenant=a");
}

#[tokio::test]
async fn compresses() {
    let server = HttpServer::start([]).await;
    for (compression, name) in [
        (Compression::Gzip, "gzip"),
        (Compression::Deflate, "deflate"),
        (Compression::Zstd, "zstd"),
    ] {
        let config = OtlpConfig { compression, ..config(&server) };
        send(&config, batch(Signal::Traces)).await.unwrap();
        let received = server.received();
        assert_eq!(received[0].headers["content-encoding"], name);
        let body = &*received[0].body;
        let mut plain = Vec::new();
        match compression {
            Compression::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
            Compression::Deflate => flate2::read::ZlibDecoder::new(body).read_to_end(&mut plain),
            _ => zstd::Decoder::new(body).unwrap().read_to_end(&mut plain),
        }
        .unwrap();
        assert_eq!(plain, batch(Signal::Traces).bytes);
    }
}

#[tokio::test]
async fn json_follows_the_otlp_encoding() {
    let answer = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#;
    let server = HttpServer::start([Answer::new(200, "application/json", answer)]).await;
    let config = OtlpConfig { protocol: Protocol::HttpJson, ..config(&server) };
    let accepted = send(&config, batch(Signal::Traces)).await;
    assert_eq!(accepted, Ok(Accepted { rejected_items: 1, message: "too old".into() }));
    let received = server.received();
    assert_eq!(received[0].headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    // Ids in hexadecimal, enumerations as numbers.
    assert_eq!(span["traceId"], "000102030405060708090a0b0c0d0e0f");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["name"], "GET /");
}

#[tokio::test]
async fn statuses_become_refusals() {
    use RefusalKind::{Exhausted, Internal, InvalidData, TooLarge, Unauthenticated, Unavailable};
    let statuses = [
        (400, InvalidData),
        (401, Unauthenticated),
        (403, Unauthenticated),
        (404, Internal),
        (408, Internal),
        (413, TooLarge),
        (429, Exhausted),
        (500, Internal),
        (501, Internal),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ];
    let answers = statuses.map(|(status, _)| Answer {
        headers: vec![("retry-after", "7".to_owned())],
        ..Answer::new(status, "text/plain", "")
    });
    let server = HttpServer::start(answers).await;
    let exporter = OtlpExporter::new(&config(&server)).unwrap();
    for (status, kind) in statuses {
        let refusal = exporter.consume(batch(Signal::Metrics)).await.unwrap_err();
        assert_eq!(refusal.kind, kind, "{status}");
        let expected = format!("http://{} answers {status} ", server.address);
        assert!(refusal.message.starts_with(&expected), "{}", refusal.message);
        let retry_after = kind.is_retryable().then_some(Duration::from_secs(7));
        assert_eq!(refusal.retry_after, retry_after, "{status}");
    }
}

#[tokio::test]
async fn says_what_the_server_said() {
    let answer = |content_type, body: Bytes| Answer::new(400, content_type, body);
    let endless = "no\n".repeat(2_000_000);
    let server = HttpServer::start([
        answer("application/x-protobuf", rpc_status(3, "no spans", None)),
        answer("application/json", r#"{"code":3,"message":"no spans"}"#.into()),
        answer("text/plain; charset=utf-8", "no \u{1b}[31mspans\n".into()),
        answer("text/plain", endless.into()),
    ])
    .await;
    let exporter = OtlpExporter::new(&config(&server)).unwrap();
    let mut said = Vec::new();
    for _ in 0..4 {
        let refusal = exporter.consume(batch(Signal::Traces)).await.unwrap_err();
        said.push(refusal.message.split_once(" Bad Request: ").unwrap().1.to_owned());
    }
    assert_eq!(said[..3], ["no spans", "no spans", "no  [31mspans"]);
    assert_eq!(said[3].len(), 300);
}

#[tokio::test]
async fn partial_success_is_accepted() {
    let body = partial_success(2, "too new");
    let server = HttpServer::start([Answer::new(200, "application/x-protobuf", body)]).await;
    let accepted = send(&config(&server), batch(Signal::Traces)).await;
    assert_eq!(accepted, Ok(Accepted { rejected_items: 2, message: "too new".into() }));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = HttpServer::start([]).await;
    let location = format!("http://{}/", other.address);
    let redirect = Answer {
        headers: vec![("location", location.clone())],
        ..Answer::new(307, "text/plain", "")
    };
    let server = HttpServer::start([redirect]).await;
    let refusal = send(&config(&server), batch(Signal::Traces)).await.unwrap_err();
    assert!(refusal.message.contains(&format!("use {location} itself")), "{}", refusal.message);
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn tls_with_an_authority_of_our_own() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let certificate = CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let server = HttpServer::start_tls(TlsAcceptor::from(Arc::new(tls))).await;
    let url = format!("https://localhost:{}", server.address.port());
    let mut config = OtlpConfig { endpoint: Endpoint::http_base(&url).unwrap(), ..config(&server) };
    config.tls.ca_file = Some(authority.file());
    send(&config, batch(Signal::Traces)).await.unwrap();
    assert_eq!(server.received()[0].body, batch(Signal::Traces).bytes);

    let other = Authority::new();
    config.tls.ca_file = Some(other.file());
    let refusal = send(&config, batch(Signal::Traces)).await.unwrap_err();
    let expected = format!("tls with {url} failed: invalid peer certificate");
    assert!(refusal.message.starts_with(&expected), "{}", refusal.message);
}
