//! Sends batches over OTLP: gRPC, HTTP with protobuf, HTTP with JSON.
//!
//! Each call is one attempt, within the configured timeout. Queueing and retry stand in front
//! (`carafe_pipeline::{Queue, Retry}`). The batch's bytes are sent as they are, except as JSON.

mod connect;
mod endpoint;
mod grpc;
mod http;
mod response;
mod rpc;
mod tls;

pub use endpoint::{Endpoint, EndpointError};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use async_trait::async_trait;
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_telemetry::Batch;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What every request says about its sender.
const USER_AGENT: &str = concat!("carafe/", env!("CARGO_PKG_VERSION"));

/// OTLP specification: clients should limit what they read of a response to 4 MiB.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// How batches travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
    /// `http/json`. The batch is decoded and encoded again; NaN and infinite values, which
    /// JSON does not have, arrive as null, except in summaries.
    HttpJson,
}

/// How request bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which every OTLP server must read.
    Gzip,
    /// zlib; over HTTP only.
    Deflate,
    /// zstd, which is not in the OTLP specification; the Collector reads it.
    Zstd,
}

/// A word that names no protocol or no compression.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{word:?} is not one of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

impl FromStr for Protocol {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "grpc" => Ok(Self::Grpc),
            "http/protobuf" => Ok(Self::HttpProtobuf),
            "http/json" => Ok(Self::HttpJson),
            _ => {
                Err(UnknownWord { word: word.to_owned(), known: "grpc, http/protobuf, http/json" })
            }
        }
    }
}

impl FromStr for Compression {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(UnknownWord { word: word.to_owned(), known: "none, gzip, deflate, zstd" }),
        }
    }
}

/// Certificates in PEM files. Used for `https` endpoints only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Authorities that may sign the server's certificate; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// This client's certificate chain; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Accepts any server certificate. Encrypted, but open to whoever is in between.
    pub insecure_skip_verify: bool,
}

/// Where and how to send.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// Where; see [`Endpoint`] for the forms.
    pub endpoint: Endpoint,
    /// How; must fit the kind of endpoint.
    pub protocol: Protocol,
    /// Sent with every request: gRPC metadata or HTTP headers.
    pub headers: Vec<(String, String)>,
    /// For one attempt, connecting included.
    pub timeout: Duration,
    /// Of request bodies.
    pub compression: Compression,
    /// For `https`.
    pub tls: TlsConfig,
}

impl OtlpConfig {
    /// The OTLP specification's default for one attempt.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// With nothing set but where and how.
    pub fn new(endpoint: Endpoint, protocol: Protocol) -> Self {
        Self {
            endpoint,
            protocol,
            headers: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            compression: Compression::None,
            tls: TlsConfig::default(),
        }
    }
}

/// A configuration that no exporter can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpConfigError {
    /// Not a header's name.
    #[error("{0:?} cannot be the name of a header")]
    HeaderName(String),
    /// Not a header's value. The value may be a secret: it is not repeated.
    #[error("the value of header {0:?} has characters that headers cannot have")]
    HeaderValue(String),
    /// The endpoint cannot be named in a request.
    #[error("endpoint {0} cannot be named in a grpc request")]
    Origin(Endpoint),
    /// gRPC has gzip and zstd.
    #[error("deflate is for http only; use gzip or zstd with grpc")]
    Deflate,
    /// A certificate or key that cannot be read.
    #[error("cannot use {}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the two is missing.
    #[error("a client certificate and its key go together; set both or neither")]
    HalfIdentity,
    /// Something else that TLS does not accept.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("http client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Sends each batch to one OTLP server. Connects at the first batch, and again when the
/// connection was lost.
pub struct OtlpExporter {
    transport: Transport,
}

enum Transport {
    Grpc(Box<grpc::Sender>),
    Http(Box<http::Sender>),
}

impl OtlpExporter {
    /// Checks the configuration and reads the certificate files; does not connect yet. Must
    /// be called within a Tokio runtime.
    pub fn new(config: &OtlpConfig) -> Result<Self, OtlpConfigError> {
        let transport = match config.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(grpc::Sender::new(config)?)),
            Protocol::HttpProtobuf => {
                Transport::Http(Box::new(http::Sender::new(config, http::Encoding::Protobuf)?))
            }
            Protocol::HttpJson => {
                Transport::Http(Box::new(http::Sender::new(config, http::Encoding::Json)?))
            }
        };
        Ok(Self { transport })
    }
}

#[async_trait]
impl Consumer for OtlpExporter {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let signal = batch.signal;
        let accepted = match &self.transport {
            Transport::Grpc(sender) => sender.send(batch).await,
            Transport::Http(sender) => sender.send(batch).await,
        }?;
        let Accepted { rejected_items, message } = &accepted;
        match (*rejected_items, message.as_str()) {
            (0, "") => {}
            (0, message) => tracing::warn!("otlp: the receiver warns about {signal}: {message}"),
            (n, message) => {
                tracing::warn!("otlp: the receiver rejected {n} items of {signal}: {message}");
            }
        }
        Ok(accepted)
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, OtlpConfigError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let header =
            HeaderName::from_str(name).map_err(|_| OtlpConfigError::HeaderName(name.clone()))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| OtlpConfigError::HeaderValue(name.clone()))?;
        value.set_sensitive(true);
        map.append(header, value);
    }
    Ok(map)
}
