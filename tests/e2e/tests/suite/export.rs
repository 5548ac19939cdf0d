//! What `carafe run` exports, seen by a receiver that we did not write.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use carafe_e2e::apps::{carafe_run, certificate, public_directory};
use carafe_e2e::otlp_sink::{OtlpSink, Transport, attribute};
use carafe_e2e::process::{Proc, Stream, shell_code};
use carafe_e2e::{free_port, http};
use tempfile::TempDir;

use crate::todo::add_todo;

const REQUESTS: usize = 20;

/// The To-Do app, which finishes what is under way when it is told to stop, so
/// that every request is known to have been observed.
struct Todo {
    proc: Proc,
    addr: SocketAddr,
    _directory: TempDir,
}

impl Todo {
    /// Starts it with the exporter that `configure` sets up, and sends requests.
    fn used(configure: impl Fn(&mut Command)) -> Result<Self> {
        let directory = public_directory()?;
        let mut run = carafe_run("app", &[])?;
        configure(&mut run);
        let port = add_todo(&mut run, directory.path())?;
        let proc = Proc::spawn(run)?;
        let todo = Self { proc, addr: ([127, 0, 0, 1], port).into(), _directory: directory };
        http::wait_listening(todo.addr).map_err(|error| error.context(todo.proc.transcript()))?;
        for number in 0..REQUESTS {
            http::get(todo.addr, &format!("/?n={number}"))?;
        }
        Ok(todo)
    }

    fn stop(&mut self) -> Result<()> {
        let status = self.proc.stop()?;
        ensure!(shell_code(status) == 0, "{status}: {}", self.proc.transcript());
        Ok(())
    }

    fn check_spans(&self, sink: &OtlpSink) -> Result<()> {
        let spans =
            sink.wait_spans(REQUESTS).map_err(|error| error.context(self.proc.transcript()))?;
        ensure!(spans.len() == REQUESTS, "{} spans for {REQUESTS} requests", spans.len());
        for span in &spans {
            ensure!(span["name"] == "GET /", "{span:#}");
            let status = attribute(span, "http.status_code");
            ensure!(status.is_some_and(|code| code == "200"), "{span:#}");
        }
        Ok(())
    }
}

/// Stopped right after its last answer, the app leaves everything at the
/// receiver: the launcher sends what it holds before it ends.
fn flushes_at_the_end(sink: &OtlpSink, configure: impl Fn(&mut Command)) -> Result<()> {
    let mut todo = Todo::used(configure)?;
    todo.stop()?;
    todo.check_spans(sink)?;
    let metrics = sink.wait_metrics(1)?;
    ensure!(metrics.iter().any(|metric| metric["name"] == "http.server.duration"), "{metrics:#?}");
    Ok(())
}

#[test]
fn grpc_with_headers_and_gzip() -> Result<()> {
    let sink = OtlpSink::grpc()?;
    flushes_at_the_end(&sink, |run| {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr))
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret,x-tenant=blue")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    })?;
    let metadata = &sink.received("traces")?[0]["metadata"];
    ensure!(metadata["authorization"] == "Bearer secret", "{metadata:#}");
    ensure!(metadata["x-tenant"] == "blue", "{metadata:#}");
    Ok(())
}

#[test]
fn grpc_over_tls_with_an_authority_of_its_own() -> Result<()> {
    let directory = public_directory()?;
    let files = certificate(directory.path())?;
    let sink = OtlpSink::tls(&files)?;
    flushes_at_the_end(&sink, |run| {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{}", sink.addr.port()))
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &files.authority);
    })
}

#[test]
fn http_protobuf_with_gzip() -> Result<()> {
    let sink = OtlpSink::start(Transport::Http, 0)?;
    flushes_at_the_end(&sink, |run| {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    })?;
    let metadata = &sink.received("traces")?[0]["metadata"];
    ensure!(metadata[":path"] == "/v1/traces", "{metadata:#}");
    ensure!(metadata["content-encoding"] == "gzip", "{metadata:#}");
    Ok(())
}

#[test]
fn a_receiver_that_refuses_at_first_gets_everything_once() -> Result<()> {
    for (transport, protocol) in [(Transport::Grpc, "grpc"), (Transport::Http, "http/protobuf")] {
        let sink = OtlpSink::start(transport, 2)?;
        let mut todo = Todo::used(|run| {
            run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr))
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        })?;
        todo.check_spans(&sink)?;
        todo.stop()?;
        todo.check_spans(&sink)?;
    }
    Ok(())
}

#[test]
fn an_unreachable_receiver_is_named_and_does_not_hold_up_the_end() -> Result<()> {
    let nobody = free_port()?;
    let mut todo = Todo::used(|run| {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{nobody}"));
    })?;
    todo.stop()?;
    let stderr = todo.proc.text(Stream::Stderr);
    ensure!(stderr.contains(&nobody.to_string()), "the receiver is not named: {stderr}");
    Ok(())
}
