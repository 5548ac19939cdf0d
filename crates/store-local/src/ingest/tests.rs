use super::{
    IncomingResource, IncomingScope, Place, Rules, index_logs, index_metrics, index_traces,
};
use bytes::Bytes;
use carafe_store::{
    Appended, LogRecord, Records, SpanRecord, StoreError, StoreErrorKind, TimeRange, decode,
};
use carafe_telemetry::testing::{logs_request, scramble, traces_request};
use carafe_telemetry::{Batch, Request, Signal, UnixNanos, otlp};
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

const RECEIVED: UnixNanos = UnixNanos(1_767_225_650_000_000_000);
const ANY_TIME: Rules = Rules { received: RECEIVED, accepted: None };
const NANOS: u64 = 1_000_000_000;

/// An hour before and two after the request.
fn three_hours() -> Rules {
    let start = UnixNanos(RECEIVED.0 - 3_600 * NANOS);
    let end = UnixNanos(RECEIVED.0 + 7_200 * NANOS);
    Rules { received: RECEIVED, accepted: Some(TimeRange { start, end }) }
}

fn part<'a>(bytes: &'a Bytes, place: &Place) -> &'a [u8] {
    &bytes[place.start as usize..place.end as usize]
}

fn same_groups(resource: &IncomingResource, scope: &IncomingScope) {
    let decoded = otlp::Resource::decode(resource.bytes.clone()).unwrap();
    assert_eq!(decoded.encode_to_vec(), resource.record.resource.encode_to_vec());
    let decoded = otlp::InstrumentationScope::decode(scope.bytes.clone()).unwrap();
    assert_eq!(decoded.encode_to_vec(), scope.record.scope.encode_to_vec());
}

/// The records that the rows stand for, as text: NaN is not equal to itself.
fn indexed(batch: &Batch) -> Result<(String, Appended), StoreError> {
    if batch.signal == Signal::Logs {
        let indexed = index_logs(&batch.bytes, &ANY_TIME)?;
        let all = indexed.items;
        let logs = all.logs.iter().map(|log| {
            let (resource, scope) =
                (&all.resources[log.resource as usize], &all.scopes[log.scope as usize]);
            same_groups(resource, scope);
            let record = LogRecord {
                time: log.time,
                trace_id: log.trace_id,
                span_id: log.span_id,
                resource: Arc::clone(&resource.record),
                scope: Arc::clone(&scope.record),
                log: Arc::new(otlp::LogRecord::decode(part(&all.bytes, &log.item)).unwrap()),
            };
            assert_eq!(record.log.severity_number, log.severity_number);
            record
        });
        return Ok((format!("{:?}", Records::Logs(logs.collect())), indexed.appended));
    }
    let indexed = index_traces(&batch.bytes, &ANY_TIME)?;
    let all = indexed.items;
    let spans = all.spans.iter().map(|span| {
        let (resource, scope) =
            (&all.resources[span.resource as usize], &all.scopes[span.scope as usize]);
        same_groups(resource, scope);
        let record = SpanRecord {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            start: span.start,
            end: span.end,
            resource: Arc::clone(&resource.record),
            scope: Arc::clone(&scope.record),
            span: Arc::new(otlp::Span::decode(part(&all.bytes, &span.item)).unwrap()),
        };
        assert_eq!(record.span.kind, span.kind);
        assert_eq!(record.status_code() as u8, span.status);
        assert_eq!(record.span.name.as_bytes(), part(&all.bytes, &span.name));
        record
    });
    Ok((format!("{:?}", Records::Spans(spans.collect())), indexed.appended))
}

proptest! {
    #[test]
    fn agrees_with_decoding(
        traces in traces_request(),
        logs in logs_request(),
        seed: u64,
        unusual: bool,
        damage: bool,
    ) {
        for request in [Request::Traces(traces), Request::Logs(logs)] {
            let mut batch = request.encode();
            if unusual {
                batch.bytes = scramble(batch.signal, &batch.bytes, seed, damage).into();
            }
            match (decode(&batch, RECEIVED), indexed(&batch)) {
                (Ok(decoded), Ok((records, appended))) => {
                    prop_assert_eq!(format!("{:?}", decoded.records), records);
                    prop_assert_eq!(decoded.appended, appended);
                }
                (Err(decoding), Err(indexing)) => {
                    prop_assert_eq!(decoding.kind, indexing.kind);
                    prop_assert_eq!(decoding.message, indexing.message);
                }
                (decoding, indexing) => panic!("{decoding:?}\n{indexing:?}"),
            }
        }
    }
}

fn spans(spans: Vec<otlp::Span>) -> Bytes {
    let scope_spans = vec![otlp::ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![otlp::ResourceSpans { scope_spans, ..Default::default() }];
    otlp::ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

fn span(id: u8, start: u64) -> otlp::Span {
    otlp::Span {
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        start_time_unix_nano: start,
        ..Default::default()
    }
}

#[test]
fn rejects_spans_of_absurd_times_one_by_one() {
    let rules = three_hours();
    let range = rules.accepted.unwrap();
    let request = spans(vec![
        span(1, range.start.0),
        span(2, range.start.0 - 1),
        span(3, range.end.0),
        span(4, range.end.0 + 1),
        span(5, 0),
        span(0, RECEIVED.0),
    ]);
    let indexed = index_traces(&request, &rules).unwrap();
    let stored: Vec<_> = indexed.items.spans.iter().map(|span| span.span_id.0[0]).collect();
    assert_eq!(stored, [1, 3]);
    assert_eq!(indexed.appended.rejected_items, 4);
    assert_eq!(
        indexed.appended.message,
        "1 spans have an invalid trace id, span id or parent span id; \
         3 spans start more than 3600 s before or 7200 s after now"
    );
    assert_eq!(index_traces(&request, &ANY_TIME).unwrap().items.spans.len(), 5);
}

#[test]
fn a_log_record_without_a_time_has_that_of_the_request() {
    let log = |time, observed| otlp::LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        ..Default::default()
    };
    let at = RECEIVED.0;
    let log_records = vec![log(0, 0), log(0, at + 1), log(at + 2, 1), log(1, at)];
    let scope_logs = vec![otlp::ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![otlp::ResourceLogs { scope_logs, ..Default::default() }];
    let request = otlp::ExportLogsServiceRequest { resource_logs }.encode_to_vec().into();
    let indexed = index_logs(&request, &three_hours()).unwrap();
    let times: Vec<_> = indexed.items.logs.iter().map(|log| log.time.0 - at).collect();
    assert_eq!(times, [0, 1, 2]);
    assert_eq!(
        indexed.appended.message,
        "1 log records happened more than 3600 s before or 7200 s after now"
    );
}

#[test]
fn rejects_data_points_by_time_and_name() {
    let gauge = |name: &str, times: &[u64]| otlp::Metric {
        name: name.into(),
        data: Some(otlp::metric::Data::Gauge(otlp::Gauge {
            data_points: times
                .iter()
                .map(|&time_unix_nano| otlp::NumberDataPoint {
                    time_unix_nano,
                    ..Default::default()
                })
                .collect(),
        })),
        ..Default::default()
    };
    let metrics = vec![gauge("a", &[0, 1, RECEIVED.0 + 5]), gauge("", &[RECEIVED.0])];
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![otlp::ResourceMetrics { scope_metrics, ..Default::default() }];
    let request = otlp::ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into();
    let indexed = index_metrics(&request, &three_hours()).unwrap();
    let times: Vec<_> = indexed.items.iter().map(|point| point.point.time.0).collect();
    assert_eq!(times, [RECEIVED.0, RECEIVED.0 + 5]);
    assert_eq!(indexed.appended.rejected_items, 2);
    assert_eq!(
        indexed.appended.message,
        "1 data points belong to a metric without a name; \
         1 data points are more than 3600 s before or 7200 s after now"
    );
}

#[test]
fn a_request_in_parts_is_put_together() {
    // A resource in two halves is one.
    let half = |key: &str| {
        let attributes = vec![otlp::string(key, "x")];
        let resource = Some(otlp::Resource { attributes, ..Default::default() });
        otlp::ResourceSpans { resource, ..Default::default() }.encode_to_vec()
    };
    let scope_spans =
        vec![otlp::ScopeSpans { spans: vec![span(1, RECEIVED.0)], ..Default::default() }];
    let spans = otlp::ResourceSpans { scope_spans, ..Default::default() }.encode_to_vec();
    let whole = [half("a"), half("service.name"), spans].concat();
    let mut request = vec![0x0a, u8::try_from(whole.len()).unwrap()];
    assert!(whole.len() < 0x80);
    request.extend(whole);
    let items = index_traces(&request.into(), &ANY_TIME).unwrap().items;
    assert_eq!(&*items.resources[0].record.service, "x");
    assert_eq!(items.resources[0].record.resource.attributes.len(), 2);
    same_groups(&items.resources[0], &items.scopes[0]);
    assert_eq!(items.spans.len(), 1);
    assert_eq!(
        otlp::Span::decode(part(&items.bytes, &items.spans[0].item)).unwrap(),
        span(1, RECEIVED.0)
    );
}

#[test]
fn refuses_what_is_not_a_request() {
    let bytes = Bytes::from_static(&[0x0a, 9, 1]);
    for kind in [
        index_traces(&bytes, &ANY_TIME).unwrap_err().kind,
        index_logs(&bytes, &ANY_TIME).unwrap_err().kind,
        index_metrics(&bytes, &ANY_TIME).unwrap_err().kind,
    ] {
        assert_eq!(kind, StoreErrorKind::InvalidData);
    }
}
