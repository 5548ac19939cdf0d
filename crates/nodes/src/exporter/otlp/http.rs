//! OTLP over HTTP.

use super::rpc;
use super::{
    Compression, Endpoint, MAX_RESPONSE_BYTES, OtlpConfig, OtlpConfigError, USER_AGENT, connect,
    header_map, response, tls,
};
use bytes::{Bytes, BytesMut};
use carafe_pipeline::{Accepted, Refusal, RefusalKind};
use carafe_telemetry::{Batch, Request};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use prost::Message;
use std::io::{self, Write};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// How much of an error's text is repeated, in characters.
const MAX_REASON_CHARS: usize = 300;

const HINT: &str = "4317 is usually OTLP over gRPC: use port 4318, or the protocol grpc";

/// How the body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

pub(super) struct Sender {
    endpoint: Endpoint,
    client: reqwest::Client,
    encoding: Encoding,
    compression: Compression,
}

impl Sender {
    pub(super) fn new(config: &OtlpConfig, encoding: Encoding) -> Result<Self, OtlpConfigError> {
        let tls = match config.endpoint.is_tls() {
            true => tls::client_config(&config.tls, &[b"h2", b"http/1.1"])?,
            false => tls::unused()?,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .default_headers(header_map(&config.headers)?)
            .timeout(config.timeout)
            // The headers may hold secrets: they go nowhere but to the endpoint.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            endpoint: config.endpoint.clone(),
            client,
            encoding,
            compression: config.compression,
        })
    }

    pub(super) async fn send(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let signal = batch.signal;
        let (content_type, bytes) = match self.encoding {
            Encoding::Protobuf => ("application/x-protobuf", batch.bytes),
            Encoding::Json => ("application/json", json(&batch)?),
        };
        let mut request = self.client.post(self.endpoint.url_for(signal));
        request = request.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(name) = encoding_name(self.compression) {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        let body = compress(self.compression, bytes).map_err(|error| {
            Refusal::new(RefusalKind::Internal, format!("cannot compress: {error}"))
        })?;
        let answer = request.body(body).send().await.map_err(|error| self.failure(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read(answer).await.map_err(|error| self.failure(&error))?;
        if !status.is_success() {
            return Err(self.refusal(status, &headers, &body));
        }
        Ok(match is_json(&headers) {
            true => response::json(signal, &body),
            false => response::protobuf(signal, &body),
        })
    }

    fn failure(&self, error: &reqwest::Error) -> Refusal {
        if error.is_timeout() {
            return connect::no_answer(&self.endpoint);
        }
        connect::failure(&self.endpoint, error, HINT)
    }

    /// OTLP specification, "Failures" of OTLP/HTTP: which statuses may be tried again.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
        let kind = match status.as_u16() {
            400 => RefusalKind::InvalidData,
            401 | 403 => RefusalKind::Unauthenticated,
            413 => RefusalKind::TooLarge,
            429 => RefusalKind::Exhausted,
            502..=504 => RefusalKind::Unavailable,
            _ => RefusalKind::Internal,
        };
        let explanation = if status.is_redirection() {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            format!("redirects are not followed; use {} itself", location.unwrap_or("the target"))
        } else if status == StatusCode::NOT_FOUND {
            "nothing receives OTLP at this path; a base endpoint gets /v1/<signal> appended, \
             the endpoint of one signal is used as it is"
                .to_owned()
        } else {
            reason(headers, body)
        };
        let mut message = format!("{} answers {status}", self.endpoint);
        if !explanation.is_empty() {
            message.push_str(": ");
            message.push_str(&explanation);
        }
        let retry_after = retry_after(headers).filter(|_| kind.is_retryable());
        Refusal { kind, message, retry_after }
    }
}

fn json(batch: &Batch) -> Result<Bytes, Refusal> {
    let request = batch
        .decode()
        .map_err(|error| Refusal::new(RefusalKind::InvalidData, error.to_string()))?;
    let encoded = match &request {
        Request::Traces(request) => serde_json::to_vec(request),
        Request::Metrics(request) => serde_json::to_vec(request),
        Request::Logs(request) => serde_json::to_vec(request),
    };
    encoded
        .map(Bytes::from)
        .map_err(|error| Refusal::new(RefusalKind::InvalidData, format!("not JSON: {error}")))
}

fn encoding_name(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Deflate => Some("deflate"),
        Compression::Zstd => Some("zstd"),
    }
}

fn compress(compression: Compression, bytes: Bytes) -> io::Result<Bytes> {
    let level = flate2::Compression::default();
    Ok(match compression {
        Compression::None => bytes,
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(&bytes)?;
            encoder.finish()?.into()
        }
        Compression::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(&bytes)?;
            encoder.finish()?.into()
        }
        Compression::Zstd => zstd::encode_all(&*bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?.into(),
    })
}

/// The body, or its first [`MAX_RESPONSE_BYTES`].
async fn read(mut answer: reqwest::Response) -> reqwest::Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = MAX_RESPONSE_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_RESPONSE_BYTES {
            break;
        }
    }
    Ok(body.freeze())
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/json")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The message of the `google.rpc.Status` that the specification wants in the body, or
/// whatever text is there instead.
fn reason(headers: &HeaderMap, body: &[u8]) -> String {
    let text = if is_json(headers) {
        let status: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        status["message"].as_str().map(str::to_owned)
    } else if content_type(headers).starts_with("application/x-protobuf") {
        rpc::Status::decode(body).ok().map(|status| status.message)
    } else {
        None
    };
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let printable = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(MAX_REASON_CHARS).collect()
}

/// RFC 9110, section 10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = OffsetDateTime::parse(value, &Rfc2822).ok()? - OffsetDateTime::now_utc();
    Some(until.try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&header("120")), Some(Duration::from_secs(120)));
        let past = retry_after(&header("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(past, Some(Duration::ZERO));
        let future = retry_after(&header("Fri, 31 Dec 2199 23:59:59 GMT")).unwrap();
        assert!(future > Duration::from_secs(86_400));
        assert_eq!(retry_after(&header("soon")), None);
        assert_eq!(retry_after(&header("-5")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
