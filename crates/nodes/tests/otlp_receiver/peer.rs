//! A receiver under test and the consumer behind it.

use carafe_nodes::receiver::otlp::{Config, Limits, OtlpReceiver, ReceiverCounters};
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_telemetry::{Batch, Request, otlp};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keeps what it gets and answers what it was told to.
pub(crate) struct Recorder {
    pub(crate) batches: Mutex<Vec<Batch>>,
    answer: Result<Accepted, Refusal>,
}

#[async_trait::async_trait]
impl Consumer for Recorder {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        self.batches.lock().unwrap().push(batch);
        self.answer.clone()
    }
}

pub(crate) struct Receiver {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) counters: Arc<ReceiverCounters>,
    pub(crate) consumer: Arc<Recorder>,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::with(Ok(Accepted::default()), Limits::default()).await
    }

    pub(crate) async fn answering(answer: Result<Accepted, Refusal>) -> Self {
        Self::with(answer, Limits::default()).await
    }

    pub(crate) async fn with(answer: Result<Accepted, Refusal>, limits: Limits) -> Self {
        let any = "127.0.0.1:0".to_owned();
        let config = Config { grpc: any.clone(), http: any, limits };
        let receiver = OtlpReceiver::bind(&config).await.unwrap();
        let (grpc, http) = (receiver.grpc_addr(), receiver.http_addr());
        let counters = receiver.counters();
        let consumer = Arc::new(Recorder { batches: Mutex::default(), answer });
        let cancel = CancellationToken::new();
        let task = tokio::spawn(receiver.serve(consumer.clone(), cancel.clone()));
        Self { grpc, http, counters, consumer, cancel, task }
    }

    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.consumer.batches.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A request with `spans` spans.
pub(crate) fn traces(spans: usize) -> Batch {
    let span = otlp::Span {
        trace_id: vec![7; 16],
        span_id: vec![9; 8],
        name: "GET /".into(),
        ..Default::default()
    };
    let scope_spans = vec![otlp::ScopeSpans { spans: vec![span; spans], ..Default::default() }];
    let resource_spans = vec![otlp::ResourceSpans { scope_spans, ..Default::default() }];
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans }).encode()
}

/// An HTTP client that speaks the version of its scheme's server and no other.
pub(crate) fn client(http2: bool) -> reqwest::Client {
    // Fails where another test of this process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
    builder.build().unwrap()
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
