//! What reading a request costs: views that check everything, against prost.

use carafe_telemetry::otlp;
use carafe_telemetry::view::{SpanView, TracesView};
use carafe_telemetry::{Batch, Request};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

const SPANS: usize = 1_000;

/// Spans of an HTTP server as its SDK sends them: ten attributes, about 517 bytes.
fn request() -> Batch {
    let spans = (0..SPANS as u64).map(|nth| otlp::Span {
        trace_id: nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(2),
        span_id: nth.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes().to_vec(),
        parent_span_id: vec![7; 8],
        name: "GET /api/v1/items/{item_id}".into(),
        kind: 2,
        flags: 0x101,
        start_time_unix_nano: 1_767_225_600_000_000_000 + nth,
        end_time_unix_nano: 1_767_225_600_012_000_000 + nth,
        attributes: vec![
            otlp::string("http.request.method", "GET"),
            otlp::string("http.route", "/api/v1/items/{item_id}"),
            otlp::string("url.path", "/api/v1/items/81923"),
            otlp::string("url.scheme", "http"),
            otlp::string("server.address", "items.shop.example.org"),
            otlp::int("server.port", 8080),
            otlp::int("http.response.status_code", 200),
            otlp::string("network.protocol.version", "1.1"),
            otlp::string("client.address", "203.0.113.77"),
            otlp::string("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
        ],
        status: Some(otlp::Status::default()),
        ..Default::default()
    });
    Request::Traces(otlp::ExportTraceServiceRequest {
        resource_spans: vec![otlp::ResourceSpans {
            resource: Some(otlp::Resource {
                attributes: vec![otlp::string("service.name", "items")],
                ..Default::default()
            }),
            scope_spans: vec![otlp::ScopeSpans { spans: spans.collect(), ..Default::default() }],
            ..Default::default()
        }],
    })
    .encode()
}

#[divan::bench]
fn validate(bencher: Bencher<'_, '_>) {
    let batch = request();
    println!("{} bytes a span", batch.bytes.len() / SPANS);
    bencher.counter(ItemsCount::new(SPANS)).bench(|| {
        TracesView::new(divan::black_box(&batch.bytes)).validate().expect("a valid request")
    });
}

fn each_span(bytes: &[u8], mut read: impl FnMut(SpanView<'_>) -> usize) -> usize {
    let mut sum = 0;
    for resource in TracesView::new(bytes).resources() {
        for scope in resource.expect("a valid request").scopes() {
            for span in scope.expect("a valid request").items() {
                sum += read(span.expect("a valid request"));
            }
        }
    }
    sum
}

#[divan::bench]
fn validate_and_read_all_attributes(bencher: Bencher<'_, '_>) {
    let batch = request();
    bencher.counter(ItemsCount::new(SPANS)).bench(|| {
        each_span(divan::black_box(&batch.bytes), |span| {
            span.attributes().map(|kv| kv.key.len() + kv.value.text().len()).sum()
        })
    });
}

#[divan::bench]
fn reread_top_fields(bencher: Bencher<'_, '_>) {
    let batch = request();
    let mut ranges = Vec::new();
    let base = batch.bytes.as_ptr() as usize;
    each_span(&batch.bytes, |span| {
        let start = span.bytes.as_ptr() as usize - base;
        ranges.push(start..start + span.bytes.len());
        0
    });
    bencher.counter(ItemsCount::new(SPANS)).bench(|| {
        let span = |range: &std::ops::Range<usize>| {
            SpanView::reread(&divan::black_box(&batch.bytes)[range.clone()])
                .expect("a valid request")
        };
        ranges.iter().map(|range| span(range).name.len()).sum::<usize>()
    });
}

#[divan::bench]
fn prost_decode(bencher: Bencher<'_, '_>) {
    let batch = request();
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench(|| divan::black_box(&batch).decode().expect("a valid request").items());
}
