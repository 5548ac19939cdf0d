//! OTLP/gRPC: the three `Export` calls.
//!
//! The transport is tonic's. The unary call is read here rather than through a codec, so that a
//! message is never decoded and its bytes count against the same budget as those of HTTP.

use super::body::{self, Encoding};
use super::counters::Transport;
use super::ingest::Ingest;
use super::{response, status};
use crate::receiver::listen::{Listener, within};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use carafe_pipeline::{Refusal, RefusalKind};
use carafe_telemetry::Signal;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// One byte that says whether the message is compressed, four with its length.
const PREFIX_BYTES: usize = 5;

/// Calls that one connection may have open at once; more wait on the client's side.
const MAX_STREAMS_PER_CONNECTION: u32 = 256;

/// Metadata of one call, in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// A connection on which nothing moves is asked for a sign of life this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// Messages are compressed with what gRPC's own libraries offer.
const ACCEPTED_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,deflate,zstd");

pub(crate) async fn serve(
    listener: Listener,
    ingest: Arc<Ingest>,
    cancel: CancellationToken,
    drain: Duration,
) -> Result<(), tonic::transport::Error> {
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .add_routes(Routes::from(routes(ingest)))
        .serve_with_incoming_shutdown(listener.into_stream(), cancel.clone().cancelled_owned());
    within(server, cancel, drain).await
}

/// The full name of the service that takes `signal`.
pub(crate) fn service_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "opentelemetry.proto.collector.trace.v1.TraceService",
        Signal::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService",
        Signal::Logs => "opentelemetry.proto.collector.logs.v1.LogsService",
    }
}

fn routes(ingest: Arc<Ingest>) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let handler = move |State(ingest): State<Arc<Ingest>>, request: Request| async move {
            export(&ingest, signal, request).await
        };
        router = router.route(&format!("/{}/Export", service_name(signal)), post(handler));
    }
    let unknown = |request: Request| async move {
        let message = format!("this server has no method {}", request.uri().path());
        tonic::Status::unimplemented(message).into_http::<Body>()
    };
    router.fallback(unknown).with_state(ingest)
}

async fn export(ingest: &Ingest, signal: Signal, request: Request) -> Response {
    if !is_grpc(request.headers()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Some(encoding) = encoding(request.headers()) else {
        let message = "the grpc-encoding of the message is none of gzip, deflate, zstd, identity";
        let mut response = tonic::Status::unimplemented(message).into_http::<Body>();
        response.headers_mut().insert("grpc-accept-encoding", ACCEPTED_ENCODINGS);
        return response;
    };
    let result = take(ingest, signal, encoding, request.into_body()).await;
    ingest.count_request(Transport::Grpc, &result);
    match result {
        Ok(message) => unary(message),
        Err(refusal) => {
            tracing::debug!(%signal, %refusal, "refused an OTLP/gRPC request");
            status::grpc_status(&refusal).into_http()
        }
    }
}

/// Reads, hands on and answers; the answer is the response's message.
async fn take(
    ingest: &Ingest,
    signal: Signal,
    encoding: Encoding,
    request: Body,
) -> Result<Vec<u8>, Refusal> {
    let limit = ingest.limits.max_request_bytes;
    let mut memory = ingest.memory.reserve();
    let framed = body::read(request, limit.saturating_add(PREFIX_BYTES), &mut memory).await?;
    let (compressed, message) = unframe(framed)?;
    let encoding = if compressed { encoding } else { Encoding::Identity };
    let (message, _memory) = body::uncompress(encoding, message, limit, memory).await?;
    let accepted = ingest.consume(Transport::Grpc, signal, message).await?;
    Ok(response::protobuf(signal, accepted))
}

/// Takes the one message of a unary call out of its frame.
fn unframe(mut framed: Bytes) -> Result<(bool, Bytes), Refusal> {
    let bad = |message: String| Refusal::new(RefusalKind::InvalidData, message);
    let Some(prefix) = framed.first_chunk::<PREFIX_BYTES>() else {
        return Err(bad(format!("a gRPC message of {} bytes has no prefix", framed.len())));
    };
    let [flag, length @ ..] = *prefix;
    let message = framed.split_off(PREFIX_BYTES);
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(bad(format!(
            "the gRPC prefix announces {} bytes, {} followed",
            u32::from_be_bytes(length),
            message.len()
        )));
    }
    match flag {
        0 => Ok((false, message)),
        1 => Ok((true, message)),
        _ => Err(bad(format!("{flag} is no gRPC compression flag"))),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value.strip_prefix("application/grpc").is_some_and(|rest| {
            rest.is_empty()
                || rest == "+proto"
                || rest.starts_with(';')
                || rest.starts_with("+proto;")
        })
    })
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    match headers.get("grpc-encoding") {
        None => Some(Encoding::Identity),
        Some(value) => Encoding::parse(value.to_str().ok()?),
    }
}

/// A response with one message and the trailers of success.
fn unary(message: Vec<u8>) -> Response {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    // A response holds two short fields: its length never leaves 32 bits.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    let trailers = HeaderMap::from_iter([(
        header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let frames = [Frame::data(framed.freeze()), Frame::trailers(trailers)];
    let frames = futures::stream::iter(frames.map(Ok::<_, Infallible>));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", ACCEPTED_ENCODINGS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_must_be_whole() {
        assert_eq!(unframe(Bytes::from_static(b"\0\0\0\0\0")), Ok((false, Bytes::new())));
        assert_eq!(unframe(Bytes::from_static(b"\x01\0\0\0\x01x")), Ok((true, "x".into())));
        for bad in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x02x", b"\0\0\0\0\0x", b"\x02\0\0\0\0"] {
            let refusal = unframe(Bytes::from_static(bad)).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::InvalidData, "{bad:?}");
        }
    }
}
