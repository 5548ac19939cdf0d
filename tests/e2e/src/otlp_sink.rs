//! An OTLP receiver that we did not write: the official protobuf package
//! behind grpcio.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Proc, Stream, command};
use crate::python;
use crate::wait::{DEADLINE, until};

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
    /// Starts a receiver that refuses the first `refused` requests of each
    /// signal with UNAVAILABLE.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(refused: u32) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("received.jsonl");
        fs::write(&file, "")?;
        let mut python = command(python::bin()?.join("python"));
        python.arg(crate::fixture("receivers/otlp_sink.py")).arg(&file);
        python.args(["--fail-first", &refused.to_string()]);
        let mut proc = Proc::spawn(python)?;
        let port: u16 = proc.wait_for(Stream::Stdout, "listening ")?.trim().parse()?;
        Ok(Self { addr: ([127, 0, 0, 1], port).into(), file, _directory: directory, _proc: proc })
    }

    /// The accepted requests of one signal (`traces`, `metrics`, `logs`).
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
        let mut last = 0;
        let outcome = until("spans at the receiver", DEADLINE, || {
            let spans = spans(&self.received("traces")?);
            last = spans.len();
            Ok((spans.len() >= count).then_some(spans))
        });
        outcome.with_context(|| format!("{last} of {count} spans arrived"))
    }
}

fn spans(requests: &[Value]) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    requests
        .iter()
        .flat_map(|line| list(&line["request"]["resourceSpans"]))
        .flat_map(|resource| list(&resource["scopeSpans"]))
        .flat_map(|scope| list(&scope["spans"]))
        .collect()
}
