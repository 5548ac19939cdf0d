//! OTLP/HTTP: `POST /v1/{traces,metrics,logs}` in protobuf and JSON.

use super::body::{self, Encoding};
use super::counters::Transport;
use super::ingest::Ingest;
use super::response;
use super::status::RpcStatus;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use carafe_pipeline::{Accepted, Refusal, RefusalKind};
use carafe_telemetry::{Signal, json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// How the message in a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-protobuf") {
            Some(Self::Protobuf)
        } else if essence.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// The routes of the server.
pub(crate) fn router(ingest: Arc<Ingest>) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let handler = move |State(ingest): State<Arc<Ingest>>, request: Request| async move {
            export(&ingest, signal, request).await
        };
        router = router.route(&format!("/v1/{signal}"), post(handler));
    }
    router.method_not_allowed_fallback(wrong_method).fallback(wrong_path).with_state(ingest)
}

async fn export(ingest: &Ingest, signal: Signal, request: Request) -> Response {
    let headers = request.headers();
    let Some(format) = Format::of(headers) else {
        let message = "the content type must be application/x-protobuf or application/json";
        return unsupported(headers, message);
    };
    let encoding = match headers.get(header::CONTENT_ENCODING) {
        None => Some(Encoding::Identity),
        Some(value) => value.to_str().ok().and_then(Encoding::parse),
    };
    let Some(encoding) = encoding else {
        let message = "the content encoding must be gzip, deflate, zstd or identity";
        return unsupported(headers, message);
    };
    let result = take(ingest, signal, format, encoding, request.into_body()).await;
    ingest.count_request(Transport::Http, &result);
    match result {
        Ok(accepted) => {
            let body = match format {
                Format::Protobuf => response::protobuf(signal, accepted),
                Format::Json => response::json(signal, accepted).to_string().into_bytes(),
            };
            answer(StatusCode::OK, format, body)
        }
        Err(refusal) => refused(signal, format, &refusal),
    }
}

async fn take(
    ingest: &Ingest,
    signal: Signal,
    format: Format,
    encoding: Encoding,
    request: Body,
) -> Result<Accepted, Refusal> {
    let limit = ingest.limits.max_request_bytes;
    let mut memory = ingest.memory.reserve();
    let bytes = body::read(request, limit, &mut memory).await?;
    let (bytes, mut memory) = body::uncompress(encoding, bytes, limit, memory).await?;
    let bytes = match format {
        Format::Protobuf => bytes,
        Format::Json => {
            let batch = json::to_batch(signal, &bytes)
                .map_err(|error| Refusal::new(RefusalKind::InvalidData, error.to_string()))?;
            memory.grow(batch.bytes.len())?;
            batch.bytes
        }
    };
    ingest.consume(Transport::Http, signal, bytes).await
}

fn refused(signal: Signal, format: Format, refusal: &Refusal) -> Response {
    tracing::debug!(%signal, %refusal, "refused an OTLP/HTTP request");
    let status = match refusal.kind {
        RefusalKind::InvalidData => StatusCode::BAD_REQUEST,
        RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        RefusalKind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = failure(status, format, &RpcStatus::of(refusal));
    if let Some(delay) = refusal.retry_after.filter(|_| refusal.kind.is_retryable()) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    response
}

/// `Retry-After` counts whole seconds; rounding down would make clients come back too early.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} is not allowed here; use POST", request.method());
    let status = RpcStatus::new(Code::Unimplemented, message);
    let mut response =
        failure(StatusCode::METHOD_NOT_ALLOWED, readable(request.headers()), &status);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn wrong_path(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("nothing at {path}; use /v1/traces, /v1/metrics or /v1/logs");
    let status = RpcStatus::new(Code::NotFound, message);
    failure(StatusCode::NOT_FOUND, readable(request.headers()), &status)
}

fn unsupported(headers: &HeaderMap, message: &str) -> Response {
    let status = RpcStatus::new(Code::InvalidArgument, message);
    let mut response = failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, readable(headers), &status);
    let accepted = HeaderValue::from_static(Encoding::ACCEPTED);
    response.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
    response
}

/// The request's format; JSON where it names neither, for that is what a person can read.
fn readable(headers: &HeaderMap) -> Format {
    Format::of(headers).unwrap_or(Format::Json)
}

fn failure(code: StatusCode, format: Format, status: &RpcStatus) -> Response {
    let body = match format {
        Format::Protobuf => status.encode_to_vec(),
        Format::Json => status.to_json().to_string().into_bytes(),
    };
    answer(code, format, body)
}

fn answer(code: StatusCode, format: Format, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, format.content_type());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_may_have_parameters_and_any_case() {
        let format = |value: &'static str| {
            Format::of(&HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(format("application/json; charset=utf-8"), Some(Format::Json));
        assert_eq!(format("Application/X-Protobuf"), Some(Format::Protobuf));
        assert_eq!(format("text/plain"), None);
        assert_eq!(Format::of(&HeaderMap::new()), None);
    }

    #[test]
    fn retry_after_rounds_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
