//! Asking a running backend what it knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http;
use crate::process::{Proc, Stream};
use crate::wait::{DEADLINE, until};

/// Flags that make a backend choose free ports.
pub const ANY_PORTS: [&str; 8] = [
    "--query",
    "127.0.0.1:0",
    "--otlp-grpc",
    "127.0.0.1:0",
    "--otlp-http",
    "127.0.0.1:0",
    "--telemetry",
    "127.0.0.1:0",
];

/// More traces than any test makes.
const SEARCH_LIMIT: usize = 1_500;

/// The addresses of a backend, in `carafe up` or inside `carafe run`.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// UI and query APIs.
    pub query: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
}

/// Where a program that announces its own metrics (`carafe up`) has them.
///
/// # Errors
/// It did not announce them.
pub fn announced_metrics(proc: &mut Proc) -> Result<SocketAddr> {
    proc.wait_line(Stream::Stderr, |line| {
        announced(line.strip_suffix("/metrics")?, "self-telemetry")
    })
}

/// A span as Jaeger's API tells it.
#[derive(Clone, Debug)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The parent's span id.
    pub parent: Option<String>,
    /// The span's name.
    pub name: String,
    /// Microseconds since the epoch.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// All tags, values as text.
    pub tags: BTreeMap<String, String>,
    /// `service.name`.
    pub service: String,
    /// Attributes of the resource, values as text.
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// A tag's value, empty when there is none.
    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).map_or("", String::as_str)
    }
}

impl Backend {
    /// Reads the addresses that a program announces on stderr, each on a line
    /// `carafe: NAME ADDRESS`.
    ///
    /// # Errors
    /// It did not announce them.
    pub fn announced(proc: &mut Proc) -> Result<Self> {
        Ok(Self {
            query: proc.wait_line(Stream::Stderr, |line| announced(line, "ui"))?,
            otlp_grpc: proc.wait_line(Stream::Stderr, |line| announced(line, "otlp grpc"))?,
            otlp_http: proc.wait_line(Stream::Stderr, |line| announced(line, "otlp http"))?,
        })
    }

    /// A JSON answer of the query port.
    ///
    /// # Errors
    /// The status is not 200 or the body is not JSON.
    pub fn json(&self, path: &str) -> Result<Value> {
        let response = http::get(self.query, path)?;
        ensure!(response.status == 200, "{path}: {} {}", response.status, response.text());
        Ok(serde_json::from_slice(&response.body)?)
    }

    /// All spans of the traces of one service that have a span of that kind
    /// (`server`, `client`).
    ///
    /// # Errors
    /// The answer does not have the shape of Jaeger's.
    pub fn spans(&self, service: &str, kind: &str) -> Result<Vec<Span>> {
        // %7B%22..%7D: {"span.kind":"..."}
        let tags = format!("%7B%22span.kind%22%3A%22{kind}%22%7D");
        let path = format!("/api/traces?service={service}&tags={tags}&limit={SEARCH_LIMIT}");
        let answer = self.json(&path)?;
        let traces = answer["data"].as_array().context("no data")?;
        let mut spans = Vec::new();
        for trace in traces {
            for span in trace["spans"].as_array().context("no spans")? {
                spans.push(parse_span(trace, span)?);
            }
        }
        Ok(spans)
    }

    /// Waits until `enough` says that the server spans of a service are
    /// complete; gives only those.
    ///
    /// # Errors
    /// They were not in time; says what was there.
    pub fn wait_servers(
        &self,
        service: &str,
        what: &str,
        enough: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>> {
        let mut last = Vec::new();
        until(what, DEADLINE, || {
            last = self.spans(service, "server")?;
            last.retain(|span| span.tag("span.kind") == "server");
            Ok(enough(&last).then_some(()))
        })
        .with_context(|| {
            let names: Vec<_> =
                last.iter().map(|span| format!("{} {:?}", span.name, span.tags)).collect();
            format!("{} spans: {:#?}", names.len(), &names[..names.len().min(20)])
        })?;
        Ok(last)
    }
}

fn announced(line: &str, name: &str) -> Option<SocketAddr> {
    let line = line.strip_prefix("carafe: ")?.to_ascii_lowercase();
    let rest = line.strip_prefix(name)?;
    let address = rest.split_whitespace().next_back()?;
    address.trim_start_matches("http://").trim_end_matches('/').parse().ok()
}

fn parse_span(trace: &Value, span: &Value) -> Result<Span> {
    let text = |value: &Value| -> Result<String> {
        Ok(value.as_str().with_context(|| format!("no text in {value}"))?.to_owned())
    };
    let process = &trace["processes"][text(&span["processID"])?];
    let parent = span["references"].as_array().into_iter().flatten();
    Ok(Span {
        trace_id: text(&span["traceID"])?,
        span_id: text(&span["spanID"])?,
        parent: parent
            .filter(|reference| reference["refType"] == "CHILD_OF")
            .find_map(|reference| reference["spanID"].as_str().map(str::to_owned)),
        name: text(&span["operationName"])?,
        start_us: span["startTime"].as_u64().context("no startTime")?,
        duration_us: span["duration"].as_u64().context("no duration")?,
        tags: tags(&span["tags"]),
        service: text(&process["serviceName"])?,
        resource: tags(&process["tags"]),
    })
}

fn tags(list: &Value) -> BTreeMap<String, String> {
    let tags = list.as_array().into_iter().flatten();
    tags.filter_map(|tag| {
        let value = match &tag["value"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((tag["key"].as_str()?.to_owned(), value))
    })
    .collect()
}
