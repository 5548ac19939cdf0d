//! Records back to export requests.

use super::State;
use crate::error::StoreError;
use crate::query::{ScanCursor, ScanPage, ScanQuery};
use crate::record::{LogRecord, PointRecord, PointValue, ResourceRecord, ScopeRecord, SpanRecord};
use carafe_telemetry::otlp::{self, metric::Data};
use carafe_telemetry::{Request, Signal, TraceId, UnixNanos};
use std::sync::Arc;

/// Answers one page.
pub(super) fn scan(state: &State, query: &ScanQuery) -> Result<ScanPage, StoreError> {
    let limit = query.limit.max(1);
    let (request, next) = match query.signal {
        Signal::Traces => {
            let after = query.after.as_ref().map(trace_cursor).transpose()?;
            let mut spans = Vec::new();
            let next = state.traces.oldest_first(after).find_map(|(key, trace)| {
                spans.extend(trace.spans.iter().filter(|s| query.range.contains(s.start)).cloned());
                (spans.len() >= limit).then(|| [&key.0.0.to_be_bytes()[..], &key.1.0].concat())
            });
            (traces_request(&spans), next)
        }
        Signal::Logs => {
            let after = query.after.as_ref().map(log_cursor).transpose()?;
            let mut logs = Vec::new();
            let next = state.logs.oldest_first(after).find_map(|(key, log)| {
                logs.extend(query.range.contains(log.time).then(|| log.clone()));
                let cursor = || [key.0.0.to_be_bytes(), key.1.to_be_bytes()].concat();
                (logs.len() >= limit).then(cursor)
            });
            (logs_request(&logs), next)
        }
        Signal::Metrics => {
            let from = query.after.as_ref().map(point_cursor).transpose()?.unwrap_or(0);
            let mut points = Vec::new();
            let next = state.metrics.oldest_first(from).find_map(|(number, point)| {
                points.extend(query.range.contains(point.point.time).then_some(point));
                (points.len() >= limit).then(|| (number + 1).to_be_bytes().to_vec())
            });
            (metrics_request(&points), next)
        }
    };
    let batch = (request.items() > 0).then(|| request.encode());
    Ok(ScanPage { batch, next: next.map(ScanCursor) })
}

fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::invalid("not a scan cursor"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn trace_cursor(cursor: &ScanCursor) -> Result<(UnixNanos, TraceId), StoreError> {
    let (start, id) = halves(cursor)?;
    let id = TraceId::from_slice(id).map_err(|_| StoreError::invalid("not a scan cursor"))?;
    Ok((UnixNanos(number(start)?), id))
}

fn log_cursor(cursor: &ScanCursor) -> Result<(UnixNanos, u64), StoreError> {
    let (time, arrival) = halves(cursor)?;
    Ok((UnixNanos(number(time)?), number(arrival)?))
}

fn point_cursor(cursor: &ScanCursor) -> Result<u64, StoreError> {
    number(&cursor.0)
}

fn halves(cursor: &ScanCursor) -> Result<(&[u8], &[u8]), StoreError> {
    cursor.0.split_at_checked(8).ok_or_else(|| StoreError::invalid("not a scan cursor"))
}

/// Groups runs of records of one resource and, within them, of one scope.
fn runs<T>(
    records: &[T],
    of: impl Fn(&T) -> (&Arc<ResourceRecord>, &Arc<ScopeRecord>),
) -> Vec<(&T, Vec<&[T]>)> {
    let same_resource = |a: &T, b: &T| Arc::ptr_eq(of(a).0, of(b).0);
    let same_scope = |a: &T, b: &T| Arc::ptr_eq(of(a).1, of(b).1);
    records
        .chunk_by(same_resource)
        .map(|run| (&run[0], run.chunk_by(same_scope).collect()))
        .collect()
}

fn traces_request(spans: &[SpanRecord]) -> Request {
    let resource_spans = runs(spans, |span| (&span.resource, &span.scope))
        .into_iter()
        .map(|(first, scopes)| otlp::ResourceSpans {
            resource: Some(first.resource.resource.clone()),
            schema_url: first.resource.schema_url.clone(),
            scope_spans: scopes
                .into_iter()
                .map(|run| otlp::ScopeSpans {
                    scope: Some(run[0].scope.scope.clone()),
                    schema_url: run[0].scope.schema_url.clone(),
                    spans: run.iter().map(|span| (*span.span).clone()).collect(),
                })
                .collect(),
        })
        .collect();
    Request::Traces(otlp::ExportTraceServiceRequest { resource_spans })
}

fn logs_request(logs: &[LogRecord]) -> Request {
    let resource_logs = runs(logs, |log| (&log.resource, &log.scope))
        .into_iter()
        .map(|(first, scopes)| otlp::ResourceLogs {
            resource: Some(first.resource.resource.clone()),
            schema_url: first.resource.schema_url.clone(),
            scope_logs: scopes
                .into_iter()
                .map(|run| otlp::ScopeLogs {
                    scope: Some(run[0].scope.scope.clone()),
                    schema_url: run[0].scope.schema_url.clone(),
                    log_records: run.iter().map(|log| (*log.log).clone()).collect(),
                })
                .collect(),
        })
        .collect();
    Request::Logs(otlp::ExportLogsServiceRequest { resource_logs })
}

fn metrics_request(points: &[PointRecord]) -> Request {
    let resource_metrics = runs(points, |point| (&point.series.resource, &point.series.scope))
        .into_iter()
        .map(|(first, scopes)| otlp::ResourceMetrics {
            resource: Some(first.series.resource.resource.clone()),
            schema_url: first.series.resource.schema_url.clone(),
            scope_metrics: scopes
                .into_iter()
                .map(|run| otlp::ScopeMetrics {
                    scope: Some(run[0].series.scope.scope.clone()),
                    schema_url: run[0].series.scope.schema_url.clone(),
                    metrics: run
                        .chunk_by(|a, b| a.series.metric == b.series.metric)
                        .map(metric)
                        .collect(),
                })
                .collect(),
        })
        .collect();
    Request::Metrics(otlp::ExportMetricsServiceRequest { resource_metrics })
}

/// One metric with the points of `run`, which has at least one.
fn metric(run: &[PointRecord]) -> otlp::Metric {
    let mut metric = run[0].series.metric.clone();
    macro_rules! fill {
        ($data:expr, $variant:ident) => {
            $data.data_points.extend(run.iter().filter_map(|record| match &record.point.value {
                PointValue::$variant(point) => {
                    let mut point = point.clone();
                    point.attributes = record.series.attributes.clone();
                    Some(point)
                }
                _ => None,
            }))
        };
    }
    match &mut metric.data {
        Some(Data::Gauge(data)) => fill!(data, Number),
        Some(Data::Sum(data)) => fill!(data, Number),
        Some(Data::Histogram(data)) => fill!(data, Histogram),
        Some(Data::ExponentialHistogram(data)) => fill!(data, ExponentialHistogram),
        Some(Data::Summary(data)) => fill!(data, Summary),
        None => {}
    }
    metric
}
