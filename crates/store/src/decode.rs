//! Export requests to records, with what cannot be stored left out and counted.

use crate::error::StoreError;
use crate::query::Appended;
use crate::record::{
    LogRecord, Point, PointRecord, PointValue, ResourceRecord, ScopeRecord, Series, SpanRecord,
};
use carafe_telemetry::otlp::{self, KeyValue, metric::Data};
use carafe_telemetry::{Batch, Request, SpanId, TraceId, UnixNanos};
use std::sync::Arc;

/// The items of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Records {
    /// Spans.
    Spans(Vec<SpanRecord>),
    /// Log records.
    Logs(Vec<LogRecord>),
    /// Data points.
    Points(Vec<PointRecord>),
}

/// A decoded request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What can be stored.
    pub records: Records,
    /// What cannot.
    pub appended: Appended,
}

/// Decodes a whole request. `now` is the time of log records and points that have none.
pub fn decode(batch: &Batch, now: UnixNanos) -> Result<Decoded, StoreError> {
    Ok(match batch.decode()? {
        Request::Traces(request) => decode_traces(request),
        Request::Logs(request) => decode_logs(request, now),
        Request::Metrics(request) => decode_metrics(request, now),
    })
}

fn resource_record(resource: Option<otlp::Resource>, schema_url: String) -> Arc<ResourceRecord> {
    Arc::new(ResourceRecord::new(resource.unwrap_or_default(), schema_url))
}

fn scope_record(scope: Option<otlp::InstrumentationScope>, schema_url: String) -> Arc<ScopeRecord> {
    Arc::new(ScopeRecord { scope: scope.unwrap_or_default(), schema_url })
}

fn decode_traces(request: otlp::ExportTraceServiceRequest) -> Decoded {
    let mut spans = Vec::new();
    let mut rejected = 0;
    for of_resource in request.resource_spans {
        let resource = resource_record(of_resource.resource, of_resource.schema_url);
        for of_scope in of_resource.scope_spans {
            let scope = scope_record(of_scope.scope, of_scope.schema_url);
            for span in of_scope.spans {
                match span_record(span, &resource, &scope) {
                    Some(record) => spans.push(record),
                    None => rejected += 1,
                }
            }
        }
    }
    let message = match rejected {
        0 => String::new(),
        n => format!("{n} spans have an invalid trace id, span id or parent span id"),
    };
    Decoded {
        records: Records::Spans(spans),
        appended: Appended { rejected_items: rejected, message },
    }
}

fn span_record(
    span: otlp::Span,
    resource: &Arc<ResourceRecord>,
    scope: &Arc<ScopeRecord>,
) -> Option<SpanRecord> {
    let parent_span_id = match span.parent_span_id.as_slice() {
        [] => None,
        bytes => Some(SpanId::from_slice(bytes).ok()?).filter(|id| id.is_valid()),
    };
    Some(SpanRecord {
        trace_id: TraceId::from_slice(&span.trace_id).ok().filter(|id| id.is_valid())?,
        span_id: SpanId::from_slice(&span.span_id).ok().filter(|id| id.is_valid())?,
        parent_span_id,
        start: UnixNanos(span.start_time_unix_nano),
        end: UnixNanos(span.end_time_unix_nano),
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
        span: Arc::new(span),
    })
}

fn decode_logs(request: otlp::ExportLogsServiceRequest, now: UnixNanos) -> Decoded {
    let mut logs = Vec::new();
    for of_resource in request.resource_logs {
        let resource = resource_record(of_resource.resource, of_resource.schema_url);
        for of_scope in of_resource.scope_logs {
            let scope = scope_record(of_scope.scope, of_scope.schema_url);
            logs.extend(of_scope.log_records.into_iter().map(|log| LogRecord {
                time: log_time(&log, now),
                // The logs data model makes both ids optional, and asks receivers to take an
                // invalid one for an absent one.
                trace_id: TraceId::from_slice(&log.trace_id).ok().filter(|id| id.is_valid()),
                span_id: SpanId::from_slice(&log.span_id).ok().filter(|id| id.is_valid()),
                resource: Arc::clone(&resource),
                scope: Arc::clone(&scope),
                log: Arc::new(log),
            }));
        }
    }
    Decoded { records: Records::Logs(logs), appended: Appended::default() }
}

fn log_time(log: &otlp::LogRecord, now: UnixNanos) -> UnixNanos {
    match (log.time_unix_nano, log.observed_time_unix_nano) {
        (0, 0) => now,
        (0, observed) => UnixNanos(observed),
        (time, _) => UnixNanos(time),
    }
}

fn decode_metrics(request: otlp::ExportMetricsServiceRequest, now: UnixNanos) -> Decoded {
    let mut points = Vec::new();
    let mut rejected = 0;
    for of_resource in request.resource_metrics {
        let resource = resource_record(of_resource.resource, of_resource.schema_url);
        for of_scope in of_resource.scope_metrics {
            let scope = scope_record(of_scope.scope, of_scope.schema_url);
            for metric in of_scope.metrics {
                let (metric, values) = take_points(metric);
                if metric.name.is_empty() {
                    rejected += values.len() as u64;
                    continue;
                }
                points.extend(values.into_iter().map(|(attributes, time, value)| PointRecord {
                    series: Arc::new(Series {
                        resource: Arc::clone(&resource),
                        scope: Arc::clone(&scope),
                        metric: metric.clone(),
                        attributes,
                    }),
                    point: Arc::new(Point {
                        time: if time == 0 { now } else { UnixNanos(time) },
                        value,
                    }),
                }));
            }
        }
    }
    let message = match rejected {
        0 => String::new(),
        n => format!("{n} data points belong to a metric without a name"),
    };
    Decoded {
        records: Records::Points(points),
        appended: Appended { rejected_items: rejected, message },
    }
}

type Value = (Vec<KeyValue>, u64, PointValue);

/// Splits a metric into its description and its points, and these from their attributes.
fn take_points(mut metric: otlp::Metric) -> (otlp::Metric, Vec<Value>) {
    macro_rules! take {
        ($data:expr, $variant:ident) => {
            std::mem::take(&mut $data.data_points)
                .into_iter()
                .map(|mut point| {
                    let mut attributes = std::mem::take(&mut point.attributes);
                    // A series is its set of attributes, whatever their order.
                    attributes.sort_by(|a, b| a.key.cmp(&b.key));
                    (attributes, point.time_unix_nano, PointValue::$variant(point))
                })
                .collect()
        };
    }
    let points = match &mut metric.data {
        Some(Data::Gauge(data)) => take!(data, Number),
        Some(Data::Sum(data)) => take!(data, Number),
        Some(Data::Histogram(data)) => take!(data, Histogram),
        Some(Data::ExponentialHistogram(data)) => take!(data, ExponentialHistogram),
        Some(Data::Summary(data)) => take!(data, Summary),
        None => Vec::new(),
    };
    (metric, points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::Signal;

    #[test]
    fn refuses_what_is_not_protobuf() {
        let batch = Batch { signal: Signal::Traces, bytes: vec![0xff; 4].into() };
        let error = decode(&batch, UnixNanos(1)).unwrap_err();
        assert_eq!(error.kind, crate::StoreErrorKind::InvalidData);
        assert!(error.to_string().starts_with("not an OTLP traces request"), "{error}");
    }

    #[test]
    fn rejects_invalid_ids_one_by_one() {
        let span = |trace_id: Vec<u8>, span_id: Vec<u8>, parent_span_id: Vec<u8>| otlp::Span {
            trace_id,
            span_id,
            parent_span_id,
            ..Default::default()
        };
        let request = otlp::ExportTraceServiceRequest {
            resource_spans: vec![otlp::ResourceSpans {
                scope_spans: vec![otlp::ScopeSpans {
                    spans: vec![
                        span(vec![1; 16], vec![1; 8], vec![]),
                        span(vec![1; 16], vec![2; 8], vec![0; 8]),
                        span(vec![0; 16], vec![1; 8], vec![]),
                        span(vec![1; 15], vec![1; 8], vec![]),
                        span(vec![1; 16], vec![0; 8], vec![]),
                        span(vec![1; 16], vec![1; 8], vec![1; 3]),
                    ],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let decoded = decode(&Request::Traces(request).encode(), UnixNanos(1)).unwrap();
        assert_eq!(decoded.appended.rejected_items, 4);
        let Records::Spans(spans) = decoded.records else { panic!("spans expected") };
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[1].parent_span_id, None);
        assert_eq!(&*spans[0].resource.service, MISSING);
    }
    const MISSING: &str = crate::MISSING_SERVICE_NAME;
}
