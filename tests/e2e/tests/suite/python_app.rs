//! A Python app under `carafe run` with console exporters, and what they print.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use carafe_e2e::apps::public_directory;
use carafe_e2e::console::objects;
use carafe_e2e::process::{Proc, Stream, command};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{binary, fixture, free_port, http, python};
use serde_json::Value;
use tempfile::TempDir;

const EXPORTERS: [&str; 6] =
    ["--traces_exporter", "console", "--metrics_exporter", "console", "--logs_exporter", "console"];

/// An app that runs.
pub(crate) struct PythonApp {
    pub(crate) proc: Proc,
    pub(crate) addr: SocketAddr,
    /// The app's own directory, with copies of the test apps in it.
    pub(crate) directory: TempDir,
}

impl PythonApp {
    /// Runs `words` in a directory with the test apps; `@PORT@` is where it is to listen and
    /// `@VENV@` the virtual environment.
    pub(crate) fn start(words: &[&str]) -> Result<Self> {
        let directory = public_directory()?;
        for app in ["flask_app.py", "fastapi_app.py", "asgi_app.py", "talk_app.py"] {
            std::fs::copy(fixture("apps").join(app), directory.path().join(app))?;
        }
        let port = free_port()?;
        let venv = python::bin()?.parent().context("no directory")?.display().to_string();
        let mut run = command(binary::carafe()?);
        run.args(["run", "--service_name", "app"]).args(EXPORTERS).arg("--");
        run.args(
            words
                .iter()
                .map(|word| word.replace("@PORT@", &port.to_string()).replace("@VENV@", &venv)),
        );
        run.current_dir(directory.path())
            .env("PATH", python::path()?)
            .env("TODO_DB", directory.path().join("todo.db"));
        let proc = Proc::spawn(run)?;
        let addr = ([127, 0, 0, 1], port).into();
        http::wait_listening(addr).map_err(|error| error.context(proc.transcript()))?;
        Ok(Self { proc, addr, directory })
    }

    /// What was printed so far, once it satisfies `enough`.
    pub(crate) fn wait(&self, what: &str, enough: impl Fn(&Printed) -> bool) -> Result<Printed> {
        until(what, DEADLINE, || {
            // An object may be half read.
            let printed = objects(&self.proc.text(Stream::Stdout)).ok().map(Printed);
            Ok(printed.filter(&enough))
        })
        .with_context(|| self.proc.transcript())
    }

    /// Waits for that many server spans, ends the app and gives everything.
    pub(crate) fn finish(mut self, server_spans: usize) -> Result<Printed> {
        self.wait(&format!("{server_spans} server spans"), |printed| {
            printed.spans("SERVER").len() >= server_spans
        })?;
        self.proc.stop()?;
        objects(&self.proc.text(Stream::Stdout)).map(Printed)
    }
}

/// What the console exporters printed.
pub(crate) struct Printed(pub(crate) Vec<Value>);

impl Printed {
    /// The spans of a kind (`SERVER`).
    pub(crate) fn spans(&self, kind: &str) -> Vec<&Value> {
        let kind = format!("SpanKind.{kind}");
        self.0.iter().filter(|object| object["kind"] == kind.as_str()).collect()
    }

    /// The one span of that name.
    pub(crate) fn span(&self, name: &str) -> Result<&Value> {
        let found: Vec<&Value> = self
            .0
            .iter()
            .filter(|object| object["kind"].is_string() && object["name"] == name)
            .collect();
        ensure!(found.len() == 1, "{} spans {name:?}", found.len());
        Ok(found[0])
    }

    /// The spans whose parent is `span`.
    pub(crate) fn children(&self, span: &Value) -> Vec<&Value> {
        self.0
            .iter()
            .filter(|other| {
                other["kind"].is_string() && other["parent_id"] == span["context"]["span_id"]
            })
            .collect()
    }

    /// The log records.
    pub(crate) fn logs(&self) -> Vec<&Value> {
        self.0.iter().filter(|object| object["body"] != Value::Null).collect()
    }

    /// The processes that the server spans come from.
    pub(crate) fn server_instances(&self) -> BTreeSet<&str> {
        self.spans("SERVER").into_iter().filter_map(instance).collect()
    }

    /// The last data points of a metric, by process.
    pub(crate) fn points(&self, metric: &str) -> BTreeMap<&str, Vec<&Value>> {
        let mut found = BTreeMap::new();
        for resource in self.0.iter().flat_map(|object| list(&object["resource_metrics"])) {
            for scope in list(&resource["scope_metrics"]) {
                for one in list(&scope["metrics"]).iter().filter(|one| one["name"] == metric) {
                    let points = list(&one["data"]["data_points"]).iter().collect();
                    found.insert(instance(resource).unwrap_or_default(), points);
                }
            }
        }
        found
    }

    /// The requests that a histogram has counted in all processes.
    pub(crate) fn count(&self, metric: &str) -> u64 {
        let points = self.points(metric);
        points.values().flatten().filter_map(|point| point["count"].as_u64()).sum()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn instance(object: &Value) -> Option<&str> {
    object["resource"]["attributes"]["service.instance.id"].as_str()
}
