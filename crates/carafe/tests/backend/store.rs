//! `carafe store` on real data directories.

use crate::program::{Up, http, output};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

const SPANS: u64 = 2_000;

/// A data directory with telemetry in files, and nobody in it.
fn filled() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let up = Up::with(&["--data-dir", text(data.path())]);
    let (endpoint, spans) = (format!("http://{}", up.grpc), SPANS.to_string());
    let sent = output(&["gen", "--endpoint", &endpoint, "--spans", &spans, "--days", "0.25"]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert!(up.stop("TERM").success());
    data
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn store(action: &str, directory: &Path, options: &[&str]) -> Output {
    output(&[&["store", action, "--data-dir", text(directory)], options].concat())
}

fn json(action: &str, directory: &Path) -> (Option<i32>, Value) {
    let output = store(action, directory, &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).expect(&said))
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.join("files")];
    while let Some(next) = waiting.pop() {
        for entry in next.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn stats_are_told_with_and_without_a_backend() {
    let data = filled();
    let (code, alone) = json("stats", data.path());
    assert_eq!(code, Some(0));
    assert_eq!(alone["holder"], Value::Null);
    let spans = alone["signals"]["traces"]["items"].as_u64().unwrap();
    assert!(spans >= SPANS / 2, "{alone:#}");
    let up = Up::with(&["--data-dir", text(data.path())]);
    let (code, beside) = json("stats", data.path());
    assert_eq!(code, Some(0));
    assert_eq!(beside["holder"]["program"], "carafe up");
    assert_eq!(beside["holder"]["addresses"][0], format!("http://{}", up.query));
    assert_eq!(beside["signals"]["traces"]["items"], spans);
    let people = store("stats", data.path(), &[]);
    let said = String::from_utf8(people.stdout).unwrap();
    assert!(said.contains("(carafe up)") && said.contains("traces "), "{said}");
}

#[test]
fn verify_names_every_damaged_file() {
    let data = filled();
    let (code, sound) = json("verify", data.path());
    assert_eq!((code, &sound["ok"]), (Some(0), &Value::Bool(true)), "{sound:#}");
    assert_eq!(sound["files"], files(data.path(), "parquet").len());
    // One bit in the middle of a data file, one in a side file, and a file that is gone.
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let damaged: Vec<PathBuf> = files(data.path(), "parquet").into_iter().take(3).collect();
    flip(&damaged[0]);
    flip(&damaged[1].with_extension("idx"));
    std::fs::remove_file(&damaged[2]).unwrap();
    let (code, report) = json("verify", data.path());
    assert_eq!(code, Some(1));
    let mut named: Vec<PathBuf> = report["damaged"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| data.path().join(finding["file"].as_str().unwrap()))
        .collect();
    named.sort();
    let expected: Vec<PathBuf> = damaged.iter().map(|path| path.with_extension("")).collect();
    assert_eq!(named, expected, "{report:#}");
}

#[test]
fn compact_leaves_fewer_files_with_all_that_was_in_them() {
    let data = filled();
    let (_, before) = json("verify", data.path());
    let compacted = store("compact", data.path(), &[]);
    assert!(compacted.status.success(), "{}", String::from_utf8_lossy(&compacted.stderr));
    let (code, after) = json("verify", data.path());
    assert_eq!(code, Some(0), "{after:#}");
    assert_eq!(after["items"], before["items"]);
    assert!(after["files"].as_u64() < before["files"].as_u64(), "{before:#} {after:#}");
    // What is older than anything may be goes.
    let expired = store("compact", data.path(), &["--retention-age", "1s"]);
    assert!(expired.status.success());
    let (_, nothing) = json("verify", data.path());
    assert_eq!(nothing["items"]["traces"], 0, "{nothing:#}");
}

#[test]
fn what_is_exported_can_be_sent_to_another_backend() {
    let data = filled();
    let lines = data.path().join("lines.json");
    let exported = store("export", data.path(), &["--signal", "traces", "-o", text(&lines)]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let spans: usize = std::fs::read_to_string(&lines)
        .unwrap()
        .lines()
        .map(|line| line.matches("\"spanId\":").count())
        .sum();
    let (_, report) = json("verify", data.path());
    assert!(spans >= report["items"]["traces"].as_u64().unwrap() as usize, "{spans}");
    let other = Up::start();
    let endpoint = format!("http://{}", other.grpc);
    let sent = store("export", data.path(), &["--endpoint", &endpoint]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let (_, metrics) = http("GET", &other.telemetry, "/metrics", "", b"");
    for (family, signal) in
        [("spans", "traces"), ("log_records", "logs"), ("metric_points", "metrics")]
    {
        let items = &report["items"][signal];
        let sample = format!("carafe_store_{family}{{store=\"local\"}} {items}\n");
        assert!(metrics.contains(&sample), "{sample} in\n{metrics}");
    }
}

#[test]
fn clear_asks_first_and_removes_what_it_is_told_to() {
    let data = filled();
    let asked = store("clear", data.path(), &["--signal", "logs"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("say --yes"));
    let (_, before) = json("stats", data.path());
    assert!(store("clear", data.path(), &["--signal", "logs", "--yes"]).status.success());
    let (_, after) = json("stats", data.path());
    assert_eq!(after["signals"]["logs"]["items"], 0);
    assert_eq!(after["signals"]["traces"], before["signals"]["traces"]);
    assert!(store("clear", data.path(), &["--before", "1d", "--yes"]).status.success());
    assert_eq!(json("stats", data.path()).1, after);
    assert!(store("clear", data.path(), &["--yes"]).status.success());
    assert!(files(data.path(), "parquet").is_empty());
}

#[test]
fn a_directory_without_data_is_not_made() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("none");
    for action in ["stats", "verify", "compact", "export"] {
        let output = store(action, &directory, &[]);
        assert_eq!(output.status.code(), Some(1), "{action}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("there is no data in"), "{action}: {said}");
    }
    assert!(!directory.exists());
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let _up = Up::with(&["--data-dir", text(data.path())]);
    for (action, options) in
        [("verify", &[][..]), ("compact", &[]), ("export", &[]), ("clear", &["--yes"])]
    {
        let output = store(action, data.path(), options);
        assert_eq!(output.status.code(), Some(1), "{action}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is used by process"), "{action}: {said}");
    }
}
