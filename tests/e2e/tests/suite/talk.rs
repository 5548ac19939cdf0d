//! The command lines of the talk, with `carafe run` in place of
//! `opentelemetry-instrument`, against the Flask example.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use carafe_e2e::console::{differences, objects, shape};
use carafe_e2e::otlp_sink::{OtlpSink, attribute};
use carafe_e2e::process::{Proc, command, kill};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{binary, fixture, free_port, http, python, repository};
use serde_json::Value;
use tempfile::TempDir;

/// A shell that runs one of the command lines in `examples/flask-todo`.
struct Talk {
    shell: Proc,
    addr: SocketAddr,
    log: PathBuf,
    _directory: TempDir,
}

impl Talk {
    /// `@PORT@` and `@LOG@` in the line are replaced.
    fn start(line: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let log = directory.path().join("output.log");
        let port = free_port()?;
        let line =
            line.replace("@PORT@", &port.to_string()).replace("@LOG@", &log.display().to_string());
        let carafe = binary::carafe()?.parent().context("no directory")?;
        let mut shell = command("sh");
        shell
            .args(["-c", &line])
            .current_dir(repository().join("examples/flask-todo"))
            .env("PATH", format!("{}:{}", carafe.display(), python::path()?))
            .env("TODO_DB", directory.path().join("todo.db"));
        let shell = Proc::spawn(shell)?;
        let addr = ([127, 0, 0, 1], port).into();
        http::wait_listening(addr).map_err(|error| error.context(shell.transcript()))?;
        Ok(Self { shell, addr, log, _directory: directory })
    }

    /// Uses the app as the talk does; gives the number of requests.
    fn use_app(&self) -> Result<usize> {
        let requests: [(&str, &str, &[u8], u16); 5] = [
            ("GET", "/", b"", 200),
            ("POST", "/add", b"title=prepare+the+talk", 302),
            ("GET", "/", b"", 200),
            ("POST", "/delete/1", b"", 302),
            ("GET", "/nowhere", b"", 404),
        ];
        for (method, path, body, status) in requests {
            let answer = http::request(self.addr, method, path, body)?;
            ensure!(answer.status == status, "{method} {path}: {}", answer.status);
        }
        Ok(requests.len())
    }

    /// What `grep http.host output.log | wc -l` says.
    fn grep_http_host(&self) -> Result<usize> {
        let output = command("grep").arg("http.host").arg(&self.log).output()?;
        Ok(String::from_utf8(output.stdout)?.lines().count())
    }

    /// Waits for one line per request, ends the app, and gives all objects.
    fn finish(mut self, requests: usize) -> Result<Vec<Value>> {
        until("one http.host line per request", DEADLINE, || {
            Ok((self.grep_http_host()? >= requests).then_some(()))
        })
        .map_err(|error| error.context(self.shell.transcript()))?;
        // Metrics hold the key as well, and are first printed at the end.
        let lines = self.grep_http_host()?;
        ensure!(lines == requests, "{lines} lines for {requests} requests");
        let launchers = self.shell.descendants_named("carafe")?;
        ensure!(launchers.len() == 1, "{launchers:?}");
        kill(i32::try_from(launchers[0])?, libc::SIGTERM)?;
        self.shell.wait_exit()?;
        objects(&fs::read_to_string(&self.log)?)
    }
}

fn official(part: &str) -> Result<Value> {
    let text = fs::read_to_string(fixture("skeleton/official-agent.json"))?;
    let mut skeletons: Value = serde_json::from_str(&text)?;
    Ok(skeletons[part].take())
}

/// Keys and nesting are the official agent's.
fn check_shape(part: &str, value: &Value) -> Result<()> {
    let mut found = differences(&official(part)?, &shape(value));
    // A request that is not found has no route, which is the target of the
    // metrics; the official agent leaves both out, too.
    let not_found = |value: &Value| value["attributes"]["http.status_code"] == 404;
    if not_found(value) {
        found.retain(|path| path != "- /attributes/http.route");
    }
    if not_found(&value["data"]["data_points"][0]) {
        found.retain(|path| path != "- /data/data_points[]/attributes/http.target");
    }
    // Carafe is a distribution of its own and says so.
    found.retain(|path| !path.contains("+ ") || !path.contains("/attributes/telemetry.distro."));
    ensure!(found.is_empty(), "{part} differs: {found:#?}\n{value:#}");
    Ok(())
}

fn check_console(printed: &[Value], requests: usize) -> Result<()> {
    let spans: Vec<&Value> =
        printed.iter().filter(|object| object["kind"] == "SpanKind.SERVER").collect();
    ensure!(spans.len() == requests, "{} spans for {requests} requests", spans.len());
    let mut names: Vec<&str> = Vec::new();
    for span in &spans {
        check_shape("span", span)?;
        ensure!(span["parent_id"].is_null(), "{span:#}");
        ensure!(span["resource"]["attributes"]["service.name"] == "todo", "{span:#}");
        names.push(span["name"].as_str().unwrap_or_default());
    }
    let expected = ["GET /", "POST /add", "GET /", "POST /delete/<int:task_id>", "GET"];
    ensure!(names == expected, "{names:?}");
    for span in &spans {
        check_children(printed, span)?;
    }
    check_logs(printed, &spans)?;
    let metrics: Vec<&Value> =
        printed.iter().filter(|object| object["resource_metrics"].is_array()).collect();
    ensure!(!metrics.is_empty(), "no metrics at the end");
    for object in &metrics {
        check_shape("metrics", object)?;
    }
    let last = metrics[metrics.len() - 1];
    for metric in ["http.server.duration", "http.server.active_requests"] {
        let found =
            find_metric(last, metric).with_context(|| format!("no {metric} in {last:#}"))?;
        let points = found["data"]["data_points"].as_array().context("no points")?;
        for point in points {
            let mut one = found.clone();
            one["data"]["data_points"] = Value::Array(vec![point.clone()]);
            check_shape(&format!("metric {metric}"), &one)?;
        }
    }
    let duration = find_metric(last, "http.server.duration").context("no duration")?;
    let points = duration["data"]["data_points"].as_array().context("no points")?;
    let count: u64 = points.iter().filter_map(|point| point["count"].as_u64()).sum();
    ensure!(count == u64::try_from(requests)?, "{count} in the histogram for {requests} requests");
    Ok(())
}

/// The spans below a request's: every page is rendered from one query of the tasks, and no
/// statement is there twice.
fn check_children(printed: &[Value], request: &Value) -> Result<()> {
    let mut below = vec![request];
    let mut next = 0;
    while let Some(parent) = below.get(next) {
        let id = parent["context"]["span_id"].clone();
        below.extend(printed.iter().filter(|object| {
            object["kind"].is_string()
                && !object["parent_id"].is_null()
                && object["parent_id"] == id
        }));
        next += 1;
    }
    let mut statements = Vec::new();
    for span in &below[1..] {
        ensure!(span["context"]["trace_id"] == request["context"]["trace_id"], "{span:#}");
        if let Some(statement) = span["attributes"]["db.statement"].as_str() {
            ensure!(span["kind"] == "SpanKind.CLIENT", "{span:#}");
            ensure!(span["attributes"]["db.system"] == "sqlite", "{span:#}");
            let operation = statement.split_whitespace().next().unwrap_or_default();
            ensure!(span["name"] == operation, "{span:#}");
            statements.push(operation);
        }
    }
    let name = request["name"].as_str().unwrap_or_default();
    let expected: &[&str] = match name {
        "POST /add" => &["SELECT", "INSERT"],
        "POST /delete/<int:task_id>" => &["SELECT", "DELETE"],
        _ => &["SELECT"],
    };
    ensure!(statements == expected, "{name}: {statements:?}");
    let renders = below.iter().filter(|span| span["name"] == "jinja2.render").count();
    let rendered = usize::from(name.starts_with("GET"));
    ensure!(renders == rendered, "{name}: {renders} templates");
    Ok(())
}

/// The access log of Flask's server: a record of each request, with its span's ids.
fn check_logs(printed: &[Value], requests: &[&Value]) -> Result<()> {
    let records: Vec<&Value> = printed.iter().filter(|object| object["body"].is_string()).collect();
    for record in &records {
        check_shape("log", record)?;
        let body = record["body"].as_str().unwrap_or_default();
        ensure!(!body.contains('\u{1b}'), "colours in {body:?}");
    }
    for request in requests {
        let target = request["attributes"]["http.target"].as_str().unwrap_or_default();
        let method = request["attributes"]["http.method"].as_str().unwrap_or_default();
        let line = format!("\"{method} {target} HTTP/1.1\"");
        let of_request = records.iter().any(|record| {
            record["trace_id"] == request["context"]["trace_id"]
                && record["body"].as_str().is_some_and(|body| body.contains(&line))
        });
        ensure!(of_request, "no record {line} in the trace of {request:#}");
    }
    Ok(())
}

fn find_metric<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let resources = object["resource_metrics"].as_array()?.iter();
    resources
        .flat_map(|resource| resource["scope_metrics"].as_array().into_iter().flatten())
        .flat_map(|scope| scope["metrics"].as_array().into_iter().flatten())
        .find(|metric| metric["name"] == name)
}

#[test]
fn the_line_with_flags() -> Result<()> {
    let talk = Talk::start(
        "carafe run --traces_exporter console --metrics_exporter console --logs_exporter console \
         --service_name todo flask run -p @PORT@ | tee @LOG@",
    )?;
    let requests = talk.use_app()?;
    check_console(&talk.finish(requests)?, requests)
}

#[test]
fn the_line_with_variables_exports_as_well() -> Result<()> {
    let sink = OtlpSink::grpc()?;
    let talk = Talk::start(&format!(
        "OTEL_SERVICE_NAME=todo OTEL_TRACES_EXPORTER=console,otlp OTEL_METRICS_EXPORTER=console \
         OTEL_LOGS_EXPORTER=console OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=0.0.0.0:{} \
         OTEL_EXPORTER_OTLP_INSECURE=true carafe run flask run -p @PORT@ | tee @LOG@",
        sink.addr.port()
    ))?;
    let requests = talk.use_app()?;
    let printed = talk.finish(requests)?;
    check_console(&printed, requests)?;
    let expected = printed.iter().filter(|object| object["kind"].is_string()).count();
    let spans = sink.wait_spans(expected)?;
    ensure!(spans.len() == expected, "{} spans arrived of {expected}", spans.len());
    let hosts = spans.iter().filter(|span| attribute(span, "http.host").is_some()).count();
    ensure!(hosts == requests, "{hosts} of {requests} exported spans have http.host");
    Ok(())
}

#[test]
fn a_misspelt_variable_is_named_with_the_right_one() -> Result<()> {
    let talk = Talk::start(
        "OTEL_SERVICE_NAME=todo OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=none \
         OTEL_LOG_EXPORTER=console carafe run flask run -p @PORT@ | tee @LOG@",
    )?;
    let stderr = talk.shell.text(carafe_e2e::process::Stream::Stderr);
    let line = stderr.lines().find(|line| line.contains("OTEL_LOG_EXPORTER"));
    ensure!(line.is_some_and(|line| line.contains("OTEL_LOGS_EXPORTER")), "{stderr}");
    Ok(())
}
