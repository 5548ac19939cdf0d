//! Metric series in memory.

use super::MemoryLimits;
use crate::query::{MetricPage, MetricQuery};
use crate::record::{Point, PointRecord, Series, SeriesPoints};
use crate::series::{point_bytes, series_bytes, series_key, series_order};
use crate::size;
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
        let key: SeriesKey = series_key(&record.series).into();
        let number = self.appended;
        self.appended += 1;
        let added = &mut self.bytes;
        let stored = self.series.entry(Arc::clone(&key)).or_insert_with(|| {
            let bytes =
                size_of::<Stored>() + series_bytes(&record.series) + key.len() + size::INDEX;
            *added += bytes;
            Stored { series: Arc::clone(&record.series), points: BTreeMap::new(), bytes }
        });
        let time = record.point.time;
        let bytes = point_bytes(&record.point) + size::INDEX;
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
            .filter(|stored| query.matches(&stored.series))
            .map(|stored| SeriesPoints {
                series: Arc::clone(&stored.series),
                points: stored.points.range(range.clone()).map(|(_, p)| Arc::clone(p)).collect(),
            })
            .filter(|series| !series.points.is_empty())
            .collect();
        series.sort_by_cached_key(|series| series_order(&series.series));
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
