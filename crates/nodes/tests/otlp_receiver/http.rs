use crate::peer::{Receiver, client, gzip, traces, zlib};
use bytes::Bytes;
use carafe_nodes::receiver::otlp::{Limits, Outcome, Transport};
use carafe_pipeline::{Accepted, Refusal, RefusalKind};
use carafe_telemetry::{Signal, json, otlp};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use reqwest::{Method, Response};
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// `google.rpc.Status` as a client of another make would declare it.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn send(
    receiver: &Receiver,
    path: &str,
    content_type: &str,
    encoding: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> Response {
    let mut request = client(false)
        .post(format!("http://{}{path}", receiver.http))
        .header("content-type", content_type)
        .body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    request.send().await.unwrap()
}

async fn post(receiver: &Receiver, content_type: &str, body: Vec<u8>) -> Response {
    send(receiver, "/v1/traces", content_type, None, body).await
}

fn content_type(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

#[tokio::test]
async fn protobuf_goes_on_as_it_came_in_every_encoding() {
    let receiver = Receiver::start().await;
    let batch = traces(3);
    let plain = batch.bytes.to_vec();
    for (encoding, body) in [
        (None, plain.clone()),
        (Some("identity"), plain.clone()),
        (Some("gzip"), gzip(&plain)),
        (Some("deflate"), zlib(&plain)),
        (Some("zstd"), zstd::encode_all(&plain[..], 0).unwrap()),
    ] {
        let response = send(&receiver, "/v1/traces", PROTOBUF, encoding, body).await;
        assert_eq!(response.status(), 200, "{encoding:?}");
        assert_eq!(content_type(&response), PROTOBUF);
        assert!(response.bytes().await.unwrap().is_empty(), "full success says nothing");
    }
    let batches = receiver.batches();
    assert_eq!(batches.len(), 5);
    assert!(batches.iter().all(|received| *received == batch));
    let counters = &receiver.counters;
    assert_eq!(counters.items(Transport::Http, Outcome::Accepted, Signal::Traces), 15);
    assert_eq!(counters.requests(Transport::Http, Outcome::Accepted), 5);
}

#[tokio::test]
async fn json_becomes_protobuf_and_is_answered_in_json() {
    let receiver = Receiver::start().await;
    let batch = traces(2);
    let body = json::from_batch(&batch).unwrap();
    let response = post(&receiver, "application/json; charset=utf-8", body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(content_type(&response), JSON);
    assert_eq!(response.text().await.unwrap(), "{}");
    assert_eq!(receiver.batches()[0].decode().unwrap(), batch.decode().unwrap());
}

#[tokio::test]
async fn an_empty_request_succeeds_for_every_signal() {
    let receiver = Receiver::start().await;
    for signal in Signal::ALL {
        for (content_type, body) in [(PROTOBUF, ""), (JSON, "{}")] {
            let path = format!("/v1/{signal}");
            let response = send(&receiver, &path, content_type, None, body).await;
            assert_eq!(response.status(), 200, "{signal} {content_type}");
        }
    }
    assert!(receiver.batches().is_empty());
}

#[tokio::test]
async fn partial_success_is_told() {
    let answer = Accepted { rejected_items: 2, message: "too old".into() };
    let receiver = Receiver::answering(Ok(answer)).await;
    let response = post(&receiver, PROTOBUF, traces(3).bytes.to_vec()).await;
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    let partial = otlp::ExportTraceServiceResponse::decode(body).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (2, "too old"));
    let counters = &receiver.counters;
    assert_eq!(counters.items(Transport::Http, Outcome::Accepted, Signal::Traces), 1);
    assert_eq!(counters.items(Transport::Http, Outcome::Refused, Signal::Traces), 2);
}

#[tokio::test]
async fn bad_data_is_400_with_a_status_in_the_requests_encoding() {
    let receiver = Receiver::start().await;
    let response = post(&receiver, PROTOBUF, b"no protobuf".to_vec()).await;
    assert_eq!(response.status(), 400);
    assert_eq!(content_type(&response), PROTOBUF);
    let status = Status::decode(response.bytes().await.unwrap()).unwrap();
    assert_eq!(status.code, 3);
    assert!(status.message.contains("not an OTLP traces request"), "{}", status.message);

    let response = post(&receiver, JSON, b"{\"resourceSpans\": 7}".to_vec()).await;
    assert_eq!(response.status(), 400);
    assert_eq!(content_type(&response), JSON);
    let status: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(status["code"], 3);
    assert!(status["message"].as_str().unwrap().contains("resourceSpans"), "{status}");
    assert_eq!(status["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");

    let response = send(&receiver, "/v1/traces", PROTOBUF, Some("gzip"), "no gzip").await;
    assert_eq!(response.status(), 400);
    assert!(receiver.batches().is_empty());
    assert_eq!(receiver.counters.requests(Transport::Http, Outcome::Failed), 3);
}

#[tokio::test]
async fn what_is_too_large_is_413_before_and_after_decompression() {
    let limits = Limits { max_request_bytes: 1000, ..Limits::default() };
    let receiver = Receiver::with(Ok(Accepted::default()), limits).await;
    let large = traces(100).bytes.to_vec();
    assert!(gzip(&large).len() < limits.max_request_bytes);
    for (encoding, body) in [(None, large.clone()), (Some("gzip"), gzip(&large))] {
        let response = send(&receiver, "/v1/traces", PROTOBUF, encoding, body).await;
        assert_eq!(response.status(), 413, "{encoding:?}");
        let status = Status::decode(response.bytes().await.unwrap()).unwrap();
        assert_eq!(status.code, 8);
    }
    // The same without a Content-Length to judge by.
    let chunks =
        [large.clone(), large].map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))));
    let body = reqwest::Body::wrap(StreamBody::new(futures::stream::iter(chunks)));
    let response = send(&receiver, "/v1/traces", PROTOBUF, None, body).await;
    assert_eq!(response.status(), 413);
    assert!(receiver.batches().is_empty());
}

#[tokio::test]
async fn wrong_types_methods_and_paths_have_a_status_too() {
    let receiver = Receiver::start().await;
    let base = format!("http://{}", receiver.http);
    let text = send(&receiver, "/v1/traces", "text/plain", None, "x").await;
    let coded = send(&receiver, "/v1/traces", PROTOBUF, Some("br"), "x").await;
    let get = client(false).request(Method::GET, format!("{base}/v1/logs")).send().await.unwrap();
    assert_eq!(get.headers()["allow"], "POST");
    let path = client(false).post(format!("{base}/v1/spans")).header("content-type", JSON);
    let path = path.send().await.unwrap();
    for (response, code) in [(text, 415), (coded, 415), (get, 405), (path, 404)] {
        assert_eq!(response.status(), code);
        let protobuf = content_type(&response) == PROTOBUF;
        let body = response.bytes().await.unwrap();
        let message = if protobuf {
            Status::decode(body).unwrap().message
        } else {
            let status: Value = serde_json::from_slice(&body).unwrap();
            status["message"].as_str().unwrap().to_owned()
        };
        assert!(!message.is_empty());
    }
}

#[tokio::test]
async fn refusals_have_the_specifications_codes() {
    use RefusalKind::*;
    for (kind, http, grpc) in [
        (InvalidData, 400, 3),
        (Unauthenticated, 401, 16),
        (Exhausted, 429, 8),
        (TooLarge, 413, 8),
        (Internal, 500, 13),
        (Unavailable, 503, 14),
    ] {
        let mut refusal = Refusal::new(kind, "no room");
        refusal.retry_after = Some(Duration::from_millis(1_200));
        let receiver = Receiver::answering(Err(refusal)).await;
        let response = post(&receiver, PROTOBUF, traces(1).bytes.to_vec()).await;
        assert_eq!(response.status(), http);
        let retry = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(retry, kind.is_retryable().then(|| "2".to_owned()), "{kind:?}");
        let status = Status::decode(response.bytes().await.unwrap()).unwrap();
        assert_eq!((status.code, status.message.as_str()), (grpc, "no room"));
    }
}

#[tokio::test]
async fn memory_is_bounded_and_given_back() {
    let limits = Limits { in_flight_bytes: 64 * 1024, ..Limits::default() };
    let receiver = Receiver::with(Ok(Accepted::default()), limits).await;
    let large = traces(5_000).bytes.to_vec();
    assert!(large.len() > limits.in_flight_bytes);
    let response = post(&receiver, PROTOBUF, large).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    for _ in 0..20 {
        let small = traces(100).bytes.to_vec();
        assert_eq!(post(&receiver, PROTOBUF, small).await.status(), 200);
    }
}

#[tokio::test]
async fn stops_when_told_and_frees_the_port() {
    let mut receiver = Receiver::start().await;
    // An idle keep-alive connection must not hold the server back.
    let client = client(false);
    let url = format!("http://{}/v1/traces", receiver.http);
    let response = client.post(&url).header("content-type", JSON).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 200);
    receiver.cancel.cancel();
    let stopped = tokio::time::timeout(Duration::from_secs(20), &mut receiver.task).await;
    stopped.expect("the server stops").unwrap();
    std::net::TcpListener::bind(receiver.http).expect("the port is free");
}
