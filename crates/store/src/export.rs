//! Records back to export requests.

use crate::record::{LogRecord, PointRecord, PointValue, ResourceRecord, ScopeRecord, SpanRecord};
use carafe_telemetry::Request;
use carafe_telemetry::otlp::{self, metric::Data};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// One request with all of these spans.
pub fn traces_request(spans: &[SpanRecord]) -> Request {
    let resource_spans = grouped(spans, |span| (&span.resource, &span.scope))
        .into_iter()
        .map(|(resource, scopes)| otlp::ResourceSpans {
            resource: Some(resource.resource.clone()),
            schema_url: resource.schema_url.clone(),
            scope_spans: scopes
                .into_iter()
                .map(|(scope, spans)| otlp::ScopeSpans {
                    scope: Some(scope.scope.clone()),
                    schema_url: scope.schema_url.clone(),
                    spans: spans.into_iter().map(|span| (*span.span).clone()).collect(),
                })
                .collect(),
        })
        .collect();
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans })
}

/// One request with all of these log records.
pub fn logs_request(logs: &[LogRecord]) -> Request {
    let resource_logs = grouped(logs, |log| (&log.resource, &log.scope))
        .into_iter()
        .map(|(resource, scopes)| otlp::ResourceLogs {
            resource: Some(resource.resource.clone()),
            schema_url: resource.schema_url.clone(),
            scope_logs: scopes
                .into_iter()
                .map(|(scope, logs)| otlp::ScopeLogs {
                    scope: Some(scope.scope.clone()),
                    schema_url: scope.schema_url.clone(),
                    log_records: logs.into_iter().map(|log| (*log.log).clone()).collect(),
                })
                .collect(),
        })
        .collect();
    Request::Logs(otlp::ExportLogsServiceRequest { resource_logs })
}

/// One request with all of these points.
pub fn metrics_request(points: &[PointRecord]) -> Request {
    let resource_metrics = grouped(points, |point| (&point.series.resource, &point.series.scope))
        .into_iter()
        .map(|(resource, scopes)| otlp::ResourceMetrics {
            resource: Some(resource.resource.clone()),
            schema_url: resource.schema_url.clone(),
            scope_metrics: scopes
                .into_iter()
                .map(|(scope, points)| otlp::ScopeMetrics {
                    scope: Some(scope.scope.clone()),
                    schema_url: scope.schema_url.clone(),
                    metrics: metrics(&points),
                })
                .collect(),
        })
        .collect();
    Request::Metrics(otlp::ExportMetricsServiceRequest { resource_metrics })
}

type Grouped<'a, T> = Vec<(&'a ResourceRecord, Vec<(&'a ScopeRecord, Vec<&'a T>)>)>;

/// Records by resource and scope, in the order of their first appearance. Those that are
/// equal are one, wherever they are kept.
fn grouped<T>(
    records: &[T],
    of: impl Fn(&T) -> (&Arc<ResourceRecord>, &Arc<ScopeRecord>),
) -> Grouped<'_, T> {
    let mut groups: Grouped<'_, T> = Vec::new();
    let (mut resources, mut scopes) = (Numbers::default(), Numbers::default());
    let mut places = HashMap::new();
    for record in records {
        let (resource, scope) = of(record);
        let at = resources.number(Arc::as_ptr(resource) as usize, || {
            content(&resource.resource, &resource.schema_url)
        });
        if at == groups.len() {
            groups.push((resource, Vec::new()));
        }
        let of_resource = &mut groups[at].1;
        let scope_number =
            scopes.number(Arc::as_ptr(scope) as usize, || content(&scope.scope, &scope.schema_url));
        let place = *places.entry((at, scope_number)).or_insert_with(|| {
            of_resource.push((scope, Vec::new()));
            of_resource.len() - 1
        });
        of_resource[place].1.push(record);
    }
    groups
}

/// Numbers things by their contents, looking at these once for each place in memory.
#[derive(Default)]
struct Numbers {
    by_place: HashMap<usize, usize>,
    by_content: HashMap<Vec<u8>, usize>,
}

impl Numbers {
    fn number(&mut self, place: usize, content: impl FnOnce() -> Vec<u8>) -> usize {
        let by_content = &mut self.by_content;
        *self.by_place.entry(place).or_insert_with(|| {
            let next = by_content.len();
            *by_content.entry(content()).or_insert(next)
        })
    }
}

fn content(message: &impl Message, schema_url: &str) -> Vec<u8> {
    let mut bytes = message.encode_length_delimited_to_vec();
    bytes.extend_from_slice(schema_url.as_bytes());
    bytes
}

/// The metrics of these points, in the order of their first appearance.
fn metrics(points: &[&PointRecord]) -> Vec<otlp::Metric> {
    let mut metrics = Vec::<otlp::Metric>::new();
    let mut numbers = Numbers::default();
    for record in points {
        let series = &record.series;
        let at = numbers.number(Arc::as_ptr(series) as usize, || content(&series.metric, ""));
        if at == metrics.len() {
            metrics.push(series.metric.clone());
        }
        add(&mut metrics[at], record);
    }
    metrics
}

/// Adds a point with the attributes of its series. A point of another kind than the metric's
/// cannot be: both came in one message.
fn add(metric: &mut otlp::Metric, record: &PointRecord) {
    macro_rules! add {
        ($data:expr, $point:expr) => {{
            let mut point = $point.clone();
            point.attributes = record.series.attributes.clone();
            $data.data_points.push(point);
        }};
    }
    match (&mut metric.data, &record.point.value) {
        (Some(Data::Gauge(data)), PointValue::Number(point)) => add!(data, point),
        (Some(Data::Sum(data)), PointValue::Number(point)) => add!(data, point),
        (Some(Data::Histogram(data)), PointValue::Histogram(point)) => add!(data, point),
        (Some(Data::ExponentialHistogram(data)), PointValue::ExponentialHistogram(point)) => {
            add!(data, point)
        }
        (Some(Data::Summary(data)), PointValue::Summary(point)) => add!(data, point),
        _ => {}
    }
}
