//! Every runtime: each request has its span, with the right name and status.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use carafe_e2e::apps::{self, App, Runtime};
use carafe_e2e::backend::Span;
use carafe_e2e::http::{self, Connection};
use carafe_e2e::load::{self, Exchange};
use carafe_e2e::process::shell_code;
use carafe_e2e::wait::{DEADLINE, until};

/// Requests of a load, and how many clients send them at once.
const REQUESTS: usize = 1_000;
const CONCURRENCY: usize = 50;

/// The request after a load; its span shows that the others had their time.
const LAST: &str = "/items/424242";

fn mixed(number: usize) -> (&'static str, String) {
    match number % 3 {
        0 => ("GET", format!("/items/{number}")),
        1 => ("POST", format!("/items/{number}")),
        _ => ("GET", format!("/missing/{number}")),
    }
}

/// How the spans of a server are named.
#[derive(Clone, Copy)]
pub(crate) enum Naming {
    /// By the route that the universal engine infers.
    Inferred,
    /// By the route as Flask declares it.
    Flask,
    /// By the path: an ASGI app without a framework has no routes.
    Path,
}

impl Naming {
    /// The span's name and its `http.route`. As with the official agent, what is not found has no
    /// route.
    fn of(self, exchange: &Exchange) -> (String, &'static str) {
        let is_found = exchange.target.starts_with("/items/");
        let route = match self {
            Self::Inferred if is_found => "/items/{id}",
            Self::Flask if is_found => "/items/<int:number>",
            _ => "",
        };
        let place = match self {
            Self::Path if is_found => exchange.target.as_str(),
            _ => route,
        };
        (format!("{} {place}", exchange.method).trim_end().to_owned(), route)
    }
}

/// Sends a load and checks that it left exactly its spans.
pub(crate) fn check_load(app: &App, service: &str, naming: Naming) -> Result<()> {
    let exchanges = load::run(app.addr, REQUESTS, CONCURRENCY, mixed)?;
    http::get(app.addr, LAST)?;
    let expected = exchanges.len() + 1;
    let spans = app
        .backend
        .wait_servers(service, &format!("{expected} server spans"), |spans| {
            spans.len() >= expected && spans.iter().any(|span| span.tag("http.target") == LAST)
        })
        .with_context(|| app.proc.transcript())?;
    ensure!(spans.len() == expected, "{} spans for {expected} requests", spans.len());
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    ensure!(ids.len() == expected, "{} different span ids in {expected} spans", ids.len());

    let by_target: BTreeMap<&str, &Span> =
        spans.iter().map(|span| (span.tag("http.target"), span)).collect();
    let mut last_start = BTreeMap::new();
    for exchange in &exchanges {
        let span = by_target
            .get(exchange.target.as_str())
            .with_context(|| format!("{exchange:?} has no span"))?;
        check_span(exchange, span, naming)?;
        let before = last_start.insert(exchange.client, span.start_us).unwrap_or(0);
        ensure!(before <= span.start_us, "{exchange:?} starts before the one sent before it");
    }
    Ok(())
}

fn check_span(exchange: &Exchange, span: &Span, naming: Naming) -> Result<()> {
    let status = match (exchange.target.starts_with("/items/"), exchange.method) {
        (false, _) => 404,
        (true, "POST") => 201,
        (true, _) => 200,
    };
    ensure!(exchange.status == status, "the app answered {exchange:?}");
    let (name, route) = naming.of(exchange);
    ensure!(span.name == name, "{exchange:?} is named {:?}", span.name);
    for (key, value) in [
        ("http.method", exchange.method),
        ("http.route", route),
        ("http.status_code", &status.to_string()),
    ] {
        ensure!(
            span.tag(key) == value,
            "{exchange:?}: {key} is {:?}, not {value:?}",
            span.tag(key)
        );
    }
    Ok(())
}

fn serves(runtime: Runtime, naming: Naming) -> Result<()> {
    let mut app = apps::start(runtime)?;
    check_load(&app, "app", naming)?;
    let status = app.proc.stop()?;
    let code = shell_code(status);
    // 0: the server handles SIGTERM; 143: it leaves that to the system.
    ensure!(code == 0 || code == 143, "{runtime:?} ended with {code}: {}", app.proc.transcript());
    until("the end of every process", DEADLINE, || {
        Ok(app.proc.descendants()?.is_empty().then_some(()))
    })
}

#[test]
fn flask_development_server() -> Result<()> {
    serves(Runtime::Flask, Naming::Flask)
}

#[test]
fn flask_with_the_debug_reloader() -> Result<()> {
    serves(Runtime::FlaskDebug, Naming::Flask)
}

#[test]
fn gunicorn_with_four_sync_workers() -> Result<()> {
    serves(Runtime::Gunicorn, Naming::Flask)
}

#[test]
fn uvicorn() -> Result<()> {
    serves(Runtime::Uvicorn, Naming::Path)
}

#[test]
fn node() -> Result<()> {
    serves(Runtime::Node, Naming::Inferred)
}

#[test]
fn jdk_http_server() -> Result<()> {
    serves(Runtime::Java, Naming::Inferred)
}

#[test]
fn the_reloader_keeps_the_spans_before_and_after_a_change() -> Result<()> {
    let app = apps::start(Runtime::FlaskDebug)?;
    http::get(app.addr, "/items/1")?;
    let source = app.directory.path().join("flask_app.py");
    let mut file = OpenOptions::new().append(true).open(source)?;
    file.write_all(b"\n\n@app.get('/new/<int:number>')\ndef new(number):\n    return 'new'\n")?;
    drop(file);
    until("the reloaded app", DEADLINE, || {
        // While the server restarts nothing answers.
        let answer = http::get(app.addr, "/new/1").ok();
        Ok(answer.filter(|answer| answer.status == 200).map(drop))
    })
    .with_context(|| app.proc.transcript())?;
    let spans = app.backend.wait_servers("app", "spans of both generations", |spans| {
        spans.iter().any(|span| {
            span.tag("http.target") == "/new/1" && span.tag("http.status_code") == "200"
        })
    })?;
    let first = spans.iter().filter(|span| span.tag("http.target") == "/items/1").count();
    ensure!(first == 1, "{first} spans for one request before the change");
    Ok(())
}

#[test]
fn gunicorn_spans_come_from_several_workers() -> Result<()> {
    let app = apps::start(Runtime::Gunicorn)?;
    // The first worker answers before the others are up: load goes on until one of them is.
    until("a second worker to serve", DEADLINE, || {
        load::run(app.addr, 40, 20, mixed)?;
        let spans = app.backend.spans("app", "server")?;
        let instances: BTreeSet<&str> = spans
            .iter()
            .filter_map(|span| span.resource.get("service.instance.id").map(String::as_str))
            .collect();
        Ok((instances.len() > 1).then_some(()))
    })
}

#[test]
fn a_trace_that_the_client_started_goes_on() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let header = format!("00-{trace}-{parent}-01");
    let headers = [("traceparent", header.as_str()), ("tracestate", "vendor=1")];
    Connection::open(app.addr)?.send("GET", "/items/1", &headers, b"")?;
    let spans = app.backend.wait_servers("app", "the span", |spans| spans.len() == 1)?;
    ensure!(spans[0].trace_id == trace, "trace id {}", spans[0].trace_id);
    ensure!(spans[0].parent.as_deref() == Some(parent), "parent {:?}", spans[0].parent);
    Ok(())
}

#[test]
fn pipelined_requests_have_one_span_each() -> Result<()> {
    let app = apps::start(Runtime::Node)?;
    let answers = http::pipeline(app.addr, &["/items/1", "/missing/2", "/items/3"])?;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    ensure!(statuses == [200, 404, 200], "{statuses:?}");
    let mut spans = app.backend.wait_servers("app", "3 spans", |spans| spans.len() >= 3)?;
    spans.sort_by_key(|span| span.start_us);
    let seen: BTreeSet<(&str, &str)> =
        spans.iter().map(|span| (span.tag("http.target"), span.tag("http.status_code"))).collect();
    let expected =
        BTreeSet::from([("/items/1", "200"), ("/missing/2", "404"), ("/items/3", "200")]);
    ensure!(seen == expected && spans.len() == 3, "{seen:?}");
    Ok(())
}
