//! Programs that cannot be observed run, or fail, as they do without Carafe,
//! and one line on stderr says so.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use carafe_e2e::apps::{carafe_run, public_directory};
use carafe_e2e::otlp_sink::OtlpSink;
use carafe_e2e::process::{command, finish, shell_code};

const HELLO_C: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 5; }\n";
const HELLO_GO: &str = "package main\n\nimport (\"fmt\"; \"os\")\n\nfunc main() { fmt.Println(\"hello\"); os.Exit(5) }\n";

/// Runs a program under `carafe run` with an exporter that leads to a live
/// receiver; gives `$?`, stdout and stderr.
fn run(program: &Path) -> Result<(i32, String, String)> {
    let sink = OtlpSink::grpc()?;
    let mut run = carafe_run("app", &[])?;
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", sink.addr)).arg(program);
    let (status, stdout, stderr) = finish(run)?;
    Ok((shell_code(status), stdout, stderr))
}

fn compile(compiler: &mut Command) -> Result<()> {
    let output = compiler.output()?;
    ensure!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn compile_c(compiler: &str, flags: &[&str], directory: &Path) -> Result<PathBuf> {
    let (source, program) = (directory.join("hello.c"), directory.join("hello"));
    fs::write(&source, HELLO_C)?;
    compile(command(compiler).args(flags).arg("-o").arg(&program).arg(&source))?;
    Ok(program)
}

/// The program ran to its own end, and exactly one line says why it is not
/// observed.
fn runs_with_one_line(program: &Path, words: &[&str]) -> Result<()> {
    let (code, stdout, stderr) = run(program)?;
    ensure!((code, stdout.as_str()) == (5, "hello\n"), "{code} {stdout:?} {stderr}");
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| words.iter().all(|word| line.to_lowercase().contains(word)))
        .collect();
    ensure!(lines.len() == 1, "{} lines with {words:?} in:\n{stderr}", lines.len());
    Ok(())
}

#[test]
fn a_static_program() -> Result<()> {
    let directory = public_directory()?;
    let program = compile_c("cc", &["-static"], directory.path())?;
    runs_with_one_line(&program, &["static"])
}

#[test]
fn a_go_program() -> Result<()> {
    let directory = public_directory()?;
    let (source, program) = (directory.path().join("hello.go"), directory.path().join("hello"));
    fs::write(&source, HELLO_GO)?;
    let mut go = command("go");
    go.env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off")
        .env("GOCACHE", directory.path().join("cache"));
    compile(go.args(["build", "-o"]).arg(&program).arg(&source))?;
    runs_with_one_line(&program, &["static"])
}

#[test]
fn a_musl_program() -> Result<()> {
    let directory = public_directory()?;
    let program = compile_c("musl-gcc", &[], directory.path())?;
    runs_with_one_line(&program, &["musl"])
}

#[test]
fn a_setuid_program() -> Result<()> {
    let directory = public_directory()?;
    let program = compile_c("cc", &[], directory.path())?;
    // Another owner where that is possible, so that the loader really drops
    // LD_PRELOAD; as an ordinary user the mode bit alone must be enough.
    let _ = chown(&program, Some(65_534), Some(65_534));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755))?;
    runs_with_one_line(&program, &["setuid"])
}

#[test]
fn an_ordinary_program_is_left_alone() -> Result<()> {
    let directory = public_directory()?;
    let program = compile_c("cc", &[], directory.path())?;
    let (code, stdout, stderr) = run(&program)?;
    ensure!((code, stdout.as_str()) == (5, "hello\n"), "{code} {stdout:?} {stderr}");
    for word in ["static", "setuid", "musl", "cannot"] {
        ensure!(!stderr.contains(word), "{stderr}");
    }
    Ok(())
}

#[test]
fn a_missing_program_is_127() -> Result<()> {
    for program in ["/nowhere/at-all", "no-such-program-anywhere"] {
        let (code, stdout, stderr) = run(Path::new(program))?;
        ensure!(code == 127 && stdout.is_empty(), "{code} {stdout:?} {stderr}");
        ensure!(stderr.lines().filter(|line| line.contains(program)).count() == 1, "{stderr}");
    }
    Ok(())
}

#[test]
fn a_file_that_may_not_be_executed_is_126() -> Result<()> {
    let directory = public_directory()?;
    let file = directory.path().join("notes.txt");
    fs::write(&file, "not a program\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let (code, stdout, stderr) = run(&file)?;
    ensure!(code == 126 && stdout.is_empty(), "{code} {stdout:?} {stderr}");
    ensure!(stderr.lines().filter(|line| line.contains("notes.txt")).count() == 1, "{stderr}");
    let (code, _, stderr) = run(directory.path())?;
    ensure!(code == 126, "a directory: {code} {stderr}");
    Ok(())
}
