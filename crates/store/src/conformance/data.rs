//! Generated telemetry, and a plain model of it.

use crate::interface::Store;
use carafe_telemetry::otlp::{self, KeyValue};
use carafe_telemetry::{Request, SpanId, TraceId};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z, when the first trace starts.
pub(super) const T0: u64 = 1_767_225_600_000_000_000;
/// From the start of one trace to the start of the next.
pub(super) const TRACE_STEP: u64 = 10_000_000;

pub(super) const SERVICES: [&str; 4] = ["basket", "frontend", "stock", "users"];

/// A small generator of random numbers (SplitMix64): its numbers never change.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// A span as the checks see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelSpan {
    pub(super) trace: u64,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) service: &'static str,
    pub(super) name: String,
    pub(super) kind: i32,
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) error: bool,
    pub(super) method: &'static str,
    pub(super) status: i64,
    pub(super) user: String,
    pub(super) load: f64,
    /// The type of an exception event.
    pub(super) exception: Option<&'static str>,
    /// Whether it has the old names of the HTTP attributes.
    pub(super) old_names: bool,
}

pub(super) fn trace_id(number: u64) -> TraceId {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

pub(super) fn span_id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// `traces` traces of one to seven spans. All spans start at different times, parents before
/// their children, and no trace starts before an earlier one has ended starting spans.
pub(super) fn spans(seed: u64, traces: u64) -> Vec<ModelSpan> {
    spans_every(TRACE_STEP, seed, traces)
}

/// As [`spans`], with traces so many nanoseconds apart.
pub(super) fn spans_every(step: u64, seed: u64, traces: u64) -> Vec<ModelSpan> {
    let mut random = Random::new(seed);
    let mut spans = Vec::<ModelSpan>::new();
    for trace in 1..=traces {
        let first = spans.len();
        for nth in 0..=random.below(7) {
            let of_trace = &spans[first..];
            let parent = (nth > 0).then(|| {
                let parent = &of_trace[random.below(nth) as usize];
                (parent.id, parent.service)
            });
            let same_service = random.one_in(2);
            let service = match parent {
                Some((_, service)) if same_service => service,
                _ => random.pick(&SERVICES),
            };
            let magnitude = 8 + random.below(22);
            let status = random.pick(&[200, 200, 200, 302, 404, 500]);
            spans.push(ModelSpan {
                trace,
                id: spans.len() as u64 + 1,
                parent: parent.map(|(id, _)| id),
                service,
                name: random.pick(&["GET /", "POST /add", "SELECT", "render"]).to_owned(),
                kind: if nth == 0 { random.pick(&[2, 2, 2, 5, 1]) } else { random.below(6) as i32 },
                start: T0 + trace * step + nth * 100_000 + random.below(90_000),
                duration: 1_000 + random.below(1 << magnitude),
                error: status == 500 || random.one_in(20),
                method: random.pick(&["GET", "POST"]),
                status,
                user: format!("user-{}", random.below(12)),
                load: random.below(8) as f64 / 4.0,
                exception: random.one_in(9).then_some("KeyError"),
                old_names: random.one_in(2),
            });
        }
    }
    spans
}

impl ModelSpan {
    pub(super) fn end(&self) -> u64 {
        self.start + self.duration
    }

    /// Name and text of all attributes, under the stable names.
    pub(super) fn tags(&self) -> Vec<(&'static str, String)> {
        let kinds = ["", "internal", "server", "client", "producer", "consumer"];
        let mut tags = vec![
            ("http.request.method", self.method.to_owned()),
            ("http.response.status_code", self.status.to_string()),
            ("user.id", self.user.clone()),
            ("load", self.load.to_string()),
            ("is.old", self.old_names.to_string()),
            ("host.name", format!("host-of-{}", self.service)),
            ("service.name", self.service.to_owned()),
            ("error", self.error.to_string()),
            ("otel.status_code", if self.error { "ERROR" } else { "UNSET" }.to_owned()),
        ];
        if self.kind != 0 {
            tags.push(("span.kind", kinds[self.kind as usize].to_owned()));
        }
        tags
    }

    pub(super) fn to_otlp(&self) -> otlp::Span {
        let (method, status) = if self.old_names {
            ("http.method", "http.status_code")
        } else {
            ("http.request.method", "http.response.status_code")
        };
        let event = |exception: &str| otlp::span::Event {
            time_unix_nano: self.end(),
            name: "exception".to_owned(),
            attributes: vec![otlp::string("exception.type", exception)],
            ..Default::default()
        };
        otlp::Span {
            trace_id: trace_id(self.trace).0.to_vec(),
            span_id: span_id(self.id).0.to_vec(),
            parent_span_id: self.parent.map(|id| span_id(id).0.to_vec()).unwrap_or_default(),
            name: self.name.clone(),
            kind: self.kind,
            start_time_unix_nano: self.start,
            end_time_unix_nano: self.end(),
            attributes: vec![
                otlp::string(method, self.method),
                otlp::int(status, self.status),
                otlp::string("user.id", self.user.as_str()),
                otlp::double("load", self.load),
                otlp::bool("is.old", self.old_names),
            ],
            events: self.exception.map(event).into_iter().collect(),
            status: self.error.then(|| otlp::Status {
                code: otlp::status::StatusCode::Error as i32,
                message: "failed".to_owned(),
            }),
            ..Default::default()
        }
    }
}

pub(super) fn resource(service: &str) -> otlp::Resource {
    otlp::Resource {
        attributes: vec![
            otlp::string("service.name", service),
            otlp::string("host.name", format!("host-of-{service}")),
        ],
        ..Default::default()
    }
}

pub(super) fn scope() -> otlp::InstrumentationScope {
    otlp::InstrumentationScope {
        name: "carafe.conformance".to_owned(),
        version: "1".to_owned(),
        attributes: vec![otlp::string("scope.attribute", "yes")],
        ..Default::default()
    }
}

/// One export request with these spans.
pub(super) fn traces_request(spans: &[ModelSpan]) -> Request {
    let of_service = |service: &&str| otlp::ResourceSpans {
        resource: Some(resource(service)),
        scope_spans: vec![otlp::ScopeSpans {
            scope: Some(scope()),
            spans: spans
                .iter()
                .filter(|span| span.service == *service)
                .map(ModelSpan::to_otlp)
                .collect(),
            schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
        }],
        schema_url: String::new(),
    };
    let resource_spans = SERVICES.iter().map(of_service);
    let resource_spans = resource_spans.filter(|rs| !rs.scope_spans[0].spans.is_empty());
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans: resource_spans.collect() })
}

/// A log record as the checks see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelLog {
    pub(super) time: u64,
    pub(super) severity: i32,
    pub(super) body: String,
    pub(super) service: &'static str,
    pub(super) trace: Option<u64>,
}

/// Log records at different times.
pub(super) fn logs(seed: u64, count: u64) -> Vec<ModelLog> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|nth| ModelLog {
            time: T0 + nth * 1_000_000 + random.below(900_000),
            severity: random.pick(&[0, 5, 9, 9, 9, 13, 17]),
            body: format!("{} task {nth}", random.pick(&["Added", "deleted", "LISTED"])),
            service: random.pick(&SERVICES),
            trace: random.one_in(3).then(|| 1 + random.below(20)),
        })
        .collect()
}

/// One export request with these records.
pub(super) fn logs_request(logs: &[ModelLog]) -> Request {
    let record = |log: &ModelLog| otlp::LogRecord {
        time_unix_nano: log.time,
        severity_number: log.severity,
        body: otlp::string("", log.body.as_str()).value,
        trace_id: log.trace.map(|trace| trace_id(trace).0.to_vec()).unwrap_or_default(),
        span_id: log.trace.map(|_| span_id(1).0.to_vec()).unwrap_or_default(),
        attributes: vec![otlp::int("nth", 1)],
        ..Default::default()
    };
    let of_service = |service: &&str| otlp::ResourceLogs {
        resource: Some(resource(service)),
        scope_logs: vec![otlp::ScopeLogs {
            scope: Some(scope()),
            log_records: logs.iter().filter(|l| l.service == *service).map(record).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let resource_logs = SERVICES.iter().map(of_service).collect();
    Request::Logs(otlp::ExportLogsServiceRequest { resource_logs })
}

/// A data point as the checks see it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) struct ModelPoint {
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    pub(super) route: &'static str,
    pub(super) time: u64,
    pub(super) value: f64,
}

pub(super) const METRICS: [&str; 2] = ["queue.length", "requests"];

/// Points of a gauge and a counter, in order of time.
pub(super) fn points(seed: u64, count: u64) -> Vec<ModelPoint> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|nth| ModelPoint {
            name: random.pick(&METRICS),
            service: random.pick(&SERVICES),
            route: random.pick(&["/", "/add", "/delete/{id}"]),
            time: T0 + nth * 1_000_000,
            value: random.below(1_000) as f64,
        })
        .collect()
}

/// One export request with these points.
pub(super) fn metrics_request(points: &[ModelPoint]) -> Request {
    let metric = |name: &'static str, service: &str| {
        let of_metric = points.iter().filter(|p| p.name == name && p.service == service);
        let data_points: Vec<_> = of_metric.map(number_point).collect();
        let data = if name == "requests" {
            otlp::metric::Data::Sum(otlp::Sum {
                data_points,
                aggregation_temporality: otlp::AggregationTemporality::Cumulative as i32,
                is_monotonic: true,
            })
        } else {
            otlp::metric::Data::Gauge(otlp::Gauge { data_points })
        };
        otlp::Metric {
            name: name.to_owned(),
            unit: "1".to_owned(),
            data: Some(data),
            ..Default::default()
        }
    };
    let of_service = |service: &&str| otlp::ResourceMetrics {
        resource: Some(resource(service)),
        scope_metrics: vec![otlp::ScopeMetrics {
            scope: Some(scope()),
            metrics: METRICS.iter().map(|name| metric(name, service)).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let resource_metrics = SERVICES.iter().map(of_service).collect();
    Request::Metrics(otlp::ExportMetricsServiceRequest { resource_metrics })
}

fn number_point(point: &ModelPoint) -> otlp::NumberDataPoint {
    let attributes: Vec<KeyValue> =
        vec![otlp::string("http.route", point.route), otlp::bool("generated", true)];
    otlp::NumberDataPoint {
        attributes,
        time_unix_nano: point.time,
        value: Some(otlp::number_data_point::Value::AsDouble(point.value)),
        ..Default::default()
    }
}

/// Appends a request of which nothing may be rejected.
pub(super) async fn append(store: &Arc<dyn Store>, request: &Request) {
    let appended = store.append(request.encode()).await.expect("valid data is stored");
    assert_eq!(appended.rejected_items, 0, "{}", appended.message);
}

/// Appends spans as exporters do: in requests of different sizes, of many traces, children
/// often before their parents.
pub(super) async fn append_spans(store: &Arc<dyn Store>, spans: &[ModelSpan]) {
    let mut random = Random::new(spans.len() as u64);
    let mut spans = spans.to_vec();
    random.shuffle(&mut spans);
    let mut rest = spans.as_slice();
    while !rest.is_empty() {
        let (request, later) = rest.split_at(rest.len().min(1 + random.below(200) as usize));
        append(store, &traces_request(request)).await;
        rest = later;
    }
}

/// The body of a record as text.
pub(super) fn body(log: &crate::LogRecord) -> String {
    crate::value::text(log.log.body.as_ref().expect("a body")).into_owned()
}
