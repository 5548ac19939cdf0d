//! What makes a time series one, which question it answers, and in which order series come.

use crate::query::MetricQuery;
use crate::record::{Point, PointValue, Series};
use crate::{size, value};
use carafe_telemetry::otlp::{Exemplar, KeyValue};
use prost::{EncodeError, Message};
use std::mem::size_of;
use std::sync::Arc;

/// What tells series apart: the encoded resource, scope, metric without points and
/// attributes, and the schemas, each with its length. Two series are the same exactly where
/// these bytes are. The bytes are not a format: they stay within one process.
pub fn series_key(series: &Series) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    let mut encode = |message: &dyn Fn(&mut Vec<u8>) -> Result<(), EncodeError>| {
        // A vector grows, so encoding into it cannot fail.
        if message(&mut key).is_err() {
            key.push(0);
        }
    };
    encode(&|key| series.resource.resource.encode_length_delimited(key));
    encode(&|key| series.resource.schema_url.encode_length_delimited(key));
    encode(&|key| series.scope.scope.encode_length_delimited(key));
    encode(&|key| series.scope.schema_url.encode_length_delimited(key));
    encode(&|key| series.metric.encode_length_delimited(key));
    for attribute in &series.attributes {
        encode(&|key| attribute.encode_length_delimited(key));
    }
    key
}

/// What the series of an answer are sorted by: name, service, then attributes as text.
pub fn series_order(series: &Series) -> (String, Arc<str>, Vec<(String, String)>) {
    let text = |kv: &KeyValue| {
        (kv.key.clone(), kv.value.as_ref().map(|v| value::text(v).into_owned()).unwrap_or_default())
    };
    (
        series.metric.name.clone(),
        Arc::clone(&series.resource.service),
        series.attributes.iter().map(text).collect(),
    )
}

impl MetricQuery {
    /// Whether the series has the name, the service and the attributes that are asked for.
    pub fn matches(&self, series: &Series) -> bool {
        self.name.as_ref().is_none_or(|name| series.metric.name == *name)
            && self.service.as_deref().is_none_or(|service| *series.resource.service == *service)
            && self.matches_attributes(&series.attributes)
    }

    /// Whether these attributes of a series are among those that are asked for.
    pub fn matches_attributes(&self, attributes: &[KeyValue]) -> bool {
        self.attributes.iter().all(|(key, text)| {
            let kv = attributes.iter().find(|kv| kv.key == *key);
            let value = kv.and_then(|kv| kv.value.as_ref());
            value.is_some_and(|value| value::text(value) == text.as_str())
        })
    }
}

/// About how many bytes of memory a series takes, without its points.
pub fn series_bytes(series: &Series) -> usize {
    size_of::<Series>()
        + series.metric.name.len()
        + series.metric.description.len()
        + series.metric.unit.len()
        + size::attributes(&series.metric.metadata)
        + size::attributes(&series.attributes)
        + size::attributes(&series.resource.resource.attributes)
}

/// About how many bytes of memory a data point takes.
pub fn point_bytes(point: &Point) -> usize {
    let content = match &point.value {
        PointValue::Number(data) => exemplars(&data.exemplars),
        PointValue::Histogram(data) => {
            exemplars(&data.exemplars) + 8 * (data.bucket_counts.len() + data.explicit_bounds.len())
        }
        PointValue::ExponentialHistogram(data) => {
            let buckets = [&data.positive, &data.negative];
            let counts = buckets.into_iter().flatten().map(|b| b.bucket_counts.len());
            exemplars(&data.exemplars) + 8 * counts.sum::<usize>()
        }
        PointValue::Summary(data) => 16 * data.quantile_values.len(),
    };
    size_of::<Point>() + content
}

fn exemplars(exemplars: &[Exemplar]) -> usize {
    exemplars
        .iter()
        .map(|exemplar| {
            size_of_val(exemplar) + 64 + size::attributes(&exemplar.filtered_attributes)
        })
        .sum()
}
