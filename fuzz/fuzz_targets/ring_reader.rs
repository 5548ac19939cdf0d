//! Whatever an app's process leaves in its ring: the launcher reads it without a panic, within its
//! limits, and what it makes of it is sound telemetry. All the way from shared memory over records
//! and exchanges to spans and metrics; for the Python engine's records too.

#![no_main]

use carafe_launch::clock::Clock;
use carafe_launch::exchange::{Assembler, Progress};
use carafe_launch::http::{self, CapturedHeaders, HeaderPatterns, HttpOptions, Request, Semconv};
use carafe_launch::metrics::{HttpMetrics, MetricOptions, Temporality};
use carafe_launch::origin::Origin;
use carafe_launch::propagation::Propagator;
use carafe_launch::python::PythonEngine;
use carafe_launch::registry::Registry;
use carafe_launch::resource::{ProcessInfo, ResourceOptions};
use carafe_launch::rings::Sink;
use carafe_launch::route::Routes;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    LogRecord, ScopeSpans, Span, any_value::Value, metric::Data, number_data_point,
};
use carafe_wire::record::{Notice, Record};
use carafe_wire::ring::{
    Consumer, FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_LIMIT_BYTES, Memory, Producer,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 8 << 10;

/// Longest attribute value in characters, where there is a limit.
const VALUE_LIMIT: usize = 7;

#[derive(Default)]
struct Shared {
    head: AtomicU64,
    tail: AtomicU64,
    dropped: AtomicU64,
    bytes: RefCell<Vec<u8>>,
}

/// A ring without a file.
#[derive(Clone)]
struct Heap(Rc<Shared>);

impl Heap {
    fn new() -> Self {
        let shared = Shared { bytes: RefCell::new(vec![0; CAPACITY]), ..Default::default() };
        Self(Rc::new(shared))
    }
}

impl Memory for Heap {
    fn capacity(&self) -> u64 {
        CAPACITY as u64
    }
    fn head(&self) -> &AtomicU64 {
        &self.0.head
    }
    fn tail(&self) -> &AtomicU64 {
        &self.0.tail
    }
    fn dropped(&self) -> &AtomicU64 {
        &self.0.dropped
    }
    fn commit(&mut self, _: u64) -> bool {
        true
    }
    fn write(&self, offset: usize, bytes: &[u8]) {
        self.0.bytes.borrow_mut()[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.0.bytes.borrow()[offset..][..into.len()]);
    }
}

/// What the Python engine wrote must be fit to travel with the items of others.
struct Checked;

impl Checked {
    fn origin(origin: &Origin) {
        ScopeSpans::decode(&*origin.scope).expect("a scope");
    }
}

impl Sink for Checked {
    fn span(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        Self::origin(origin);
        let span = Span::decode(otlp).expect("a span");
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    }

    fn log(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        Self::origin(origin);
        let record = LogRecord::decode(otlp).expect("a log record");
        assert!(matches!(record.trace_id.len(), 0 | 16));
    }

    fn notice(&mut self, _: &Notice<'_>) {}
}

/// The launcher's side behind the ring.
struct Launcher {
    registry: Registry,
    python: PythonEngine,
    assembler: Assembler,
    options: HttpOptions,
    routes: Routes,
    metrics: HttpMetrics,
    clock: Clock,
}

impl Launcher {
    fn new(choice: u8) -> Self {
        let semconv = [Semconv::Old, Semconv::Stable, Semconv::Both][usize::from(choice) % 3];
        let names = || HeaderPatterns::whole(&["host", "X-.*", "cookie"].map(str::to_owned)).0;
        let options = HttpOptions {
            semconv,
            propagators: vec![Propagator::TraceContext, Propagator::B3, Propagator::Jaeger],
            captured_headers: CapturedHeaders {
                server_request: names(),
                server_response: names(),
                client_request: names(),
                client_response: names(),
                sanitized: HeaderPatterns::within(&["cookie".to_owned()]).0,
            },
            value_length_limit: (choice & 0x80 != 0).then_some(VALUE_LIMIT),
            ..Default::default()
        };
        let temporality =
            [Temporality::Cumulative, Temporality::Delta][usize::from(choice >> 6) % 2];
        let is_exponential = choice & 0x20 != 0;
        let metrics = MetricOptions { semconv, temporality, is_exponential, ..Default::default() };
        let registry = Registry::new(ResourceOptions::default(), metrics);
        let process = ProcessInfo { pid: 1, parent_pid: 0, executable: String::new() };
        let python = PythonEngine::new(registry.started(&process), &registry);
        Self {
            registry,
            python,
            assembler: Assembler::default(),
            options,
            routes: Routes::default(),
            metrics: HttpMetrics::new(metrics, UnixNanos(1)),
            clock: Clock::now(),
        }
    }

    /// One frame of the ring.
    fn frame(&mut self, kind: u16, payload: &[u8]) {
        let Some(record) = Record::decode(kind, payload) else { return };
        let (again, fixed, rest) = record.encode();
        assert_eq!(again, kind);
        assert!(rest.len() <= payload.len() && fixed.as_slice().len() <= payload.len());
        let Self { python, assembler, options, routes, metrics, clock, .. } = self;
        python.record(&record, &mut Checked);
        assembler.record(record, &mut |step| progress(step, options, routes, metrics, clock));
    }

    /// Nothing may stay open once the process has ended.
    fn end(mut self) {
        let Self { registry, python, assembler, options, routes, metrics, clock } = &mut self;
        for _ in 0..2 {
            if let Some(report) = registry.collect(UnixNanos(3)) {
                assert!(!report.encode_to_vec().is_empty());
            }
        }
        python.end();
        assembler.process_ended(u64::MAX, &mut |step| {
            progress(step, options, routes, metrics, clock);
        });
        assembler.process_ended(u64::MAX, &mut |_| panic!("an exchange ended twice"));
        let active = metrics.collect(UnixNanos(2)).into_iter().flat_map(|scope| scope.metrics);
        for metric in active.filter(|metric| metric.name == "http.server.active_requests") {
            let Some(Data::Sum(sum)) = metric.data else { panic!("not a sum") };
            for point in sum.data_points {
                assert_eq!(point.value, Some(number_data_point::Value::AsInt(0)), "still active");
            }
        }
    }
}

/// What the launcher does with each step.
fn progress(
    step: Progress<'_>,
    options: &HttpOptions,
    routes: &mut Routes,
    metrics: &mut HttpMetrics,
    clock: &Clock,
) {
    match step {
        Progress::Started(connection, head) => {
            if connection.is_server
                && let Some(request) = Request::parse(connection, head)
            {
                metrics.request_started(request.active_labels(connection, options.semconv));
            }
        }
        Progress::Finished(exchange) => {
            let Some(traced) = http::trace(&exchange, options, routes, clock) else { return };
            metrics.finished(&traced, UnixNanos(2));
            check(traced.span.as_ref().expect("everything is sampled"), options);
        }
    }
}

fn check(span: &Span, options: &HttpOptions) {
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert!(matches!(span.parent_span_id.len(), 0 | 8));
    assert!(span.trace_id.iter().any(|byte| *byte != 0), "an invalid trace id");
    assert!(!span.name.is_empty());
    let mut keys: Vec<_> = span.attributes.iter().map(|attribute| &attribute.key).collect();
    keys.sort();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "an attribute twice: {:?}", span.attributes);
    for attribute in &span.attributes {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        if let (Some(Value::StringValue(text)), Some(limit)) = (value, options.value_length_limit) {
            assert!(text.chars().count() <= limit, "{} is too long", attribute.key);
        }
    }
}

/// A byte string of the input: its length in two bytes, then the bytes.
fn take<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let (bytes, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    *input = rest;
    Some(bytes)
}

/// Drains the ring; no more comes out than can be in it.
fn drain(consumer: &mut Consumer<Heap>, launcher: &mut Launcher) {
    let mut bytes = 0;
    let _ = consumer.drain(|kind, payload| {
        let length = FRAME_HEADER_BYTES + payload.len();
        assert!(length <= FRAME_LIMIT_BYTES);
        bytes += (length as u64).next_multiple_of(FRAME_ALIGN);
        launcher.frame(kind, payload);
    });
    assert!(bytes <= CAPACITY as u64, "more than the ring holds");
    assert!(
        consumer.is_empty()
            || !consumer.memory().head().load(Ordering::Relaxed).is_multiple_of(FRAME_ALIGN)
    );
}

// A byte of options, then either a list of frames (kind, payload) as a sound writer of unsound
// records makes them, or, with 0xff, both counters and the ring's bytes as they come.
fuzz_target!(|input: &[u8]| {
    let [choice, raw, rest @ ..] = input else { return };
    let memory = Heap::new();
    let mut launcher = Launcher::new(*choice);
    if *raw == 0xff {
        let Some((counters, bytes)) = rest.split_first_chunk::<16>() else { return };
        let (head, tail) = counters.split_at(8);
        let counter = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        memory.head().store(counter(head), Ordering::Relaxed);
        memory.tail().store(counter(tail), Ordering::Relaxed);
        memory.write(0, &bytes[..bytes.len().min(CAPACITY)]);
        drain(&mut Consumer::new(memory.clone()), &mut launcher);
    } else {
        let mut producer = Producer::new(memory.clone());
        let mut consumer = Consumer::new(memory.clone());
        let mut rest = rest;
        while let [kind, after @ ..] = rest {
            rest = after;
            let Some(payload) = take(&mut rest) else { break };
            // The universal engine's kinds begin at 0, the Python engine's at 16.
            let engine = u16::from(*kind & 16);
            if producer.push(engine + u16::from(*kind & 7), &[payload]).is_err() || *kind & 8 != 0 {
                drain(&mut consumer, &mut launcher);
            }
        }
        drain(&mut consumer, &mut launcher);
    }
    launcher.end();

    // The ring works again for whoever writes and reads soundly from where the reader stopped.
    let tail = memory.tail().load(Ordering::Relaxed);
    if tail.is_multiple_of(FRAME_ALIGN) && tail < u64::MAX / 2 {
        memory.head().store(tail, Ordering::Relaxed);
        let mut consumer = Consumer::new(memory.clone());
        Producer::new(memory).push(1, &[b"again"]).expect("an empty ring has room");
        let mut seen = Vec::new();
        consumer.drain(|_, payload| seen.push(payload.to_vec())).expect("a sound ring");
        assert_eq!(seen, [b"again"]);
    }
});
