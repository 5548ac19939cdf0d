//! How many items a batch holds, read from its bytes without decoding it.
//!
//! Counters need the number at every node; a full decode would cost a microsecond a span. The
//! walk below skips each span, record or point by its length prefix.

use carafe_telemetry::{Batch, Signal};

/// Spans, data points or log records in `batch`. What is not protobuf ends the count: the
/// number is then that of the part that could be read.
pub fn items(batch: &Batch) -> u64 {
    // Field numbers as in opentelemetry/proto/collector/*/v1: all three requests nest
    // resource (1) > scope (2) > item (2).
    let mut count = 0;
    for resource in messages(&batch.bytes, |field| field == 1) {
        for scope in messages(resource, |field| field == 2) {
            for item in messages(scope, |field| field == 2) {
                count += match batch.signal {
                    Signal::Traces | Signal::Logs => 1,
                    Signal::Metrics => data_points(item),
                };
            }
        }
    }
    count
}

/// `Metric.data` is one of gauge 5, sum 7, histogram 9, exponential histogram 10, summary 11;
/// each holds its points in field 1.
fn data_points(metric: &[u8]) -> u64 {
    messages(metric, |field| matches!(field, 5 | 7 | 9 | 10 | 11))
        .map(|data| messages(data, |field| field == 1).map(|_| 1).sum::<u64>())
        .sum()
}

/// The length-delimited fields of a message whose number is wanted.
fn messages(bytes: &[u8], wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut rest)?;
            match key & 7 {
                0 => drop(varint(&mut rest)?),
                1 => drop(take(&mut rest, 8)?),
                2 => {
                    let length = varint(&mut rest)?;
                    let value = take(&mut rest, length)?;
                    if wanted(key >> 3) {
                        return Some(value);
                    }
                }
                5 => drop(take(&mut rest, 4)?),
                // Groups: OTLP has none.
                _ => return None,
            }
        }
    })
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::Request;
    use carafe_telemetry::otlp::{
        ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest, Gauge,
        Histogram, HistogramDataPoint, LogRecord, Metric, NumberDataPoint, ResourceLogs,
        ResourceMetrics, ResourceSpans, ScopeLogs, ScopeMetrics, ScopeSpans, Span, Summary,
        SummaryDataPoint, metric::Data,
    };
    use proptest::prelude::*;

    fn traces(scopes: &[Vec<usize>]) -> Request {
        let span = || Span { name: "GET /".into(), trace_id: vec![7; 16], ..Default::default() };
        let resource_spans = scopes.iter().map(|counts| ResourceSpans {
            scope_spans: counts
                .iter()
                .map(|&n| ScopeSpans {
                    spans: std::iter::repeat_with(span).take(n).collect(),
                    schema_url: "https://example.com/schema".into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        Request::Traces(ExportTraceServiceRequest { resource_spans: resource_spans.collect() })
    }

    fn logs(scopes: &[Vec<usize>]) -> Request {
        let record = || LogRecord { severity_number: 9, ..Default::default() };
        let resource_logs = scopes.iter().map(|counts| ResourceLogs {
            scope_logs: counts
                .iter()
                .map(|&n| ScopeLogs {
                    log_records: std::iter::repeat_with(record).take(n).collect(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        Request::Logs(ExportLogsServiceRequest { resource_logs: resource_logs.collect() })
    }

    fn metrics(scopes: &[Vec<usize>]) -> Request {
        let data = |n: usize| match n % 3 {
            0 => Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default(); n] }),
            1 => Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint { count: 2, ..Default::default() }; n],
                aggregation_temporality: 2,
            }),
            _ => Data::Summary(Summary { data_points: vec![SummaryDataPoint::default(); n] }),
        };
        let resource_metrics = scopes.iter().map(|counts| ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: counts
                    .iter()
                    .map(|&n| Metric {
                        name: "m".into(),
                        unit: "ms".into(),
                        data: Some(data(n)),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }],
            ..Default::default()
        });
        Request::Metrics(ExportMetricsServiceRequest {
            resource_metrics: resource_metrics.collect(),
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_decode(
            scopes in prop::collection::vec(prop::collection::vec(0_usize..6, 0..4), 0..4),
        ) {
            for request in [traces(&scopes), logs(&scopes), metrics(&scopes)] {
                prop_assert_eq!(items(&request.encode()), request.items() as u64);
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes: Vec<u8>) {
            for signal in Signal::ALL {
                let length = bytes.len() as u64;
                let count = items(&Batch { signal, bytes: bytes.clone().into() });
                prop_assert!(count <= length);
            }
        }
    }
}
