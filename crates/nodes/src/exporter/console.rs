//! Prints telemetry as JSON in the layout of the official Python SDK's console exporters,
//! so that whoever reads or greps that output finds the same text.
//!
//! The reference is opentelemetry-sdk 1.45.1: `ReadableSpan.to_json`,
//! `ReadableLogRecord.to_json` and `MetricsData.to_json`. What OTLP does not carry is printed
//! as the SDK prints it when it was not set: an empty scope version or severity text is null.

mod json;
mod logs;
mod metrics;
mod spans;
mod text;
mod value;

use async_trait::async_trait;
use carafe_pipeline::{Accepted, Consumer, Refusal, RefusalKind};
use carafe_telemetry::{Batch, Request};
use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;

/// Prints spans and log records one JSON object each, metrics one object for each batch.
///
/// Each object goes to the writer with its newline in a single `write_all`, so that it stays
/// in one piece where others write to the same place. The writer may block (a pipe that nobody
/// reads): it is called on Tokio's blocking threads, and its batch is answered when all of it
/// is written.
pub struct ConsoleExporter {
    out: Arc<Mutex<dyn Write + Send>>,
}

impl ConsoleExporter {
    /// Prints to `writer`.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self { out: Arc::new(Mutex::new(writer)) }
    }

    /// Prints to the standard output of this process.
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

#[async_trait]
impl Consumer for ConsoleExporter {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let out = Arc::clone(&self.out);
        let printing = tokio::task::spawn_blocking(move || print(&batch, &mut *out.lock()));
        printing.await.map_err(|error| Refusal::new(RefusalKind::Internal, error.to_string()))?
    }
}

fn print(batch: &Batch, out: &mut dyn Write) -> Result<Accepted, Refusal> {
    let request = batch
        .decode()
        .map_err(|error| Refusal::new(RefusalKind::InvalidData, error.to_string()))?;
    let mut write = |object: String| out.write_all(object.as_bytes());
    let written = match &request {
        Request::Traces(request) => spans::objects(request).try_for_each(&mut write),
        Request::Logs(request) => logs::objects(request).try_for_each(&mut write),
        Request::Metrics(request) => write(metrics::object(request)),
    };
    written.and_then(|()| out.flush()).map(|()| Accepted::default()).map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::BrokenPipe => "console: whoever read the output has gone".to_owned(),
            _ => format!("console: {error}"),
        };
        Refusal::new(RefusalKind::Internal, message)
    })
}
