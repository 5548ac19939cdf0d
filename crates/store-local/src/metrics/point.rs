//! A data point as columns and back.

use carafe_store::{Point, PointValue};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    metric::Data, number_data_point::Value,
};
use prost::{DecodeError, Message};

/// A data point, each part of it once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) time: u64,
    /// Whether the point does not say its time, so that it is when the point arrived.
    pub(super) is_received: bool,
    pub(super) start_time: Option<u64>,
    pub(super) flags: u32,
    pub(super) value: Option<Value>,
    pub(super) count: Option<u64>,
    pub(super) sum: Option<f64>,
    /// The OTLP message of the rest; none where there is no rest.
    pub(super) rest: Option<Vec<u8>>,
}

impl Parts {
    /// Bytes that are equal exactly where two points of a series are.
    pub(super) fn identity(&self) -> Vec<u8> {
        let (kind, value) = match self.value {
            None => (0, 0),
            Some(Value::AsInt(value)) => (1, value.cast_unsigned()),
            Some(Value::AsDouble(value)) => (2, value.to_bits()),
        };
        let numbers = [
            self.time,
            u64::from(self.is_received),
            self.start_time.unwrap_or(0),
            u64::from(self.flags),
            kind,
            value,
            self.count.unwrap_or(0),
            u64::from(self.sum.is_some()),
            self.sum.unwrap_or(0.0).to_bits(),
        ];
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        numbers.chain(self.rest.iter().flatten().copied()).collect()
    }
}

/// Splits a point; what has a column is left out of the message.
pub(super) fn split(point: &Point) -> Parts {
    macro_rules! parts {
        ($data:ident, $value:expr, $count:expr, $sum:expr) => {
            Parts {
                time: point.time.0,
                is_received: $data.time_unix_nano == 0,
                start_time: Some($data.start_time_unix_nano).filter(|time| *time != 0),
                flags: $data.flags,
                value: $value,
                count: $count,
                sum: $sum,
                rest: None,
            }
        };
    }
    match &point.value {
        PointValue::Number(data) => {
            let parts = parts!(data, data.value, None, None);
            let rest = NumberDataPoint { exemplars: data.exemplars.clone(), ..Default::default() };
            let rest = (!data.exemplars.is_empty()).then(|| rest.encode_to_vec());
            Parts { rest, ..parts }
        }
        PointValue::Histogram(data) => {
            let parts = parts!(data, None, Some(data.count), data.sum);
            let rest = HistogramDataPoint {
                start_time_unix_nano: 0,
                time_unix_nano: 0,
                flags: 0,
                count: 0,
                sum: None,
                ..data.clone()
            };
            Parts { rest: Some(rest.encode_to_vec()), ..parts }
        }
        PointValue::ExponentialHistogram(data) => {
            let parts = parts!(data, None, Some(data.count), data.sum);
            let rest = ExponentialHistogramDataPoint {
                start_time_unix_nano: 0,
                time_unix_nano: 0,
                flags: 0,
                count: 0,
                sum: None,
                ..data.clone()
            };
            Parts { rest: Some(rest.encode_to_vec()), ..parts }
        }
        PointValue::Summary(data) => {
            let parts = parts!(data, None, Some(data.count), Some(data.sum));
            let rest = SummaryDataPoint {
                start_time_unix_nano: 0,
                time_unix_nano: 0,
                flags: 0,
                count: 0,
                sum: 0.0,
                ..data.clone()
            };
            Parts { rest: Some(rest.encode_to_vec()), ..parts }
        }
    }
}

/// Whether a point is one of a metric of this kind.
pub(super) fn is_of(point: &PointValue, data: Option<&Data>) -> bool {
    matches!(
        (data, point),
        (Some(Data::Gauge(_) | Data::Sum(_)), PointValue::Number(_))
            | (Some(Data::Histogram(_)), PointValue::Histogram(_))
            | (Some(Data::ExponentialHistogram(_)), PointValue::ExponentialHistogram(_))
            | (Some(Data::Summary(_)), PointValue::Summary(_))
    )
}

/// The word for a kind of metric in files.
pub(super) fn kind_name(data: Option<&Data>) -> &'static str {
    match data {
        Some(Data::Gauge(_)) => "gauge",
        Some(Data::Sum(_)) => "sum",
        Some(Data::Histogram(_)) => "histogram",
        Some(Data::ExponentialHistogram(_)) => "exponential_histogram",
        Some(Data::Summary(_)) => "summary",
        None => "none",
    }
}

/// The point of a metric of the kind `data`. An error where there is no such point.
pub(super) fn join(data: Option<&Data>, parts: &Parts) -> Result<Point, DecodeError> {
    macro_rules! value {
        ($message:ident, $variant:ident, $($field:ident: $value:expr),*) => {
            PointValue::$variant($message {
                start_time_unix_nano: parts.start_time.unwrap_or(0),
                time_unix_nano: if parts.is_received { 0 } else { parts.time },
                flags: parts.flags,
                $($field: $value,)*
                ..$message::decode(parts.rest.as_deref().unwrap_or_default())?
            })
        };
    }
    let count = parts.count.unwrap_or_default();
    let value = match data {
        // Nothing is left to decode of a metric that never had a point.
        None | Some(Data::Gauge(_) | Data::Sum(_)) => {
            value!(NumberDataPoint, Number, value: parts.value)
        }
        Some(Data::Histogram(_)) => {
            value!(HistogramDataPoint, Histogram, count: count, sum: parts.sum)
        }
        Some(Data::ExponentialHistogram(_)) => value!(
            ExponentialHistogramDataPoint,
            ExponentialHistogram,
            count: count,
            sum: parts.sum
        ),
        Some(Data::Summary(_)) => {
            value!(SummaryDataPoint, Summary, count: count, sum: parts.sum.unwrap_or_default())
        }
    };
    Ok(Point { time: UnixNanos(parts.time), value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn points_survive(model in testing::model(1..20)) {
            for record in model.points {
                let data = record.series.metric.data.as_ref();
                prop_assert!(is_of(&record.point.value, data));
                let joined = join(data, &split(&record.point)).unwrap();
                prop_assert_eq!(&joined, &*record.point);
            }
        }
    }
}
