//! What the tests of this crate share.

use crate::{Accepted, Consumer, Refusal};
use async_trait::async_trait;
use carafe_telemetry::{Batch, Signal};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// A traces batch with these bytes, which need not be protobuf.
pub(crate) fn batch(bytes: &'static str) -> Batch {
    Batch { signal: Signal::Traces, bytes: bytes.into() }
}

/// Answers as told, in order, and remembers what it got.
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Result<Accepted, Refusal>>>,
    seen: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = Result<Accepted, Refusal>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

#[async_trait]
impl Consumer for Scripted {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        self.seen.lock().push(String::from_utf8(batch.bytes.to_vec()).unwrap());
        self.answers.lock().pop_front().expect("more calls than answers")
    }
}

/// What this thread logs from now on.
pub(crate) struct Log {
    lines: Sink,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Sink::default();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = self.lines.0.lock().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
