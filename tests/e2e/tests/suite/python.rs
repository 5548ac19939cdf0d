//! The Python engine in one process: the API in the app's own code, isolated interpreters.

use anyhow::{Context, Result, ensure};
use carafe_e2e::process::{Proc, Stream, command, finish};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{binary, http, python};

use crate::python_app::PythonApp;

const TALK: [&str; 6] = ["flask", "--app", "talk_app", "run", "-p", "@PORT@"];

#[test]
fn spans_counters_and_records_of_the_apps_own_code() -> Result<()> {
    let app = PythonApp::start(&TALK)?;
    for title in ["talk", "slides", "demo"] {
        let body = format!("title={title}");
        let answer = http::request(app.addr, "POST", "/add", body.as_bytes())?;
        ensure!(answer.status == 201, "{}", answer.status);
    }
    ensure!(http::get(app.addr, "/")?.text() == "talk\nslides\ndemo");
    let printed = app.finish(4)?;
    ensure!(printed.spans("SERVER").len() == 4, "{} server spans", printed.spans("SERVER").len());

    let page = printed.span("GET /")?;
    let query = printed.span("query tasks")?;
    ensure!(query["parent_id"] == page["context"]["span_id"], "{query:#}");
    ensure!(query["kind"] == "SpanKind.INTERNAL", "{query:#}");
    ensure!(query["attributes"]["todo.count"] == 3, "{query:#}");
    let mut statements = printed.children(query);
    statements.retain(|span| span["name"] != "connect");
    ensure!(statements.len() == 1 && statements[0]["name"] == "SELECT", "{statements:#?}");
    ensure!(statements[0]["kind"] == "SpanKind.CLIENT", "{statements:#?}");
    let statement = statements[0]["attributes"]["db.statement"].as_str().unwrap_or_default();
    ensure!(statement.starts_with("SELECT task.id"), "{statement}");

    let adding = printed.spans("SERVER").into_iter().find(|span| span["name"] == "POST /add");
    let commits = printed.children(adding.context("no POST /add")?);
    ensure!(commits.len() == 1 && commits[0]["name"] == "commit task", "{commits:#?}");

    let logs = printed.logs();
    let listed = logs.iter().find(|record| record["body"] == "listed 3 tasks");
    let listed = listed.context("no record of the page")?;
    ensure!(listed["trace_id"] == page["context"]["trace_id"], "{listed:#}");
    ensure!(listed["span_id"] == page["context"]["span_id"], "{listed:#}");
    ensure!(listed["severity_text"] == "INFO", "{listed:#}");
    let added = logs.iter().find(|record| record["body"] == "added talk");
    let added = added.context("no record of the addition")?;
    let spans: Vec<_> = printed.0.iter().filter(|object| object["name"] == "commit task").collect();
    ensure!(
        spans.iter().any(|span| span["context"]["span_id"] == added["span_id"]),
        "{added:#} belongs to none of {spans:#?}"
    );

    let points = printed.points("todo.added");
    let mut values: Vec<_> = points
        .values()
        .flatten()
        .map(|point| (point["attributes"]["todo.length"].as_i64(), point["value"].as_i64()))
        .collect();
    values.sort_unstable();
    ensure!(values == [(Some(4), Some(2)), (Some(6), Some(1))], "{values:?}");
    Ok(())
}

#[test]
fn an_app_without_the_engine_is_served_by_the_universal_one() -> Result<()> {
    let mut run = command(binary::carafe()?);
    let port = carafe_e2e::free_port()?;
    run.args(["run", "--traces_exporter", "console", "--metrics_exporter", "none", "--"])
        .args(["flask", "--app", "flask_app", "run", "-p", &port.to_string()])
        .current_dir(carafe_e2e::fixture("apps"))
        .env("CARAFE_PYTHON", "off")
        .env("PATH", python::path()?);
    let proc = Proc::spawn(run)?;
    let addr = ([127, 0, 0, 1], port).into();
    http::wait_listening(addr).map_err(|error| error.context(proc.transcript()))?;
    http::get(addr, "/items/7")?;
    until("the span", DEADLINE, || {
        let text = proc.text(Stream::Stdout);
        Ok(text.contains("\"name\": \"GET /items/{id}\"").then_some(()))
    })
    .with_context(|| proc.transcript())
}

/// What the start report says of a Python that must not look at its environment.
fn isolated(flag: &str) -> Result<()> {
    let mut run = command(binary::carafe()?);
    run.args(["run", "--traces_exporter", "console", "--metrics_exporter", "none", "--"])
        .arg(python::bin()?.join("python"))
        .args([flag, "-c", "print('served')"]);
    let (status, stdout, stderr) = finish(run)?;
    ensure!(status.success() && stdout == "served\n", "{status}: {stdout}");
    ensure!(
        stderr.lines().any(|line| line.starts_with("carafe: ") && line.contains(flag)),
        "nothing about {flag} in {stderr}"
    );
    Ok(())
}

#[test]
fn an_isolated_interpreter_is_named() -> Result<()> {
    isolated("-I")
}

#[test]
fn an_interpreter_that_ignores_its_environment_is_named() -> Result<()> {
    isolated("-E")
}

/// Daemon threads are in the middle of requests when the main thread ends: the engine's frames on
/// their stacks must not change how the program ends.
#[test]
fn threads_that_are_still_there_do_not_change_the_exit_code() -> Result<()> {
    let code = "
import sys, threading, time
from flask import Flask, Response
from werkzeug.test import create_environ
app = Flask('x')
@app.get('/')
def endless():
    def stream():
        while True:
            time.sleep(0.001)
            yield b'x'
    return Response(stream())
started = threading.Barrier(5)
def work():
    stream = iter(app(create_environ('/'), lambda *_: None))
    next(stream)
    started.wait()
    for _ in stream:
        pass
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
started.wait()
sys.exit(3)
";
    let mut run = command(binary::carafe()?);
    run.args(["run", "--traces_exporter", "none", "--metrics_exporter", "none", "--"])
        .arg(python::bin()?.join("python"))
        .args(["-c", code]);
    let (status, _, stderr) = finish(run)?;
    ensure!(status.code() == Some(3), "{status}: {stderr}");
    Ok(())
}
