//! On a terminal the app keeps its terminal, with captured output as well.

use anyhow::{Result, ensure};
use carafe_e2e::binary;
use carafe_e2e::process::{command, finish};

/// Runs a shell line under `carafe run` on a pseudo-terminal that Python makes.
fn on_a_terminal(flags: &str, line: &str) -> Result<String> {
    let carafe = binary::carafe()?.display();
    let run = format!(
        "{carafe} run --service_name app {flags} --query 127.0.0.1:0 --otlp-grpc 127.0.0.1:0 \
         --otlp-http 127.0.0.1:0 --telemetry 127.0.0.1:0 -- sh -c '{line}'"
    );
    let mut python = command("python3");
    python.args([
        "-c",
        "import pty, sys; sys.exit(pty.spawn(['sh', '-c', sys.argv[1]]) >> 8)",
        &run,
    ]);
    let (status, stdout, stderr) = finish(python)?;
    ensure!(status.success(), "{status}: {stdout} {stderr}");
    Ok(stdout)
}

#[test]
fn the_app_sees_a_terminal() -> Result<()> {
    let line = "test -t 0 && test -t 1 && test -t 2 && echo on a terminal";
    for flags in ["", "--capture_output"] {
        let output = on_a_terminal(flags, line)?;
        ensure!(output.contains("on a terminal"), "{flags}: {output}");
    }
    Ok(())
}
