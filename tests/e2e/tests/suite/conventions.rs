//! Attribute names as `OTEL_SEMCONV_STABILITY_OPT_IN` asks for them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use carafe_e2e::apps::{self, Runtime, carafe_run};
use carafe_e2e::backend::{ANY_PORTS, Span};
use carafe_e2e::http;
use carafe_e2e::process::Proc;

const OLD: [&str; 5] =
    ["http.method", "http.host", "http.target", "http.scheme", "http.status_code"];
const STABLE: [&str; 6] = [
    "http.request.method",
    "url.path",
    "url.scheme",
    "server.address",
    "http.response.status_code",
    "network.protocol.version",
];

/// The span of one request to Node.
fn span(opt_in: Option<&str>) -> Result<Span> {
    let directory = apps::public_directory()?;
    let mut run = carafe_run("app", &ANY_PORTS)?;
    if let Some(opt_in) = opt_in {
        run.env("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in);
    }
    let port = apps::add_program(Runtime::Node, directory.path(), &mut run)?;
    let app = apps::wait(Proc::spawn(run)?, port, directory)?;
    http::get(app.addr, "/items/1?color=blue")?;
    let mut spans = app.backend.wait_servers("app", "the span", |spans| !spans.is_empty())?;
    ensure!(spans.len() == 1, "{} spans", spans.len());
    Ok(spans.remove(0))
}

fn check(opt_in: Option<&str>, present: &[&str], absent: &[&str]) -> Result<()> {
    let span = span(opt_in)?;
    let keys: BTreeSet<&str> = span.tags.keys().map(String::as_str).collect();
    for key in present {
        ensure!(keys.contains(key), "{opt_in:?}: no {key} in {keys:?}");
    }
    for key in absent {
        ensure!(!keys.contains(key), "{opt_in:?}: {key} in {keys:?}");
    }
    ensure!(span.tag("http.route") == "/items/{id}", "{:?}", span.tags);
    Ok(())
}

#[test]
fn the_old_names_when_nothing_is_said() -> Result<()> {
    check(None, &OLD, &STABLE)
}

#[test]
fn the_stable_names_for_http() -> Result<()> {
    check(Some("http"), &STABLE, &OLD)
}

#[test]
fn both_for_http_dup() -> Result<()> {
    check(Some("http/dup"), &[OLD.as_slice(), &STABLE].concat(), &[])
}
