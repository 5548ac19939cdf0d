//! Exchanges that are not one plain request on one connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use anyhow::{Context, Result, ensure};
use carafe_e2e::apps::{self, App, Runtime, carafe_run, certificate};
use carafe_e2e::backend::{ANY_PORTS, Backend, Span};
use carafe_e2e::http::{self, Connection};
use carafe_e2e::process::{Proc, Stream, command, finish};
use carafe_e2e::{fixture, python};

/// The span of a target, once it and the one of a last request are there.
fn span_of(app: &App, target: &str) -> Result<Vec<Span>> {
    http::get(app.addr, "/items/999")?;
    let mut spans = app.backend.wait_servers("app", "the last request's span", |spans| {
        spans.iter().any(|span| span.tag("http.target") == "/items/999")
            && spans.iter().any(|span| span.tag("http.target") == target)
    })?;
    spans.retain(|span| span.tag("http.target") == target);
    Ok(spans)
}

fn one_span(app: &App, target: &str, method: &str, status: &str) -> Result<()> {
    let spans = span_of(app, target)?;
    ensure!(spans.len() == 1, "{spans:#?}");
    ensure!(spans[0].tag("http.method") == method, "{spans:#?}");
    ensure!(spans[0].tag("http.status_code") == status, "{spans:#?}");
    Ok(())
}

#[test]
fn head_has_no_body_and_the_connection_goes_on() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    let mut connection = Connection::open(app.addr)?;
    for target in ["/items/1", "/items/2"] {
        let method = if target == "/items/1" { "HEAD" } else { "GET" };
        ensure!(connection.send(method, target, &[], b"")?.status == 200);
    }
    one_span(&app, "/items/1", "HEAD", "200")?;
    one_span(&app, "/items/2", "GET", "200")
}

#[test]
fn a_body_that_waits_for_100_continue_is_one_request() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    let mut curl = command("curl");
    curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue"]);
    curl.args(["--data-binary", &"x".repeat(100_000), &format!("http://{}/items/1", app.addr)]);
    let (status, stdout, stderr) = finish(curl)?;
    ensure!(status.success() && stdout == "201", "{status} {stdout} {stderr}");
    one_span(&app, "/items/1", "POST", "201")
}

#[test]
fn a_chunked_body_whose_data_looks_like_a_request_is_one_request() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    let data = "GET /items/666 HTTP/1.1\r\nHost: x\r\n\r\n";
    let request = format!(
        "POST /items/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{data}\r\n0\r\n\r\n",
        data.len()
    );
    let mut stream = TcpStream::connect(app.addr)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    one_span(&app, "/items/1", "POST", "201")?;
    let spans = app.backend.spans("app", "server")?;
    ensure!(spans.iter().all(|span| span.tag("http.target") != "/items/666"), "{spans:#?}");
    Ok(())
}

#[test]
fn a_client_that_leaves_half_way_hurts_nobody() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    for part in ["GET /ite", "POST /items/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"]
    {
        let mut stream = TcpStream::connect(app.addr)?;
        stream.write_all(part.as_bytes())?;
        stream.shutdown(Shutdown::Both)?;
    }
    for number in 2..10 {
        ensure!(http::get(app.addr, &format!("/items/{number}"))?.status == 200);
    }
    one_span(&app, "/items/9", "GET", "200")
}

#[test]
fn a_server_behind_dynamic_openssl_is_seen() -> Result<()> {
    let directory = apps::public_directory()?;
    let files = certificate(directory.path())?;
    let mut run = carafe_run("app", &ANY_PORTS)?;
    run.arg(python::bin()?.join("python")).arg(fixture("apps/https_server.py"));
    run.arg(files.certificate).arg(files.key);
    let mut proc = Proc::spawn(run)?;
    let backend = Backend::announced(&mut proc)?;
    let port = proc.wait_for(Stream::Stdout, "listening ")?;
    let mut curl = command("curl");
    curl.arg("-sS").arg("--cacert").arg(files.authority);
    curl.arg(format!("https://localhost:{}/items/7", port.trim()));
    let (status, stdout, stderr) = finish(curl)?;
    ensure!(status.success() && stdout == "/items/7\n", "{status} {stdout} {stderr}");
    let spans = backend
        .wait_servers("app", "the span", |spans| !spans.is_empty())
        .with_context(|| proc.transcript())?;
    ensure!(spans.len() == 1, "{spans:#?}");
    for (key, value) in
        [("http.scheme", "https"), ("http.target", "/items/7"), ("http.status_code", "200")]
    {
        ensure!(spans[0].tag(key) == value, "{key}: {:?}", spans[0].tags);
    }
    Ok(())
}
