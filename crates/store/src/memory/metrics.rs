//! Metric series in memory.

use super::MemoryLimits;
use super::size;
use crate::query::{MetricPage, MetricQuery};
use crate::record::{Point, PointRecord, PointValue, Series, SeriesPoints};
use crate::value;
use carafe_telemetry::UnixNanos;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

/// Series are told apart by what their messages encode to.
type SeriesKey = Arc<[u8]>;

struct Stored {
    series: Arc<Series>,
    /// By time, then order of arrival.
    points: BTreeMap<(UnixNanos, u64), Arc<Point>>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct Metrics {
    series: HashMap<SeriesKey, Stored>,
    /// Every point once, in order of arrival: where it is and what it takes.
    arrival: VecDeque<(u64, SeriesKey, UnixNanos, usize)>,
    pub(super) bytes: usize,
    pub(super) appended: u64,
    pub(super) evicted: u64,
}

impl Metrics {
    pub(super) fn len(&self) -> usize {
        self.arrival.len()
    }

    /// Adds points, then evicts those that came first until the limits hold. Gives the
    /// points back with the series that are stored.
    pub(super) fn insert(
        &mut self,
        points: Vec<PointRecord>,
        limits: &MemoryLimits,
    ) -> Vec<PointRecord> {
        let stored = points.into_iter().map(|point| self.insert_one(point)).collect();
        while self.bytes > limits.max_metric_bytes || self.arrival.len() > limits.max_points {
            if !self.evict_oldest() {
                break;
            }
        }
        stored
    }

    fn insert_one(&mut self, record: PointRecord) -> PointRecord {
        let key = series_key(&record.series);
        let number = self.appended;
        self.appended += 1;
        let added = &mut self.bytes;
        let stored = self.series.entry(Arc::clone(&key)).or_insert_with(|| {
            let bytes = series_bytes(&record.series, &key);
            *added += bytes;
            Stored { series: Arc::clone(&record.series), points: BTreeMap::new(), bytes }
        });
        let time = record.point.time;
        let bytes = point_bytes(&record.point);
        self.bytes += bytes;
        stored.points.insert((time, number), Arc::clone(&record.point));
        self.arrival.push_back((number, key, time, bytes));
        PointRecord { series: Arc::clone(&stored.series), point: record.point }
    }

    fn evict_oldest(&mut self) -> bool {
        let Some((number, key, time, bytes)) = self.arrival.pop_front() else { return false };
        self.bytes -= bytes;
        self.evicted += 1;
        if let Some(stored) = self.series.get_mut(&key) {
            stored.points.remove(&(time, number));
            if stored.points.is_empty() {
                self.bytes -= stored.bytes;
                self.series.remove(&key);
            }
        }
        true
    }

    pub(super) fn select(&self, query: &MetricQuery) -> MetricPage {
        let range = (query.range.start, 0)..=(query.range.end, u64::MAX);
        if query.range.end < query.range.start {
            return MetricPage::default();
        }
        let mut series: Vec<SeriesPoints> = self
            .series
            .values()
            .filter(|stored| matches(&stored.series, query))
            .map(|stored| SeriesPoints {
                series: Arc::clone(&stored.series),
                points: stored.points.range(range.clone()).map(|(_, p)| Arc::clone(p)).collect(),
            })
            .filter(|series| !series.points.is_empty())
            .collect();
        series.sort_by_cached_key(|series| order(&series.series));
        let truncated = series.len() > query.limit;
        series.truncate(query.limit);
        MetricPage { series, truncated }
    }

    /// Points in order of arrival, from number `from` on.
    pub(super) fn oldest_first(&self, from: u64) -> impl Iterator<Item = (u64, PointRecord)> {
        let at = self.arrival.partition_point(|(number, ..)| *number < from);
        self.arrival.range(at..).filter_map(|(number, key, time, _)| {
            let stored = self.series.get(key)?;
            let point = Arc::clone(stored.points.get(&(*time, *number))?);
            Some((*number, PointRecord { series: Arc::clone(&stored.series), point }))
        })
    }
}

fn matches(series: &Series, query: &MetricQuery) -> bool {
    query.name.as_ref().is_none_or(|name| series.metric.name == *name)
        && query.service.as_deref().is_none_or(|service| *series.resource.service == *service)
        && query.attributes.iter().all(|(key, text)| {
            let kv = series.attributes.iter().find(|kv| kv.key == *key);
            let value = kv.and_then(|kv| kv.value.as_ref());
            value.is_some_and(|value| value::text(value) == text.as_str())
        })
}

fn order(series: &Series) -> (String, Arc<str>, Vec<(String, String)>) {
    let text = |kv: &carafe_telemetry::otlp::KeyValue| {
        (kv.key.clone(), kv.value.as_ref().map(|v| value::text(v).into_owned()).unwrap_or_default())
    };
    (
        series.metric.name.clone(),
        Arc::clone(&series.resource.service),
        series.attributes.iter().map(text).collect(),
    )
}

/// The encoded resource, scope, metric without points, and attributes, with their lengths.
fn series_key(series: &Series) -> SeriesKey {
    use prost::Message;
    let mut key = Vec::with_capacity(256);
    let mut encode = |message: &dyn Fn(&mut Vec<u8>) -> Result<(), prost::EncodeError>| {
        // A vector grows, so encoding into it cannot fail.
        if message(&mut key).is_err() {
            key.push(0);
        }
    };
    encode(&|key| series.resource.resource.encode_length_delimited(key));
    encode(&|key| series.scope.scope.encode_length_delimited(key));
    encode(&|key| series.metric.encode_length_delimited(key));
    for attribute in &series.attributes {
        encode(&|key| attribute.encode_length_delimited(key));
    }
    key.into()
}

fn series_bytes(series: &Series, key: &SeriesKey) -> usize {
    size_of::<Stored>()
        + size_of::<Series>()
        + key.len()
        + series.metric.name.len()
        + series.metric.description.len()
        + series.metric.unit.len()
        + size::attributes(&series.attributes)
        + size::attributes(&series.resource.resource.attributes)
        + size::INDEX
}

fn point_bytes(point: &Point) -> usize {
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
    size_of::<Point>() + size::INDEX + content
}

fn exemplars(exemplars: &[carafe_telemetry::otlp::Exemplar]) -> usize {
    exemplars
        .iter()
        .map(|exemplar| {
            size_of_val(exemplar) + 64 + size::attributes(&exemplar.filtered_attributes)
        })
        .sum()
}
