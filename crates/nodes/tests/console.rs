//! The console exporter against what opentelemetry-sdk 1.45.1 printed for the same data.
//! `console/generate.py` says how the files came about.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use carafe_nodes::exporter::console::ConsoleExporter;
use carafe_pipeline::{Consumer, RefusalKind};
use carafe_telemetry::{Batch, Signal};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Keeps the bytes of each call to `write` apart.
#[derive(Clone, Default)]
struct Sink {
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn printed(signal: Signal, bytes: &'static [u8]) -> Vec<String> {
    let sink = Sink::default();
    let exporter = ConsoleExporter::new(sink.clone());
    exporter.consume(Batch { signal, bytes: bytes.into() }).await.unwrap();
    let writes = sink.writes.lock().unwrap();
    writes.iter().map(|bytes| String::from_utf8(bytes.clone()).unwrap()).collect()
}

fn assert_same(ours: &str, official: &str) {
    for (number, (ours, official)) in ours.lines().zip(official.lines()).enumerate() {
        assert_eq!(ours, official, "line {}", number + 1);
    }
    assert_eq!(ours, official);
}

#[tokio::test]
async fn traces_are_the_same() {
    let writes = printed(Signal::Traces, include_bytes!("console/traces.binpb")).await;
    assert_same(&writes.concat(), include_str!("console/traces.txt"));
    assert_eq!(writes.len(), 7, "one write for each span");
}

#[tokio::test]
async fn metrics_are_the_same() {
    let writes = printed(Signal::Metrics, include_bytes!("console/metrics.binpb")).await;
    assert_same(&writes.concat(), include_str!("console/metrics.txt"));
    assert_eq!(writes.len(), 1, "one write for the batch");
}

#[tokio::test]
async fn logs_are_the_same() {
    let writes = printed(Signal::Logs, include_bytes!("console/logs.binpb")).await;
    assert_same(&writes.concat(), include_str!("console/logs.txt"));
    assert_eq!(writes.len(), 3, "one write for each record");
}

#[tokio::test]
async fn what_is_not_otlp_is_refused() {
    let exporter = ConsoleExporter::new(Sink::default());
    let batch = Batch { signal: Signal::Traces, bytes: "\u{ff}\u{ff}".into() };
    let refusal = exporter.consume(batch).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::InvalidData);
}

#[tokio::test]
async fn a_reader_that_has_gone_is_named() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = include_bytes!("console/logs.binpb").as_slice();
    let batch = Batch { signal: Signal::Logs, bytes: bytes.into() };
    let refusal = ConsoleExporter::new(Closed).consume(batch).await.unwrap_err();
    assert_eq!(refusal.message, "console: whoever read the output has gone");
    assert!(!refusal.kind.is_retryable());
}
