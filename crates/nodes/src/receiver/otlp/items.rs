//! Counts what a request carries without decoding it.
//!
//! Walks only the envelope (resource, scope, item), so a batch that passes through costs almost
//! nothing. What lies inside an item is not looked at: the node that decodes it judges it.

use carafe_telemetry::Signal;

/// The bytes are not a protobuf message of the expected shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an OTLP request in protobuf: bytes end or break off within a field")]
pub(crate) struct Malformed;

/// Field numbers from the request to what is counted, one per level of nesting.
const SPANS: &[&[u64]] = &[&[1], &[2], &[2]];
const LOG_RECORDS: &[&[u64]] = &[&[1], &[2], &[2]];
/// After `Metric` come its five kinds of data (gauge, sum, histogram, exponential histogram,
/// summary), each of which holds its points in field 1.
const DATA_POINTS: &[&[u64]] = &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];

/// Spans, data points or log records in an export request.
pub(crate) fn count(signal: Signal, request: &[u8]) -> Result<u64, Malformed> {
    let path = match signal {
        Signal::Traces => SPANS,
        Signal::Metrics => DATA_POINTS,
        Signal::Logs => LOG_RECORDS,
    };
    count_at(path, request)
}

fn count_at(path: &[&[u64]], mut message: &[u8]) -> Result<u64, Malformed> {
    let Some((numbers, rest)) = path.split_first() else { return Ok(1) };
    let mut items = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let (number, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => {
                varint(&mut message)?;
            }
            1 => {
                take(&mut message, 8)?;
            }
            2 => {
                let length = varint(&mut message)?;
                let field = take(&mut message, length)?;
                if numbers.contains(&number) {
                    items += count_at(rest, field)?;
                }
            }
            5 => {
                take(&mut message, 4)?;
            }
            // Groups (3 and 4) do not exist in proto3; 6 and 7 never did.
            _ => return Err(Malformed),
        }
    }
    Ok(items)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::{Request, otlp};

    fn requests() -> Vec<Request> {
        let points = vec![otlp::NumberDataPoint::default(); 3];
        let data = |data| otlp::Metric { data: Some(data), ..Default::default() };
        let metrics = vec![
            data(otlp::metric::Data::Gauge(otlp::Gauge { data_points: points.clone() })),
            data(otlp::metric::Data::Summary(otlp::Summary {
                data_points: vec![otlp::SummaryDataPoint::default()],
            })),
            otlp::Metric { name: "no data".into(), ..Default::default() },
        ];
        vec![
            Request::Traces(otlp::ExportTraceServiceRequest::default()),
            Request::Traces(otlp::ExportTraceServiceRequest {
                resource_spans: vec![otlp::ResourceSpans {
                    resource: Some(otlp::Resource {
                        attributes: vec![otlp::string("service.name", "x")],
                        ..Default::default()
                    }),
                    scope_spans: vec![
                        otlp::ScopeSpans {
                            spans: vec![otlp::Span { name: "a".into(), ..Default::default() }; 5],
                            ..Default::default()
                        };
                        2
                    ],
                    ..Default::default()
                }],
            }),
            Request::Metrics(otlp::ExportMetricsServiceRequest {
                resource_metrics: vec![otlp::ResourceMetrics {
                    scope_metrics: vec![otlp::ScopeMetrics { metrics, ..Default::default() }],
                    ..Default::default()
                }],
            }),
        ]
    }

    #[test]
    fn agrees_with_the_full_decoding() {
        for request in requests() {
            let batch = request.encode();
            assert_eq!(count(batch.signal, &batch.bytes), Ok(request.items() as u64));
        }
    }

    #[test]
    fn refuses_what_is_cut_off() {
        let batch = requests().remove(1).encode();
        let cut = &batch.bytes[..batch.bytes.len() - 1];
        assert_eq!(count(batch.signal, cut), Err(Malformed));
        assert_eq!(count(Signal::Traces, b"not protobuf"), Err(Malformed));
        assert_eq!(count(Signal::Traces, &[0xff; 11]), Err(Malformed));
    }
}
