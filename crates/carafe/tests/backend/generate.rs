use crate::program::{Up, output};
use serde_json::Value;

const RECIPE: [&str; 10] =
    ["--spans", "4000", "--late", "0.1", "--duplicate", "0.2", "--skew", "0.05", "--days", "0.25"];

#[test]
fn what_is_sent_is_answered_exactly() {
    let up = Up::start();
    let (endpoint, query) = (format!("http://{}", up.grpc), format!("http://{}", up.query));
    let sent = ["gen", "--json", "--endpoint", &endpoint, "--check", &query];
    let sent = output(&[&sent[..], &RECIPE].concat());
    let said: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(sent.status.code(), Some(0), "{said:#}");
    assert_eq!(said["differences"], 0);
    assert!(said["accepted_spans"].as_u64().unwrap() > 3_500, "{said:#}");
    // The flags that it gives make the same telemetry again, and another seed does not.
    let flags: Vec<&str> = said["check_options"].as_str().unwrap().split(' ').collect();
    let check = |more: &[&str]| output(&[&["gen", "--check", &query], &flags[..], more].concat());
    let again = check(&[]);
    let shown = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.status.code(), Some(0), "{shown}");
    assert!(shown.contains("0 differences in 0"), "{shown}");
    let other: Vec<&str> = flags.iter().skip(2).copied().collect();
    let wrong = output(&[&["gen", "--check", &query, "--seed", "2"], &other[..]].concat());
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn a_check_needs_to_know_what_was_sent() {
    let refused = output(&["gen", "--check", "http://127.0.0.1:1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("give --start"));
}
