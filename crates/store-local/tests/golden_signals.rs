//! Files of logs and metrics that version 1 of the format wrote stay readable.
//!
//! A format that old files cannot be read in needs a new version, and a folder beside `v1`.
//! `cargo test -p carafe-store-local --test golden_signals -- --ignored` writes the files.

use carafe_store::{
    Decoded, LogQuery, LogRecord, MetricQuery, PointRecord, Records, StoreError, TimeRange, decode,
};
use carafe_store_local::budget::{Budget, QueryLimits};
use carafe_store_local::files::{FileAccess, LocalFile};
use carafe_store_local::index::side_file::SideFileWriter;
use carafe_store_local::ingest::{Rules, index_logs, index_metrics};
use carafe_store_local::logs::{LogFile, RecentLogs, write_logs};
use carafe_store_local::metrics::{MetricFile, RecentMetrics, write_metrics};
use carafe_store_local::source::{LogSource, MetricSource};
use carafe_store_local::stored::Openable;
use carafe_store_local::writing::Written;
use carafe_telemetry::otlp::{
    self, any_value::Value, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use carafe_telemetry::{Batch, Request, TraceId, UnixNanos};
use std::path::PathBuf;
use std::sync::Arc;

const T0: u64 = 1_767_225_600_000_000_000;
const RULES: Rules = Rules { received: UnixNanos(T0 + 5), accepted: None };

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn any(value: Value) -> Option<otlp::AnyValue> {
    Some(otlp::AnyValue { value: Some(value) })
}

fn resource() -> Option<otlp::Resource> {
    Some(otlp::Resource {
        attributes: vec![otlp::string("service.name", "basket"), otlp::int("replica", 3)],
        ..Default::default()
    })
}

fn scope() -> Option<otlp::InstrumentationScope> {
    Some(otlp::InstrumentationScope {
        name: "shop".to_owned(),
        version: "1.2".to_owned(),
        ..Default::default()
    })
}

/// Records with each field, with none, and with ids that are none.
fn logs() -> Batch {
    let body = |n: u64| match n % 4 {
        0 => any(Value::StringValue(format!("Order {n} was paid, äußerst schnell"))),
        1 => any(Value::KvlistValue(otlp::KeyValueList {
            values: vec![otlp::string("event", "paid"), otlp::bool("again", n > 4)],
        })),
        2 => Some(otlp::AnyValue { value: None }),
        _ => None,
    };
    let log = |n: u64| otlp::LogRecord {
        time_unix_nano: if n.is_multiple_of(5) { 0 } else { T0 + n * 1_000 },
        observed_time_unix_nano: if n.is_multiple_of(2) { T0 + n * 1_001 } else { 0 },
        severity_number: (n % 25) as i32,
        severity_text: ["", "INFO", "error"][n as usize % 3].to_owned(),
        body: body(n),
        attributes: (0..n % 4)
            .map(|at| otlp::string(["b", "a", "b"][at as usize], format!("value {n}")))
            .collect(),
        dropped_attributes_count: (n % 2) as u32,
        flags: (n % 3) as u32,
        trace_id: match n % 6 {
            0 | 1 => vec![7; 16],
            2 => vec![0; 16],
            3 => vec![1; 3],
            _ => Vec::new(),
        },
        span_id: if n.is_multiple_of(3) { vec![n as u8 + 1; 8] } else { Vec::new() },
        event_name: if n == 9 { "session.start".to_owned() } else { String::new() },
    };
    Request::Logs(otlp::ExportLogsServiceRequest {
        resource_logs: vec![
            otlp::ResourceLogs {
                resource: resource(),
                schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
                scope_logs: vec![otlp::ScopeLogs {
                    scope: scope(),
                    schema_url: "https://example.com/scope".to_owned(),
                    log_records: (0..40).map(log).collect(),
                }],
            },
            otlp::ResourceLogs {
                scope_logs: vec![otlp::ScopeLogs {
                    log_records: vec![log(50), log(51)],
                    ..Default::default()
                }],
                ..Default::default()
            },
        ],
    })
    .encode()
}

/// Points of each kind, with exemplars and without.
fn metrics() -> Batch {
    let exemplar = otlp::Exemplar {
        filtered_attributes: vec![otlp::string("user", "u-1")],
        time_unix_nano: T0 + 1,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(otlp::exemplar::Value::AsDouble(0.25)),
    };
    let number = |n: u64, value| otlp::NumberDataPoint {
        attributes: vec![otlp::string("http.route", format!("/{}", n % 3))],
        start_time_unix_nano: T0,
        time_unix_nano: if n == 7 { 0 } else { T0 + n },
        exemplars: if n.is_multiple_of(4) { vec![exemplar.clone()] } else { Vec::new() },
        flags: (n == 5).into(),
        value: (n != 5).then_some(value),
    };
    let histogram = otlp::HistogramDataPoint {
        start_time_unix_nano: T0,
        time_unix_nano: T0 + 3,
        count: 6,
        sum: Some(1.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.0],
        exemplars: vec![exemplar.clone()],
        min: Some(0.1),
        max: Some(0.9),
        ..Default::default()
    };
    let exponential = otlp::ExponentialHistogramDataPoint {
        time_unix_nano: T0 + 4,
        count: 5,
        scale: -2,
        zero_count: 1,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 3] }),
        zero_threshold: 0.001,
        ..Default::default()
    };
    let summary = otlp::SummaryDataPoint {
        time_unix_nano: T0 + 5,
        count: 4,
        sum: 2.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 0.6 }],
        ..Default::default()
    };
    let metric = |name: &str, data| otlp::Metric {
        name: name.to_owned(),
        unit: "1".to_owned(),
        description: format!("the {name}"),
        data: Some(data),
        ..Default::default()
    };
    let double = |n: u64| number(n, number_data_point::Value::AsDouble(n as f64 / 8.0));
    let int = |n: u64| number(n, number_data_point::Value::AsInt(-(n as i64)));
    let of_kinds = vec![
        metric("load", Data::Gauge(otlp::Gauge { data_points: (0..9).map(double).collect() })),
        metric(
            "requests",
            Data::Sum(otlp::Sum {
                data_points: (0..9).map(int).collect(),
                aggregation_temporality: 2,
                is_monotonic: true,
            }),
        ),
        metric(
            "duration",
            Data::Histogram(otlp::Histogram {
                data_points: vec![histogram],
                aggregation_temporality: 1,
            }),
        ),
        metric(
            "sizes",
            Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric("waits", Data::Summary(otlp::Summary { data_points: vec![summary] })),
    ];
    Request::Metrics(otlp::ExportMetricsServiceRequest {
        resource_metrics: vec![otlp::ResourceMetrics {
            resource: resource(),
            schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
            scope_metrics: vec![otlp::ScopeMetrics {
                scope: scope(),
                metrics: of_kinds,
                ..Default::default()
            }],
        }],
    })
    .encode()
}

fn expected(batch: &Batch) -> Decoded {
    decode(batch, RULES.received).expect("a valid request")
}

fn open<F: Openable>(name: &str) -> Result<F, StoreError> {
    let part = |extension: &str| -> Result<Arc<dyn FileAccess>, StoreError> {
        let name = format!("{name}.{extension}");
        Ok(Arc::new(LocalFile::open(&path(&name), &name)?))
    };
    F::open(part("parquet")?, part("idx")?, &Arc::default())
}

#[test]
fn log_records_of_version_1() {
    let file: LogFile = open("logs").unwrap();
    let Records::Logs(expected) = expected(&logs()).records else { panic!("logs expected") };
    let find = |query: &LogQuery| -> Vec<LogRecord> {
        file.scan(query, &Budget::default()).collect::<Result<_, _>>().unwrap()
    };
    let sorted = |mut logs: Vec<LogRecord>| {
        logs.sort_by_cached_key(|log| (log.time, format!("{log:?}")));
        logs
    };
    assert_eq!(sorted(find(&LogQuery::all(0))), sorted(expected.clone()));
    let of_trace = LogQuery { trace_id: Some(TraceId([7; 16])), ..LogQuery::all(0) };
    assert_eq!(find(&of_trace).len(), 14);
    let paid = LogQuery { text: Some("WAS PAID, ä".to_owned()), ..LogQuery::all(0) };
    assert_eq!(find(&paid).len(), 10);
    let tagged = |text: &str| LogQuery {
        condition: Some(text.parse().expect("a condition")),
        ..LogQuery::all(0)
    };
    assert_eq!(find(&tagged("a = \"value 7\" and replica = 3")).len(), 1);
    // The filters say that there is nothing, without a look at a row.
    let none = Budget::new(QueryLimits { rows: 0, ..QueryLimits::default() });
    let nothing = [
        LogQuery { text: Some("zebra".to_owned()), ..LogQuery::all(0) },
        LogQuery { trace_id: Some(TraceId([9; 16])), ..LogQuery::all(0) },
        LogQuery { service: Some("stock".to_owned()), ..LogQuery::all(0) },
        tagged("a = \"value 99\""),
    ];
    for query in nothing {
        assert_eq!(file.scan(&query, &none).count(), 0, "{query:?}");
    }
}

#[test]
fn data_points_of_version_1() {
    let file: MetricFile = open("metrics").unwrap();
    let Records::Points(expected) = expected(&metrics()).records else { panic!("points expected") };
    let texts = |points: Vec<PointRecord>| {
        let mut texts: Vec<String> = points.iter().map(|point| format!("{point:?}")).collect();
        texts.sort();
        texts
    };
    let budget = Budget::default();
    let all = file.scan(TimeRange::ALL, &budget).collect::<Result<_, _>>().unwrap();
    assert_eq!(texts(all), texts(expected));
    let query = MetricQuery {
        name: Some("requests".to_owned()),
        service: Some("basket".to_owned()),
        attributes: vec![("http.route".to_owned(), "/1".to_owned())],
        range: TimeRange::ALL,
        limit: 1,
    };
    let found = file.select(&query, &Budget::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].points.len(), 3);
}

fn write(name: &str, data: &[u8], written: Written) {
    let mut side = SideFileWriter::new();
    written.side.into_iter().for_each(|(section, bytes)| side.add(section, bytes));
    let mut bytes = Vec::new();
    side.finish(&mut bytes).expect("room in memory");
    std::fs::create_dir_all(path("")).expect("a folder");
    std::fs::write(path(&format!("{name}.parquet")), data).expect("a file");
    std::fs::write(path(&format!("{name}.idx")), bytes).expect("a file");
}

#[test]
#[ignore = "writes the files that the others read; once for each version of the format"]
fn write_golden_files() {
    let recent = RecentLogs::default();
    recent.insert(index_logs(&logs().bytes, &RULES).unwrap().items);
    let mut data = Vec::new();
    let written = write_logs(recent.snapshot().batches(TimeRange::ALL), &mut data).unwrap();
    write("logs", &data, written);

    let mut recent = RecentMetrics::default();
    recent.insert(index_metrics(&metrics().bytes, &RULES).unwrap().items);
    let mut data = Vec::new();
    let snapshot = recent.snapshot();
    let points = snapshot.in_file_order(TimeRange::ALL).map(Ok);
    let written = write_metrics(points, &mut data).unwrap();
    write("metrics", &data, written);
}
