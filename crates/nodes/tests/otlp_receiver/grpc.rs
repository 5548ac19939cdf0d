use crate::peer::{Receiver, client, gzip, traces};
use carafe_nodes::receiver::otlp::{Limits, Outcome, Transport};
use carafe_pipeline::{Accepted, Refusal, RefusalKind};
use carafe_telemetry::{Signal, otlp};
use http_body_util::BodyExt;
use prost::Message;
use std::process::Command;
use std::time::Duration;

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// One message in gRPC's frame.
fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(compressed)];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

struct Answer {
    code: i32,
    message: String,
    details: Option<Vec<u8>>,
    body: Vec<u8>,
}

async fn call(receiver: &Receiver, method: &str, encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = client(true)
        .post(format!("http://{}/{method}", receiver.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body);
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let response: http::Response<reqwest::Body> = response.into();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(parts.headers);
    let status = tonic::Status::from_header_map(&trailers).expect("there is a grpc-status");
    let details = status.details().to_vec();
    Answer {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: (!details.is_empty()).then_some(details),
        body: body.to_bytes().to_vec(),
    }
}

#[tokio::test]
async fn messages_go_on_as_they_came() {
    let receiver = Receiver::start().await;
    let batch = traces(4);
    for (encoding, body) in [
        (None, framed(false, &batch.bytes)),
        (Some("gzip"), framed(true, &gzip(&batch.bytes))),
        (Some("gzip"), framed(false, &batch.bytes)),
        (Some("zstd"), framed(true, &zstd::encode_all(&batch.bytes[..], 0).unwrap())),
    ] {
        let answer = call(&receiver, TRACES, encoding, body).await;
        assert_eq!((answer.code, answer.message.as_str()), (0, ""), "{encoding:?}");
        assert_eq!(answer.body, framed(false, b""), "full success says nothing");
    }
    assert!(receiver.batches().iter().all(|received| *received == batch));
    let counters = &receiver.counters;
    assert_eq!(counters.items(Transport::Grpc, Outcome::Accepted, Signal::Traces), 16);
    assert_eq!(counters.requests(Transport::Grpc, Outcome::Accepted), 4);
}

#[tokio::test]
async fn every_signal_has_its_service() {
    let receiver = Receiver::start().await;
    for service in ["trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"] {
        let method = format!("opentelemetry.proto.collector.{service}/Export");
        assert_eq!(call(&receiver, &method, None, framed(false, b"")).await.code, 0, "{service}");
    }
    let unknown = call(&receiver, "some.Other/Method", None, framed(false, b"")).await;
    assert_eq!(unknown.code, tonic::Code::Unimplemented as i32);
    let unknown = call(&receiver, TRACES, Some("br"), framed(true, b"x")).await;
    assert_eq!(unknown.code, tonic::Code::Unimplemented as i32);
}

#[tokio::test]
async fn partial_success_is_told() {
    let answer = Accepted { rejected_items: 1, message: "too old".into() };
    let receiver = Receiver::answering(Ok(answer)).await;
    let answer = call(&receiver, TRACES, None, framed(false, &traces(2).bytes)).await;
    assert_eq!(answer.code, 0);
    let response = otlp::ExportTraceServiceResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 1);
}

#[tokio::test]
async fn bad_messages_are_invalid_arguments() {
    let receiver = Receiver::start().await;
    for (encoding, body) in [
        (None, framed(false, b"no protobuf")),
        (Some("gzip"), framed(true, b"no gzip")),
        (None, b"abc".to_vec()),
    ] {
        let answer = call(&receiver, TRACES, encoding, body).await;
        assert_eq!(answer.code, tonic::Code::InvalidArgument as i32);
        assert!(!answer.message.is_empty());
    }
    assert_eq!(receiver.counters.requests(Transport::Grpc, Outcome::Failed), 3);
}

#[tokio::test]
async fn refusals_have_the_specifications_codes() {
    use RefusalKind::*;
    for (kind, code, retry_info) in [
        (InvalidData, 3, false),
        (Exhausted, 8, true),
        (TooLarge, 8, false),
        (Internal, 13, false),
        (Unavailable, 14, false),
    ] {
        let receiver = Receiver::answering(Err(Refusal::new(kind, "no"))).await;
        let answer = call(&receiver, TRACES, None, framed(false, &traces(1).bytes)).await;
        assert_eq!((answer.code, answer.message.as_str()), (code, "no"));
        let details = answer.details.unwrap_or_default();
        let details = String::from_utf8_lossy(&details);
        assert_eq!(details.contains("google.rpc.RetryInfo"), retry_info, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_exhausted_without_retry() {
    let limits = Limits { max_request_bytes: 1000, ..Limits::default() };
    let receiver = Receiver::with(Ok(Accepted::default()), limits).await;
    let large = traces(100).bytes;
    for (encoding, body) in
        [(None, framed(false, &large)), (Some("gzip"), framed(true, &gzip(&large)))]
    {
        let answer = call(&receiver, TRACES, encoding, body).await;
        assert_eq!(answer.code, tonic::Code::ResourceExhausted as i32);
        assert_eq!(answer.details, None);
    }
}

/// What people see who test the port as the talk does.
#[tokio::test(flavor = "multi_thread")]
async fn curl_says_what_it_says_to_a_grpc_server() {
    let receiver = Receiver::start().await;
    let url = format!("http://{}", receiver.grpc);
    let curl = tokio::task::spawn_blocking(move || {
        Command::new("curl").args(["--max-time", "20", "--noproxy", "*", "-sS", &url]).output()
    });
    let output = curl.await.unwrap().expect("curl is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Received HTTP/0.9 when not allowed"), "{stderr}");
}

#[tokio::test]
async fn stops_when_told_and_frees_the_port() {
    let mut receiver = Receiver::start().await;
    assert_eq!(call(&receiver, TRACES, None, framed(false, b"")).await.code, 0);
    receiver.cancel.cancel();
    let stopped = tokio::time::timeout(Duration::from_secs(20), &mut receiver.task).await;
    stopped.expect("the server stops").unwrap();
    std::net::TcpListener::bind(receiver.grpc).expect("the port is free");
}
