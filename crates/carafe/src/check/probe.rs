//! Finds out what a port speaks, by asking each protocol's most harmless question.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde_json::Value;
use std::time::Duration;

/// How long one question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// An empty message in gRPC's frame: an export request without data, which succeeds.
const EMPTY_GRPC_MESSAGE: &[u8] = &[0; 5];

pub(super) const EXPORT_TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    OtlpGrpc,
    /// gRPC, but it has no OTLP trace service.
    Grpc,
    OtlpHttp,
    /// Jaeger's query API.
    Query,
    Http,
    /// None of these.
    Other,
}

impl Speaks {
    /// The word in the JSON report.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "otlp_grpc",
            Self::Grpc => "grpc",
            Self::OtlpHttp => "otlp_http",
            Self::Query => "query",
            Self::Http => "http",
            Self::Other => "other",
        }
    }

    /// The words for people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "OTLP over gRPC",
            Self::Grpc => "gRPC without OTLP's trace service",
            Self::OtlpHttp => "OTLP over HTTP",
            Self::Query => "the query API",
            Self::Http => "HTTP, but neither OTLP nor the query API",
            Self::Other => "neither HTTP nor gRPC",
        }
    }
}

/// One client for each version of HTTP; neither falls back to the other.
pub(super) struct Clients {
    pub(super) http1: Client,
    pub(super) http2: Client,
}

impl Clients {
    pub(super) fn new() -> reqwest::Result<Self> {
        let builder = || Client::builder().no_proxy().timeout(PROBE_TIMEOUT);
        Ok(Self {
            http1: builder().http1_only().build()?,
            http2: builder().http2_prior_knowledge().build()?,
        })
    }

    /// What the server at `addr` speaks. All questions are asked at once, so that a server which
    /// answers none costs one timeout.
    pub(super) async fn probe(&self, addr: &str) -> Speaks {
        let (grpc, otlp_http, query, http) = tokio::join!(
            self.probe_grpc(addr),
            self.is_otlp_http(addr),
            self.is_query(addr),
            self.is_http(addr),
        );
        match grpc {
            Some(grpc) => grpc,
            None if otlp_http => Speaks::OtlpHttp,
            None if query => Speaks::Query,
            None if http => Speaks::Http,
            None => Speaks::Other,
        }
    }

    async fn probe_grpc(&self, addr: &str) -> Option<Speaks> {
        let request = grpc_export(self, addr, EMPTY_GRPC_MESSAGE.to_vec());
        let response = request.send().await.ok()?;
        if !has_type(&response, "application/grpc") {
            return None;
        }
        // A call that fails at once has its status in the headers, one that succeeds in the
        // trailers. UNIMPLEMENTED (12) comes at once.
        let status = response.headers().get("grpc-status");
        Some(if status.is_none_or(|status| status == "0") {
            Speaks::OtlpGrpc
        } else {
            Speaks::Grpc
        })
    }

    async fn is_otlp_http(&self, addr: &str) -> bool {
        let request = otlp_http(self, addr, Vec::new());
        request.send().await.is_ok_and(|response| {
            response.status().is_success() && has_type(&response, "application/x-protobuf")
        })
    }

    /// Newer Jaegers know the second path only.
    async fn is_query(&self, addr: &str) -> bool {
        self.has_field(addr, "/api/services", "data").await
            || self.has_field(addr, "/api/v3/services", "services").await
    }

    async fn is_http(&self, addr: &str) -> bool {
        self.http1.get(format!("http://{addr}/")).send().await.is_ok()
    }

    /// Whether `path` answers with a JSON object that has `field`.
    async fn has_field(&self, addr: &str, path: &str, field: &str) -> bool {
        let Ok(response) = self.http1.get(format!("http://{addr}{path}")).send().await else {
            return false;
        };
        if !response.status().is_success() || !has_type(&response, "application/json") {
            return false;
        }
        let body = response.bytes().await.unwrap_or_default();
        serde_json::from_slice::<Value>(&body).is_ok_and(|json| json.get(field).is_some())
    }
}

/// An OTLP/gRPC export of traces with a framed message.
pub(super) fn grpc_export(
    clients: &Clients,
    addr: &str,
    framed: Vec<u8>,
) -> reqwest::RequestBuilder {
    clients
        .http2
        .post(format!("http://{addr}/{EXPORT_TRACES}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers")
        .body(framed)
}

/// An OTLP/HTTP export of traces in protobuf.
pub(super) fn otlp_http(
    clients: &Clients,
    addr: &str,
    message: Vec<u8>,
) -> reqwest::RequestBuilder {
    clients
        .http1
        .post(format!("http://{addr}/v1/traces"))
        .header(CONTENT_TYPE, "application/x-protobuf")
        .body(message)
}

fn has_type(response: &Response, expected: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.starts_with(expected))
}
