//! How many items a request has, by its envelope alone.

use super::wire::{Reader, delimited};
use super::{REQUEST_DEPTH, ViewError};
use crate::Signal;

/// Keys from the request to what is counted, one set for each level: resource, scope, item.
const ITEMS: &[&[u32]] = &[&[delimited(1)], &[delimited(2)], &[delimited(2)]];
/// After `Metric` come its kinds of data (gauge, sum, histogram, exponential histogram,
/// summary), each of which holds its points in field 1.
const DATA_POINTS: &[&[u32]] = &[
    &[delimited(1)],
    &[delimited(2)],
    &[delimited(2)],
    &[delimited(5), delimited(7), delimited(9), delimited(10), delimited(11)],
    &[delimited(1)],
];

/// Spans, data points or log records in a request. What is within them is not looked at.
pub(crate) fn items(signal: Signal, request: &[u8]) -> Result<u64, ViewError> {
    match signal {
        Signal::Traces | Signal::Logs => items_at(ITEMS, request),
        Signal::Metrics => items_at(DATA_POINTS, request),
    }
}

fn items_at(path: &[&[u32]], message: &[u8]) -> Result<u64, ViewError> {
    let Some((keys, rest)) = path.split_first() else { return Ok(1) };
    let mut items = 0;
    let mut reader = Reader::new(message);
    while !reader.is_empty() {
        let key = reader.key()?;
        if keys.contains(&key) {
            items += items_at(rest, reader.bytes()?)?;
        } else {
            reader.skip(key, REQUEST_DEPTH)?;
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use crate::testing::{logs_request, scramble, traces_request};
    use crate::view::ViewError;
    use crate::{Batch, Request, Signal, otlp};
    use otlp::metric::Data;
    use proptest::prelude::*;

    fn metrics(points: &[usize]) -> Request {
        let data = |n: usize| match n % 4 {
            0 => Data::Gauge(otlp::Gauge { data_points: vec![Default::default(); n] }),
            1 => Data::Histogram(otlp::Histogram {
                data_points: vec![otlp::HistogramDataPoint { count: 2, ..Default::default() }; n],
                aggregation_temporality: 2,
            }),
            2 => Data::Summary(otlp::Summary { data_points: vec![Default::default(); n] }),
            _ => Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points: vec![Default::default(); n],
                aggregation_temporality: 1,
            }),
        };
        let mut metrics: Vec<_> = points
            .iter()
            .map(|&n| otlp::Metric { unit: "ms".into(), data: Some(data(n)), ..Default::default() })
            .collect();
        metrics.push(otlp::Metric { name: "no data".into(), ..Default::default() });
        let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
        let resource_metrics = vec![otlp::ResourceMetrics { scope_metrics, ..Default::default() }];
        Request::Metrics(otlp::ExportMetricsServiceRequest { resource_metrics })
    }

    proptest! {
        #[test]
        fn agrees_with_decoding(
            traces in traces_request(),
            logs in logs_request(),
            points in prop::collection::vec(0..6_usize, 0..6),
            seed: u64,
        ) {
            for request in [Request::Traces(traces), Request::Logs(logs), metrics(&points)] {
                let mut batch = request.encode();
                prop_assert_eq!(batch.items(), Ok(request.items() as u64));
                if batch.signal != Signal::Metrics {
                    batch.bytes = scramble(batch.signal, &batch.bytes, seed, false).into();
                    let items = batch.decode().unwrap().items() as u64;
                    prop_assert_eq!(batch.items(), Ok(items));
                }
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes: Vec<u8>) {
            for signal in Signal::ALL {
                let length = bytes.len() as u64;
                let items = Batch { signal, bytes: bytes.clone().into() }.items();
                prop_assert!(items.unwrap_or(0) <= length);
            }
        }
    }

    #[test]
    fn names_what_is_cut_off() {
        let batch = metrics(&[3, 2]).encode();
        let cut = batch.bytes.slice(..batch.bytes.len() - 1);
        let batch = Batch { bytes: cut, ..batch };
        assert_eq!(batch.items(), Err(ViewError::Truncated));
        let text = Batch { signal: Signal::Traces, bytes: "not protobuf".into() };
        assert!(text.items().is_err());
    }
}
