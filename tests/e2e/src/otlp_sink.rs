//! An OTLP receiver that we did not write: the official protobuf package
//! behind grpcio or Python's HTTP server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::apps::Certificate;
use crate::process::{Proc, Stream, command};
use crate::python;
use crate::wait::{DEADLINE, until};

/// Which OTLP transport a receiver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    Http,
}

/// A running receiver.
#[derive(Debug)]
pub struct OtlpSink {
    /// Where it listens.
    pub addr: SocketAddr,
    file: PathBuf,
    _directory: TempDir,
    _proc: Proc,
}

impl OtlpSink {
    /// Starts a gRPC receiver that accepts everything.
    ///
    /// # Errors
    /// It does not start.
    pub fn grpc() -> Result<Self> {
        Self::start(Transport::Grpc, 0)
    }

    /// Starts a receiver that refuses the first `refused` requests of each
    /// signal with UNAVAILABLE or 503.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(transport: Transport, refused: u32) -> Result<Self> {
        let transport: &[&str] = if transport == Transport::Http { &["--http"] } else { &[] };
        Self::spawn(transport, &["--fail-first", &refused.to_string()])
    }

    /// Starts a gRPC receiver behind TLS.
    ///
    /// # Errors
    /// It does not start.
    pub fn tls(files: &Certificate) -> Result<Self> {
        let name = |path: &Path| path.display().to_string();
        Self::spawn(&["--tls", &name(&files.certificate), &name(&files.key)], &[])
    }

    fn spawn(transport: &[&str], behaviour: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("received.jsonl");
        fs::write(&file, "")?;
        let mut python = command(python::bin()?.join("python"));
        python.arg(crate::fixture("receivers/otlp_sink.py")).arg(&file);
        python.args(transport).args(behaviour);
        let mut proc = Proc::spawn(python)?;
        let port: u16 = proc.wait_for(Stream::Stdout, "listening ")?.trim().parse()?;
        Ok(Self { addr: ([127, 0, 0, 1], port).into(), file, _directory: directory, _proc: proc })
    }

    /// The accepted requests of one signal (`traces`, `metrics`, `logs`), each
    /// with its `metadata` and the `request` in OTLP's JSON form.
    ///
    /// # Errors
    /// The receiver wrote something that is not JSON.
    pub fn received(&self, signal: &str) -> Result<Vec<Value>> {
        let text = fs::read_to_string(&self.file)?;
        let complete = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut requests = Vec::new();
        for line in complete.lines() {
            let line: Value = serde_json::from_str(line)?;
            if line["signal"] == signal {
                requests.push(line);
            }
        }
        Ok(requests)
    }

    /// Waits for spans and gives them as OTLP JSON objects.
    ///
    /// # Errors
    /// Fewer than `count` arrived in time.
    pub fn wait_spans(&self, count: usize) -> Result<Vec<Value>> {
        self.wait_items("traces", ["resourceSpans", "scopeSpans", "spans"], count)
    }

    /// Waits for log records and gives them as OTLP JSON objects.
    ///
    /// # Errors
    /// Fewer than `count` arrived in time.
    pub fn wait_logs(&self, count: usize) -> Result<Vec<Value>> {
        self.wait_items("logs", ["resourceLogs", "scopeLogs", "logRecords"], count)
    }

    /// Waits for metrics and gives them as OTLP JSON objects.
    ///
    /// # Errors
    /// Fewer than `count` arrived in time.
    pub fn wait_metrics(&self, count: usize) -> Result<Vec<Value>> {
        self.wait_items("metrics", ["resourceMetrics", "scopeMetrics", "metrics"], count)
    }

    fn wait_items(&self, signal: &str, levels: [&str; 3], count: usize) -> Result<Vec<Value>> {
        let mut last = 0;
        let outcome = until(&format!("{signal} at the receiver"), DEADLINE, || {
            let mut items: Vec<Value> =
                self.received(signal)?.into_iter().map(|mut line| line["request"].take()).collect();
            for level in levels {
                items = items.iter().flat_map(|item| list(&item[level])).collect();
            }
            last = items.len();
            Ok((items.len() >= count).then_some(items))
        });
        outcome.with_context(|| format!("{last} of {count} arrived"))
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The value of an attribute of a span, log record or data point.
pub fn attribute<'a>(item: &'a Value, key: &str) -> Option<&'a Value> {
    let attribute = item["attributes"].as_array()?.iter().find(|entry| entry["key"] == key)?;
    attribute["value"].as_object()?.values().next()
}
