//! Prints what generated log records and data points take in files, and what it costs to
//! write and to search them:
//! `cargo run --release -p carafe-store-local --example signal_files -- [ITEMS]`.

use carafe_store::{LogQuery, MetricQuery, StoreError, TimeRange};
use carafe_store_local::budget::Budget;
use carafe_store_local::files::MemoryFile;
use carafe_store_local::index::side_file::SideFileWriter;
use carafe_store_local::ingest::{Rules, index_logs, index_metrics};
use carafe_store_local::logs::{LogFile, RecentLogs, merge_logs, write_logs};
use carafe_store_local::metrics::{MetricFile, MetricMerge, RecentMetrics, write_metrics};
use carafe_store_local::source::{LogSource, MetricSource};
use carafe_store_local::stored::Openable;
use carafe_store_local::writing::Written;
use carafe_telemetry::otlp::{self, KeyValue, metric::Data, number_data_point};
use carafe_telemetry::{Request, TraceId, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const T0: u64 = 1_767_225_600_000_000_000;
const SERVICES: usize = 20;
const RULES: Rules = Rules { received: UnixNanos(T0), accepted: None };

/// SplitMix64: the numbers never change.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn resource(service: usize) -> otlp::Resource {
    let attributes = [
        ("service.name", format!("service-{service}")),
        ("service.version", "2.31.0".to_owned()),
        ("service.instance.id", format!("7f3c9a52-{service:04}-4f0e-9d3a-0123456789ab")),
        ("host.name", format!("node-{}.example.com", service % 7)),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.language", "python".to_owned()),
        ("telemetry.sdk.version", "1.38.0".to_owned()),
    ];
    otlp::Resource {
        attributes: attributes.map(|(key, value)| otlp::string(key, value)).to_vec(),
        ..Default::default()
    }
}

fn body(random: &mut Random) -> String {
    let n = random.below(10_000);
    match random.below(12) {
        0..4 => format!("GET /api/items/{n} 200 in {} ms", random.below(400)),
        4..6 => format!("cache miss for key user:{n}:profile"),
        6..8 => format!("order {n} was paid by customer {:016x}", random.next()),
        8 => format!("slow query ({} ms): SELECT * FROM items WHERE id = {n}", random.below(9_000)),
        9 => format!("could not connect to stock-{}: connection refused, retrying", n % 9),
        10 => format!("request id {:08x}-{:04x} finished", random.next() as u32, n),
        _ => "health check passed".to_owned(),
    }
}

fn logs_request(random: &mut Random, at: u64, logs: u64) -> Request {
    let service = random.below(SERVICES as u64) as usize;
    let log = |random: &mut Random, n: u64| {
        let in_trace = random.below(10) < 6;
        let trace = random.next();
        let severity = if random.below(12) == 0 { 17 } else { 9 };
        otlp::LogRecord {
            time_unix_nano: T0 + (at + n) * 60_000 + random.below(50_000),
            observed_time_unix_nano: T0 + (at + n) * 60_000 + 70_000,
            severity_number: severity,
            severity_text: if severity == 17 { "ERROR" } else { "INFO" }.to_owned(),
            body: Some(otlp::AnyValue {
                value: Some(otlp::any_value::Value::StringValue(body(random))),
            }),
            attributes: vec![
                otlp::string("code.function.name", format!("handle_{}", random.below(30))),
                otlp::int("code.line.number", random.below(400) as i64),
                otlp::string("thread.name", format!("worker-{}", random.below(8))),
            ],
            trace_id: if in_trace { [trace; 2].map(u64::to_be_bytes).concat() } else { vec![] },
            span_id: if in_trace { random.next().to_be_bytes().to_vec() } else { vec![] },
            flags: u32::from(in_trace),
            ..Default::default()
        }
    };
    Request::Logs(otlp::ExportLogsServiceRequest {
        resource_logs: vec![otlp::ResourceLogs {
            resource: Some(resource(service)),
            scope_logs: vec![otlp::ScopeLogs {
                log_records: (0..logs).map(|n| log(random, n)).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    })
}

fn metrics_request(random: &mut Random, service: usize, at: u64) -> Request {
    let times = |attributes: Vec<KeyValue>, value| otlp::NumberDataPoint {
        attributes,
        start_time_unix_nano: T0,
        time_unix_nano: T0 + at * 10_000_000_000 + random_offset(service),
        value: Some(value),
        ..Default::default()
    };
    let route = |n: u64| vec![otlp::string("http.route", format!("/api/items/{n}"))];
    let points = (0..20)
        .map(|n| {
            let total = (at * 40 + random.below(20)) as i64;
            times(route(n), number_data_point::Value::AsInt(total))
        })
        .collect();
    let gauges = (0..10)
        .map(|n| {
            let value = random.below(1_000_000) as f64 / 1e4;
            times(route(n), number_data_point::Value::AsDouble(value))
        })
        .collect();
    let histograms = (0..10)
        .map(|n| otlp::HistogramDataPoint {
            attributes: route(n),
            start_time_unix_nano: T0,
            time_unix_nano: T0 + at * 10_000_000_000 + random_offset(service),
            count: at * 15,
            sum: Some(at as f64 * 1.7),
            bucket_counts: (0..15).map(|_| at + random.below(9)).collect(),
            explicit_bounds: (0..14).map(|n| f64::from(1 << n)).collect(),
            ..Default::default()
        })
        .collect();
    let metric = |name: &str, data| otlp::Metric {
        name: name.to_owned(),
        unit: "1".to_owned(),
        data: Some(data),
        ..Default::default()
    };
    Request::Metrics(otlp::ExportMetricsServiceRequest {
        resource_metrics: vec![otlp::ResourceMetrics {
            resource: Some(resource(service)),
            scope_metrics: vec![otlp::ScopeMetrics {
                metrics: vec![
                    metric(
                        "http.server.requests",
                        Data::Sum(otlp::Sum {
                            data_points: points,
                            aggregation_temporality: 2,
                            is_monotonic: true,
                        }),
                    ),
                    metric("process.cpu.load", Data::Gauge(otlp::Gauge { data_points: gauges })),
                    metric(
                        "http.server.request.duration",
                        Data::Histogram(otlp::Histogram {
                            data_points: histograms,
                            aggregation_temporality: 2,
                        }),
                    ),
                ],
                ..Default::default()
            }],
            ..Default::default()
        }],
    })
}

fn random_offset(service: usize) -> u64 {
    service as u64 * 137_911_003
}

fn timed<T>(what: &str, items: u64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let each = started.elapsed().as_nanos() as f64 / items as f64;
    println!("  {what}: {:?}, {each:.0} ns each", started.elapsed());
    done
}

fn fastest<T>(what: &str, work: impl Fn() -> T) -> T {
    let runs = (0..9).map(|_| {
        let started = Instant::now();
        let done = work();
        (started.elapsed(), done)
    });
    let mut runs: Vec<(Duration, T)> = runs.collect();
    runs.sort_by_key(|(time, _)| *time);
    let (time, done) = runs.swap_remove(runs.len() / 2);
    println!("  {what}: {time:?}");
    done
}

fn side(written: &Written, data: usize) -> Vec<u8> {
    let rows = written.rows as f64;
    println!("  data: {:.1} B each", data as f64 / rows);
    let mut writer = SideFileWriter::new();
    for (section, bytes) in &written.side {
        println!("  {section:?}: {:.2} B each", bytes.len() as f64 / rows);
        writer.add(*section, bytes.clone());
    }
    let mut side = Vec::new();
    // A vector takes all that is written to it.
    let _ = writer.finish(&mut side);
    side
}

fn columns(data: &[u8]) {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let Ok(reader) = SerializedFileReader::new(bytes::Bytes::copy_from_slice(data)) else { return };
    let mut sizes = BTreeMap::new();
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            *sizes.entry(column.column_path().string()).or_insert(0) += column.compressed_size();
        }
    }
    let rows = reader.metadata().file_metadata().num_rows() as f64;
    for (column, bytes) in sizes {
        println!("    {column}: {:.2} B each", bytes as f64 / rows);
    }
}

fn access(bytes: &[u8], name: &str) -> Arc<MemoryFile> {
    Arc::new(MemoryFile::new(name, bytes.to_vec()))
}

fn logs(items: u64) -> Result<(), StoreError> {
    println!("logs");
    let mut random = Random(1);
    let recent = RecentLogs::default();
    let (mut bytes, mut at) = (0, 0);
    while at < items {
        let request = logs_request(&mut random, at, 200).encode();
        bytes += request.bytes.len();
        recent.insert(index_logs(&request.bytes, &RULES)?.items);
        at += 200;
    }
    println!("  OTLP: {:.1} B each", bytes as f64 / items as f64);
    let snapshot = recent.snapshot();
    let mut data = Vec::new();
    let written = timed("build and write", items, || {
        write_logs(snapshot.batches(TimeRange::ALL), &mut data)
    })?;
    columns(&data);
    let side = side(&written, data.len());
    let file = LogFile::open(access(&data, "a"), access(&side, "b"), &Arc::default())?;
    let some = snapshot.scan(&LogQuery::all(0), &Budget::default()).nth(items as usize / 2);
    let trace_id = some.transpose()?.and_then(|log| log.trace_id).unwrap_or(TraceId([1; 16]));
    let text = |text: &str| LogQuery { text: Some(text.to_owned()), ..LogQuery::all(0) };
    let queries = [
        ("newest 20", LogQuery::all(0)),
        ("service", LogQuery { service: Some("service-3".to_owned()), ..LogQuery::all(0) }),
        ("errors", LogQuery { min_severity: 17, ..LogQuery::all(0) }),
        ("of a trace", LogQuery { trace_id: Some(trace_id), ..LogQuery::all(0) }),
        ("frequent word", text("connection refused")),
        ("number between words", text("items/4711 200 in 113 ")),
        ("word that is nowhere", text("zebra")),
        ("letter that is nowhere", text("ü")),
    ];
    for (what, query) in &queries {
        let found = fastest(what, || file.scan(query, &Budget::default()).take(20).count());
        let recent =
            fastest("  in memory", || snapshot.scan(query, &Budget::default()).take(20).count());
        println!("    {found} of {recent}");
    }
    let files = [Arc::new(file)];
    timed("merge", items, || write_logs(merge_logs(&files), Vec::new()))?;
    Ok(())
}

fn metrics(items: u64) -> Result<(), StoreError> {
    println!("metrics");
    let mut random = Random(2);
    let mut recent = RecentMetrics::default();
    let (mut bytes, mut taken, mut at) = (0, 0, 0);
    let mut inserting = Duration::ZERO;
    while taken < items {
        for service in 0..SERVICES {
            let request = metrics_request(&mut random, service, at).encode();
            bytes += request.bytes.len();
            let points = index_metrics(&request.bytes, &RULES)?.items;
            taken += points.len() as u64;
            let started = Instant::now();
            recent.insert(points);
            inserting += started.elapsed();
        }
        at += 1;
    }
    let items = taken;
    println!("  OTLP: {:.1} B each", bytes as f64 / items as f64);
    println!("  insert: {:.0} ns each", inserting.as_nanos() as f64 / items as f64);
    println!("  in memory: {:.1} B each", recent.bytes() as f64 / items as f64);
    let snapshot = recent.snapshot();
    let mut data = Vec::new();
    let written = timed("build and write", items, || {
        write_metrics(snapshot.in_file_order(TimeRange::ALL).map(Ok), &mut data)
    })?;
    columns(&data);
    let side = side(&written, data.len());
    let file = MetricFile::open(access(&data, "a"), access(&side, "b"), &Arc::default())?;
    let query = MetricQuery {
        name: Some("http.server.requests".to_owned()),
        service: Some("service-3".to_owned()),
        attributes: vec![("http.route".to_owned(), "/api/items/7".to_owned())],
        range: TimeRange::ALL,
        limit: 1,
    };
    let points = |source: &dyn MetricSource, query: &MetricQuery| {
        let found = source.select(query, &Budget::default()).unwrap_or_default();
        found.iter().map(|series| series.points.len()).sum::<usize>()
    };
    let all = MetricQuery { service: None, attributes: Vec::new(), ..query.clone() };
    for (what, query) in [("one series", &query), ("one metric", &all)] {
        let found = fastest(what, || points(&file, query));
        let recent = fastest("  in memory", || points(&snapshot, query));
        println!("    {found} of {recent} points");
    }
    timed("scan newest first", items, || {
        file.scan(TimeRange::ALL, &Budget::default()).filter(Result::is_ok).count()
    });
    let files = [Arc::new(file)];
    let merge = MetricMerge::new(&files)?;
    timed("merge", items, || write_metrics(merge.points()?, Vec::new()))?;
    Ok(())
}

fn main() -> Result<(), StoreError> {
    let items = std::env::args().nth(1).and_then(|items| items.parse().ok()).unwrap_or(500_000);
    logs(items)?;
    metrics(items)
}
