//! `carafe up` and `carafe check`, with clients that we did not write.

use anyhow::{Context, Result, ensure};
use carafe_e2e::backend::{ANY_PORTS, Backend, announced_metrics};
use carafe_e2e::process::{Proc, command, finish, shell_code};
use carafe_e2e::{binary, fixture, http, python};
use serde_json::Value;

/// A backend of its own.
pub(crate) fn up() -> Result<(Proc, Backend)> {
    let mut up = command(binary::carafe()?);
    up.arg("up").args(ANY_PORTS);
    let mut proc = Proc::spawn(up)?;
    let backend = Backend::announced(&mut proc)?;
    Ok((proc, backend))
}

#[test]
fn what_an_official_client_sends_can_be_asked_for_at_once() -> Result<()> {
    let (mut proc, backend) = up()?;
    let mut client = command(python::bin()?.join("python"));
    client.arg(fixture("apps/otlp_client.py")).arg(backend.otlp_grpc.to_string());
    let (status, stdout, stderr) = finish(client)?;
    ensure!(status.success(), "{status}: {stderr}");
    let trace_id = stdout.trim();

    // The acknowledgement means that queries see it.
    let services = backend.json("/api/services")?;
    ensure!(
        services["data"].as_array().is_some_and(|list| list.contains(&"shop".into())),
        "{services}"
    );
    let trace = backend.json(&format!("/api/traces/{trace_id}"))?;
    ensure!(trace["data"][0]["traceID"] == trace_id, "{trace:#}");
    ensure!(
        trace["data"][0]["spans"].as_array().is_some_and(|spans| spans.len() == 2),
        "{trace:#}"
    );

    let spans = backend.spans("shop", "server")?;
    let root = spans.iter().find(|span| span.name == "GET /cart").context("no root")?;
    let child = spans.iter().find(|span| span.name == "SELECT").context("no child")?;
    ensure!(child.parent.as_ref() == Some(&root.span_id), "{child:?}");
    ensure!((root.duration_us, child.duration_us) == (5_000, 2_000), "{root:?} {child:?}");
    ensure!(root.tag("customer") == "<b>Ada</b>", "{root:?}");

    for (tag, count) in [("GET", 1), ("POST", 0)] {
        let tags = format!("%7B%22http.method%22%3A%22{tag}%22%7D");
        let found = backend.json(&format!("/api/traces?tags={tags}"))?;
        let traces = found["data"].as_array().context("no data")?;
        ensure!(traces.len() == count, "{} traces with {tag}", traces.len());
    }
    let logs = backend.json(&format!("/api/carafe/v1/traces/{trace_id}/logs"))?;
    ensure!(logs["logs"][0]["body"] == "the cart is nearly full", "{logs:#}");
    ensure!(shell_code(proc.stop()?) == 0, "{}", proc.transcript());
    Ok(())
}

#[test]
fn the_ui_is_a_page_and_unknown_api_paths_are_not() -> Result<()> {
    let (_proc, backend) = up()?;
    for path in ["/", "/search?service=todo", "/trace/4bf92f3577b34da6a3ce929d0e0e4736"] {
        let page = http::get(backend.query, path)?;
        ensure!(page.status == 200, "{path}: {}", page.status);
        let kind = page.header("content-type").unwrap_or_default();
        ensure!(kind.starts_with("text/html"), "{path}: {kind}");
    }
    let missing = http::get(backend.query, "/api/nothing/here")?;
    ensure!(missing.status == 404, "{}", missing.status);
    serde_json::from_slice::<Value>(&missing.body).context(missing.text())?;
    Ok(())
}

#[test]
fn a_taken_port_is_named_and_no_other_is_left_open() -> Result<()> {
    let (_first, backend) = up()?;
    let taken = backend.query.to_string();
    let mut second = command(binary::carafe()?);
    second.arg("up").args(["--query", &taken]).args(&ANY_PORTS[2..]);
    let (status, stdout, stderr) = finish(second)?;
    ensure!(shell_code(status) == 1 && stdout.is_empty(), "{status} {stdout}");
    ensure!(stderr.contains(&taken) && stderr.contains("--query"), "{stderr}");
    Ok(())
}

#[test]
fn check_round_trips_a_span_and_says_what_is_missing() -> Result<()> {
    let (_proc, backend) = up()?;
    let check = |query: &str| -> Result<(i32, Value)> {
        let mut check = command(binary::carafe()?);
        check.args(["check", "--json", "--query", query]);
        check.args(["--otlp-grpc", &backend.otlp_grpc.to_string()]);
        check.args(["--otlp-http", &backend.otlp_http.to_string()]);
        let (status, stdout, stderr) = finish(check)?;
        Ok((shell_code(status), serde_json::from_str(&stdout).context(stderr)?))
    };
    let (code, report) = check(&backend.query.to_string())?;
    ensure!(code == 0, "{code}: {report:#}");
    let nobody = format!("127.0.0.1:{}", carafe_e2e::free_port()?);
    let (code, report) = check(&nobody)?;
    ensure!(code == 1 && report.to_string().contains(&nobody), "{code}: {report:#}");
    Ok(())
}

#[test]
fn curl_on_the_grpc_port_is_answered_as_by_a_grpc_server() -> Result<()> {
    let (_proc, backend) = up()?;
    let mut curl = command("curl");
    curl.args(["-sS", "--max-time", "20", &format!("http://{}/", backend.otlp_grpc)]);
    let (status, _, stderr) = finish(curl)?;
    ensure!(!status.success() && stderr.contains("HTTP/0.9"), "{status}: {stderr}");
    Ok(())
}

#[test]
fn its_own_metrics_count_what_it_received() -> Result<()> {
    let (mut proc, backend) = up()?;
    let metrics = announced_metrics(&mut proc)?;
    let mut client = command(python::bin()?.join("python"));
    client.arg(fixture("apps/otlp_client.py")).arg(backend.otlp_grpc.to_string());
    let (status, _, stderr) = finish(client)?;
    ensure!(status.success(), "{status}: {stderr}");
    let text = http::get(metrics, "/metrics")?.text();
    let count: f64 = text
        .lines()
        .filter(|line| line.starts_with("otelcol_receiver_accepted_spans"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    ensure!(count == 2.0, "{count} accepted spans in:\n{text}");
    Ok(())
}
