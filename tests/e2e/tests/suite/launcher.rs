//! The launcher as a parent: statuses, signals, streams.

use anyhow::{Result, ensure};
use carafe_e2e::apps::carafe_run;
use carafe_e2e::backend::ANY_PORTS;
use carafe_e2e::process::{Proc, Stream, finish, shell_code};

fn start(program: &[&str]) -> Result<Proc> {
    let mut run = carafe_run("app", &ANY_PORTS)?;
    run.args(program);
    Proc::spawn(run)
}

#[test]
fn the_status_is_the_programs() -> Result<()> {
    for code in [0, 1, 42, 255] {
        let (status, _, stderr) = {
            let mut run = carafe_run("app", &ANY_PORTS)?;
            run.args(["sh", "-c", &format!("exit {code}")]);
            finish(run)?
        };
        ensure!(shell_code(status) == code, "{status} for {code}: {stderr}");
    }
    Ok(())
}

#[test]
fn a_program_killed_by_a_signal_looks_so_to_the_shell() -> Result<()> {
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        let mut run = carafe_run("app", &ANY_PORTS)?;
        run.args(["sh", "-c", &format!("kill -{signal} $$")]);
        let (status, _, stderr) = finish(run)?;
        ensure!(shell_code(status) == code, "{status} for {signal}: {stderr}");
    }
    Ok(())
}

#[test]
fn signals_reach_the_program_which_decides() -> Result<()> {
    for (signal, name) in [
        (libc::SIGTERM, "TERM"),
        (libc::SIGINT, "INT"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGUSR1, "USR1"),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
        );
        let mut proc = start(&["sh", "-c", &script])?;
        proc.wait_for(Stream::Stdout, "ready")?;
        proc.signal(signal)?;
        let status = proc.wait_exit()?;
        ensure!(shell_code(status) == 7, "{status} for {name}: {}", proc.transcript());
        proc.wait_for(Stream::Stdout, &format!("got {name}"))?;
    }
    Ok(())
}

#[test]
fn sigterm_ends_a_program_that_does_not_handle_it() -> Result<()> {
    let mut proc = start(&["sh", "-c", "echo ready; exec sleep 600"])?;
    proc.wait_for(Stream::Stdout, "ready")?;
    let status = proc.stop()?;
    ensure!(shell_code(status) == 143, "{status}: {}", proc.transcript());
    Ok(())
}

#[test]
fn both_streams_and_the_arguments_pass_through_unchanged() -> Result<()> {
    let mut run = carafe_run("app", &ANY_PORTS)?;
    let script = r#"for word in "$@"; do printf '<%s>' "$word"; done; printf 'to stderr' >&2"#;
    run.args(["sh", "-c", script, "sh", "--traces_exporter", "a b", "", "--", "-x", "é"]);
    let (status, stdout, stderr) = finish(run)?;
    ensure!(status.success(), "{status}");
    ensure!(stdout == "<--traces_exporter><a b><><--><-x><é>", "{stdout}");
    ensure!(stderr.contains("to stderr"), "{stderr}");
    Ok(())
}

#[test]
fn the_program_reads_the_launchers_stdin() -> Result<()> {
    let mut run = carafe_run("app", &ANY_PORTS)?;
    run.args(["head", "-c", "4"]).stdin(std::fs::File::open("/dev/zero")?);
    let (status, stdout, _) = finish(run)?;
    ensure!(status.success() && stdout == "\0\0\0\0", "{status} {stdout:?}");
    Ok(())
}

#[test]
fn a_wrong_flag_is_a_usage_error() -> Result<()> {
    let mut run = carafe_run("app", &["--no_such_flag"])?;
    run.arg("true");
    let (status, stdout, stderr) = finish(run)?;
    ensure!(shell_code(status) == 2 && stdout.is_empty(), "{status} {stdout}");
    ensure!(stderr.contains("no_such_flag") || stderr.contains("no-such-flag"), "{stderr}");
    Ok(())
}

/// In a PID namespace of its own the launcher is process 1, as in a container:
/// it inherits orphans and must collect them, and signals have no default.
#[test]
fn it_works_as_process_1() -> Result<()> {
    let carafe = carafe_e2e::binary::carafe()?;
    let unshare = || {
        let mut unshare = carafe_e2e::process::command("unshare");
        unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]);
        unshare
    };
    let mut probe = unshare();
    probe.arg("true");
    if !finish(probe)?.0.success() {
        eprintln!("not tested: this machine allows no PID namespaces");
        return Ok(());
    }
    let mut run = unshare();
    run.arg(carafe).args(["run", "--service_name", "app"]).args(ANY_PORTS).arg("--");
    // The inner shell's child outlives it and becomes the launcher's.
    run.args(["sh", "-c", "echo parent $PPID; (sleep 0.1 & ) ; sleep 0.5; exit 9"]);
    let (status, stdout, stderr) = finish(run)?;
    ensure!(stdout == "parent 1\n", "{stdout:?} {stderr}");
    ensure!(shell_code(status) == 9, "{status}: {stderr}");
    Ok(())
}
