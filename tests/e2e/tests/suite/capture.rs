//! `--capture_output`: printed lines become log records and are still printed.

use anyhow::{Context, Result, ensure};
use carafe_e2e::apps::carafe_run;
use carafe_e2e::otlp_sink::OtlpSink;
use carafe_e2e::process::finish;

#[test]
fn lines_are_printed_and_exported() -> Result<()> {
    let sink = OtlpSink::grpc()?;
    let mut run = carafe_run("app", &["--capture_output"])?;
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr));
    run.args([
        "sh",
        "-c",
        "echo 'ready to serve'; echo 'ERROR: disk is full' >&2; printf 'no newline'",
    ]);
    let (status, stdout, stderr) = finish(run)?;
    ensure!(status.success(), "{status}");
    ensure!(stdout == "ready to serve\nno newline", "{stdout:?}");
    ensure!(stderr.contains("ERROR: disk is full\n"), "{stderr:?}");

    let logs = sink.wait_logs(3)?;
    ensure!(logs.len() == 3, "{logs:#?}");
    let record = |body: &str| {
        let found = logs.iter().find(|log| log["body"]["stringValue"] == body);
        found.with_context(|| format!("no {body:?} in {logs:#?}"))
    };
    for (body, stream) in
        [("ready to serve", "stdout"), ("ERROR: disk is full", "stderr"), ("no newline", "stdout")]
    {
        let record = record(body)?;
        let attributes = record["attributes"].to_string();
        ensure!(attributes.contains(stream), "{stream} is not said: {record:#}");
        ensure!(record["timeUnixNano"].as_str().is_some_and(|time| time != "0"), "{record:#}");
    }
    let error = record("ERROR: disk is full")?;
    ensure!(error["severityNumber"] == "SEVERITY_NUMBER_ERROR", "{error:#}");
    Ok(())
}
