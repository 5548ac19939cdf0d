//! OTLP over gRPC.

use super::rpc;
use super::{
    Compression, Endpoint, MAX_RESPONSE_BYTES, OtlpConfig, OtlpConfigError, USER_AGENT, connect,
    header_map, response, tls,
};
use bytes::{Buf, BufMut, Bytes};
use carafe_pipeline::{Accepted, Refusal, RefusalKind};
use carafe_telemetry::{Batch, Signal};
use http::uri::PathAndQuery;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Uri};
use tonic::{Code, Status};

/// A connection that is silent for this long while a request waits is asked whether it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

const HINT: &str = "4318 is usually OTLP over HTTP: use port 4317, or the protocol http/protobuf";

pub(super) struct Sender {
    endpoint: Endpoint,
    client: tonic::client::Grpc<Channel>,
    metadata: MetadataMap,
    timeout: Duration,
}

impl Sender {
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, OtlpConfigError> {
        let compression = match config.compression {
            Compression::None => None,
            Compression::Gzip => Some(CompressionEncoding::Gzip),
            Compression::Zstd => Some(CompressionEncoding::Zstd),
            Compression::Deflate => return Err(OtlpConfigError::Deflate),
        };
        let mut client = tonic::client::Grpc::new(channel(config)?)
            .max_decoding_message_size(MAX_RESPONSE_BYTES)
            .accept_compressed(CompressionEncoding::Gzip);
        if let Some(compression) = compression {
            client = client.send_compressed(compression);
        }
        Ok(Self {
            endpoint: config.endpoint.clone(),
            client,
            metadata: MetadataMap::from_headers(header_map(&config.headers)?),
            timeout: config.timeout,
        })
    }

    pub(super) async fn send(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let signal = batch.signal;
        let call = self.call(batch);
        let Ok(answer) = tokio::time::timeout(self.timeout, call).await else {
            return Err(connect::no_answer(&self.endpoint));
        };
        answer.map(|bytes| response::protobuf(signal, &bytes))
    }

    async fn call(&self, batch: Batch) -> Result<Bytes, Refusal> {
        let path = PathAndQuery::from_static(match batch.signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        });
        let mut request = tonic::Request::new(batch.bytes);
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        let mut client = self.client.clone();
        client.ready().await.map_err(|error| connect::failure(&self.endpoint, &error, HINT))?;
        let answer = client.unary(request, path, Raw).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.refusal(&status))
    }

    /// OTLP specification, "Failures" of OTLP/gRPC: which codes may be tried again.
    fn refusal(&self, status: &Status) -> Refusal {
        // Only what this side's transport makes of an error has a source.
        if let Some(error) = std::error::Error::source(status) {
            return connect::failure(&self.endpoint, error, HINT);
        }
        let retry_after =
            rpc::Status::decode(status.details()).ok().and_then(|status| status.retry_delay());
        let kind = match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => RefusalKind::Unavailable,
            Code::ResourceExhausted if retry_after.is_some() => RefusalKind::Exhausted,
            Code::ResourceExhausted => RefusalKind::TooLarge,
            Code::InvalidArgument => RefusalKind::InvalidData,
            Code::Unauthenticated | Code::PermissionDenied => RefusalKind::Unauthenticated,
            _ => RefusalKind::Internal,
        };
        let (endpoint, code) = (&self.endpoint, status.code());
        let mut message = format!("{endpoint} answers {code:?}: {}", status.message());
        // Tonic says so about an HTTP response that is not one of gRPC.
        if status.message().contains("grpc-status") && kind != RefusalKind::Unavailable {
            message = format!("{message}; {HINT}");
        }
        Refusal { kind, message, retry_after: retry_after.filter(|_| kind.is_retryable()) }
    }
}

fn channel(config: &OtlpConfig) -> Result<Channel, OtlpConfigError> {
    let endpoint = config.endpoint.clone();
    let tls = match endpoint.is_tls() {
        true => Some(Arc::new(tls::client_config(&config.tls, &[b"h2"])?)),
        false => None,
    };
    let open = tower::service_fn(move |_: Uri| connect::open(endpoint.clone(), tls.clone()));
    let unnamed = || OtlpConfigError::Origin(config.endpoint.clone());
    let uri = |text: String| Uri::try_from(text).map_err(|_| unnamed());
    let origin = config.endpoint.origin();
    // TLS is made by `open`. Tonic would refuse an https URI for which it has no TLS of its
    // own: it is given the URI as http, and https as the origin that requests name.
    let plain = origin.replacen("https://", "http://", 1);
    let endpoint = tonic::transport::Endpoint::from(uri(plain)?)
        .origin(uri(origin)?)
        .user_agent(USER_AGENT)
        .map_err(|_| unnamed())?
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(config.timeout)
        .connect_timeout(config.timeout);
    Ok(endpoint.connect_with_connector_lazy(open))
}

/// Messages that are protobuf already.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}
