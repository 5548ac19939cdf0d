//! What outlives the process, and what does not.

use crate::program::{ANY_PORTS, Up, carafe, http, output};
use std::path::Path;

const TRACE: &str = "/api/traces/5b8efff798038103d269b633813fc60c";

const SPAN: &[u8] = br#"{"resourceSpans":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
    {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /",
     "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000001000000"}]}]}]}"#;

fn send(up: &Up) {
    let (status, body) = http("POST", &up.http, "/v1/traces", "application/json", SPAN);
    assert_eq!((status, body.as_str()), (200, "{}"));
}

fn kept(directory: &Path) -> [&str; 4] {
    ["--data-dir", directory.to_str().unwrap(), "--retention-age", "none"]
}

#[test]
fn what_was_acknowledged_is_there_after_an_end_of_any_kind() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("new");
    for signal in ["KILL", "TERM"] {
        let up = Up::with(&kept(&directory));
        if signal == "KILL" {
            send(&up);
        }
        let (status, body) = http("GET", &up.query, TRACE, "", b"");
        assert_eq!(status, 200, "before {signal}");
        assert!(body.contains("shop"), "{body}");
        assert_eq!(up.stop(signal).success(), signal == "TERM");
    }
    // A good end leaves all in files.
    let files = directory.join("files/traces");
    assert!(files.is_dir(), "{}", files.display());
    let up = Up::with(&kept(&directory));
    assert_eq!(http("GET", &up.query, TRACE, "", b"").0, 200);
}

#[test]
fn a_second_one_says_who_has_the_directory() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::with(&kept(data.path()));
    let second = carafe(&ANY_PORTS).args(kept(data.path())).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    let address = format!("at http://{}; hint: stop it", up.query);
    assert!(said.contains("(carafe up)") && said.contains(&address), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn memory_alone_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("new");
    let up = Up::with(&["--in-memory", "--data-dir", directory.to_str().unwrap()]);
    send(&up);
    assert_eq!(http("GET", &up.query, TRACE, "", b"").0, 200);
    assert!(up.stop("TERM").success());
    assert!(!directory.exists());
}

#[test]
fn what_is_too_old_is_refused_and_counted() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::with(&["--data-dir", data.path().to_str().unwrap()]);
    let (status, body) = http("POST", &up.http, "/v1/traces", "application/json", SPAN);
    assert_eq!(status, 200);
    assert!(body.contains("\"rejectedSpans\":\"1\""), "{body}");
    let (_, metrics) = http("GET", &up.telemetry, "/metrics", "", b"");
    let sample = "carafe_store_rejected_items{store=\"local\"} 1\n";
    assert!(metrics.contains(sample), "{metrics}");
}

#[test]
fn what_the_options_say_is_checked_first() {
    for wrong in [
        &["--retention-age", "old"][..],
        &["--retention-size", "big"],
        &["--durability", "maybe"],
        &["--memory-limit", "much"],
    ] {
        let output = output(&[&["up"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
