//! What a span of the Python engine costs the launcher, from the ring to the OTLP request, and
//! what a measurement does.

use carafe_launch::batch::{BatchOptions, Batcher};
use carafe_launch::http::HttpOptions;
use carafe_launch::instruments::Instruments;
use carafe_launch::metrics::MetricOptions;
use carafe_launch::origin::Origin;
use carafe_launch::registry::Registry;
use carafe_launch::resource::ResourceOptions;
use carafe_launch::rings::{ReaderCounters, RingReader, Sink};
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_telemetry::otlp::{
    self, InstrumentationScope, KeyValueList, Metric, Resource, ScopeSpans, Span,
};
use carafe_telemetry::{Batch, Signal, UnixNanos};
use carafe_wire::record::{
    Definition, Hello, Instrument, InstrumentKind, Measurement, Notice, Number, Record, Scoped,
};
use carafe_wire::ring::Producer;
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use divan::Bencher;
use prost::Message;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() {
    divan::main();
}

/// Spans to a sample: the ring holds them all.
const SPANS: usize = 8_192;

/// As Flask's instrumentation makes it with the old conventions.
fn span() -> Vec<u8> {
    let text = |key, value: &str| otlp::string(key, value);
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /delete/<int:task_id>".into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_400_000,
        flags: 0x103,
        attributes: vec![
            text("http.method", "GET"),
            text("http.server_name", "127.0.0.1"),
            text("http.scheme", "http"),
            otlp::int("net.host.port", 5000),
            text("http.host", "localhost:5000"),
            text("http.target", "/delete/12"),
            text("net.peer.ip", "127.0.0.1"),
            text("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"),
            otlp::int("net.peer.port", 40_112),
            text("http.flavor", "1.1"),
            text("http.route", "/delete/<int:task_id>"),
            otlp::int("http.status_code", 200),
        ],
        ..Default::default()
    }
    .encode_to_vec()
}

fn scope() -> Vec<u8> {
    let name = "opentelemetry.instrumentation.flask".to_owned();
    let scope = InstrumentationScope { name, ..Default::default() };
    ScopeSpans { scope: Some(scope), ..Default::default() }.encode_to_vec()
}

struct Forward(carafe_launch::batch::Sender);

impl Sink for Forward {
    fn span(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        self.0.send(origin, otlp);
    }

    fn log(&mut self, _origin: &Arc<Origin>, _otlp: &[u8]) {}

    fn notice(&mut self, _notice: &Notice<'_>) {}
}

struct Nowhere;

#[async_trait::async_trait]
impl Consumer for Nowhere {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        divan::black_box(batch);
        Ok(Accepted::default())
    }
}

fn push(ring: &mut Producer<MappedRing>, record: &Record<'_>) {
    let (kind, fixed, rest) = record.encode();
    ring.push(kind, &[fixed.as_slice(), rest]).expect("the ring has room");
}

/// A ring with spans, and a reader whose launcher has been told to stop.
fn reader() -> (RingReader<Forward>, Batcher, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let c_path = |name: &str| {
        CString::new(directory.path().join(name).to_str().expect("UTF-8")).expect("no zero")
    };
    let doorbell = MappedDoorbell::create(&c_path("doorbell")).expect("a doorbell");
    let ring = MappedRing::create(&c_path("1-1-python.ring"), 16 << 20, 1).expect("a ring");
    let mut ring = Producer::new(ring);
    push(&mut ring, &Record::Hello(Hello { pid: 1, parent_pid: 0, time_ns: 1, executable: b"p" }));
    push(&mut ring, &Record::Scope(Definition { id: 1, otlp: &scope() }));
    let span = span();
    (0..SPANS).for_each(|_| push(&mut ring, &Record::Span(Scoped { scope: 1, otlp: &span })));
    doorbell.rings.fetch_add(1, Ordering::Release);
    let options = BatchOptions {
        queue_limit: SPANS,
        batch_limit: 1_024,
        delay: Duration::from_millis(200),
        timeout: Duration::from_secs(1),
    };
    let (sender, batcher) = Batcher::new(Signal::Traces, options);
    let reader = RingReader::new(
        directory.path(),
        Arc::new(doorbell),
        HttpOptions::default(),
        Arc::new(Registry::new(ResourceOptions::default(), MetricOptions::default())),
        Arc::new(ReaderCounters::default()),
        Forward(sender),
    );
    (reader, batcher, directory)
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn ring_to_requests(bencher: Bencher) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    bencher.counter(divan::counter::ItemsCount::new(SPANS)).with_inputs(reader).bench_local_values(
        |(reader, batcher, directory)| {
            reader.run(&AtomicBool::new(true));
            let delivered = runtime.block_on(batcher.run(Arc::new(Nowhere)));
            assert_eq!(delivered.accepted as usize, SPANS);
            directory
        },
    );
}

#[divan::bench]
fn measurement(bencher: Bencher) {
    let options = MetricOptions::default();
    let mut instruments = Instruments::new(options, Arc::new(Resource::default()), UnixNanos(1));
    instruments.define_scope(1, &scope());
    let otlp = Metric { name: "http.server.duration".into(), ..Default::default() }.encode_to_vec();
    let kind = InstrumentKind::Histogram;
    let instrument = Instrument { id: 1, scope: 1, kind, otlp: &otlp };
    instruments.define_instrument(&instrument, UnixNanos(1));
    let list = KeyValueList { values: vec![otlp::string("http.method", "GET")] };
    instruments.define_attributes(1, &list.encode_to_vec());
    let value = Number::Double(12.5);
    let measurement =
        Measurement { instrument: 1, attributes: 1, time_unix_ns: 1, value, span: None };
    bencher.bench_local(|| instruments.measure(divan::black_box(&measurement)));
}
