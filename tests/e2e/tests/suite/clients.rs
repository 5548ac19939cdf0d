//! HTTP clients over TLS: what they ask is seen before it is encrypted.

use anyhow::{Context, Result, ensure};
use carafe_e2e::apps::{carafe_run, certificate, public_directory};
use carafe_e2e::otlp_sink::{OtlpSink, attribute};
use carafe_e2e::process::{Proc, Stream, command, finish};
use carafe_e2e::{fixture, python};
use serde_json::Value;
use tempfile::TempDir;

struct Https {
    url: String,
    authority: String,
    _directory: TempDir,
    _proc: Proc,
}

impl Https {
    fn start() -> Result<Self> {
        let directory = public_directory()?;
        let files = certificate(directory.path())?;
        let mut python = command(python::bin()?.join("python"));
        python.arg(fixture("apps/https_server.py")).arg(files.certificate).arg(files.key);
        let mut proc = Proc::spawn(python)?;
        let port = proc.wait_for(Stream::Stdout, "listening ")?;
        Ok(Self {
            url: format!("https://localhost:{}", port.trim()),
            authority: files.authority.display().to_string(),
            _directory: directory,
            _proc: proc,
        })
    }
}

/// Runs a client under `carafe run` and gives the client spans it exported.
fn observe(program: &[&str], requests: usize) -> Result<(String, Vec<Value>)> {
    let sink = OtlpSink::grpc()?;
    let mut run = carafe_run("client", &[])?;
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr)).args(program);
    let (status, stdout, stderr) = finish(run)?;
    ensure!(status.success(), "{status}: {stderr}");
    let spans = sink.wait_spans(requests).context(stderr)?;
    ensure!(spans.len() == requests, "{} spans for {requests} requests", spans.len());
    Ok((stdout, spans))
}

fn check(span: &Value, url: &str) -> Result<()> {
    ensure!(span["kind"] == "SPAN_KIND_CLIENT", "{span:#}");
    ensure!(span["name"] == "GET", "{span:#}");
    for (key, value) in [("http.method", "GET"), ("http.url", url), ("http.status_code", "200")] {
        let found = attribute(span, key).with_context(|| format!("no {key} in {span:#}"))?;
        ensure!(found == value, "{key} is {found}, not {value}");
    }
    Ok(())
}

#[test]
fn curl_over_https() -> Result<()> {
    let https = Https::start()?;
    let url = format!("{}/items/7?q=1", https.url);
    let (stdout, spans) = observe(&["curl", "-sS", "--cacert", &https.authority, &url], 1)?;
    ensure!(stdout == "/items/7?q=1\n", "{stdout:?}");
    check(&spans[0], &url)
}

#[test]
fn python_requests_over_https() -> Result<()> {
    let https = Https::start()?;
    let python = python::bin()?.join("python").display().to_string();
    let script = fixture("apps/requests_client.py").display().to_string();
    let urls = ["/items/1", "/items/2"].map(|path| format!("{}{path}", https.url));
    let (stdout, mut spans) =
        observe(&[&python, &script, &https.authority, &urls[0], &urls[1]], 2)?;
    ensure!(stdout == "200 /items/1\n200 /items/2\n", "{stdout:?}");
    spans.sort_by_key(|span| span["startTimeUnixNano"].to_string());
    check(&spans[0], &urls[0])?;
    check(&spans[1], &urls[1])
}
