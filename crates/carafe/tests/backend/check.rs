use crate::program::{Up, output};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn check(grpc: &str, http: &str, query: &str) -> (Option<i32>, Value) {
    let output =
        output(&["check", "--json", "--otlp-grpc", grpc, "--otlp-http", http, "--query", query]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_backend_passes_and_its_process_is_named() {
    let up = Up::start();
    let (code, report) = check(&up.grpc, &up.http, &up.query);
    assert_eq!(code, Some(0), "{report:#}");
    for (port, speaks) in
        report["ports"].as_array().unwrap().iter().zip(["otlp_grpc", "otlp_http", "query"])
    {
        assert_eq!(port["speaks"], speaks);
        assert!(port["holder"]["command"].as_str().unwrap().contains("carafe"), "{port}");
    }
    let trips = report["roundTrips"].as_array().unwrap();
    assert_eq!(trips.len(), 2);
    for trip in trips {
        assert_eq!(trip["ok"], true);
        assert!(trip["durationMillis"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn people_get_one_line_a_port_and_a_span() {
    let up = Up::start();
    let output =
        output(&["check", "--otlp-grpc", &up.grpc, "--otlp-http", &up.http, "--query", &up.query]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 5, "{said}");
    assert!(said.lines().all(|line| line.starts_with('✓')), "{said}");
}

#[test]
fn swapped_ports_are_recognised() {
    let up = Up::start();
    let (code, report) = check(&up.http, &up.query, &up.grpc);
    assert_eq!(code, Some(1));
    let speaks: Vec<_> = report["ports"].as_array().unwrap().iter().map(|p| &p["speaks"]).collect();
    assert_eq!(speaks, ["otlp_http", "query", "otlp_grpc"]);
    assert!(report["roundTrips"].as_array().unwrap().is_empty());
}

#[test]
fn closed_ports_and_strangers_are_told_apart() {
    // A client's own port is in use, so nobody else gets it, but nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let closed = client.local_addr().unwrap().to_string();
    let web = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi");
    let other = answering(b"220 mail.example.com ESMTP\r\n");
    let (code, report) = check(&closed, &web, &other);
    assert_eq!(code, Some(1));
    let ports = report["ports"].as_array().unwrap();
    assert_eq!(ports[0]["listening"], false);
    assert_eq!(ports[0]["speaks"], Value::Null);
    assert_eq!(ports[1]["speaks"], "http");
    assert_eq!(ports[2]["speaks"], "other");
    assert_eq!(ports[2]["holder"]["pid"], std::process::id());
}

/// A server that answers everybody with the same bytes.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // What the client says, or that it goes away, does not matter here.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    addr
}
