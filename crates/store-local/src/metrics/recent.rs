//! Recent data points, in memory.

use crate::budget::Budget;
use crate::metrics::series::{EncodedSeries, SeriesEncoder};
use crate::signal_file::NO_TIME;
use crate::source::{MetricSource, Scan};
use crate::tiers::{Chunk, Tiers};
use carafe_store::{
    MetricQuery, Point, PointRecord, Series, SeriesPoints, StoreError, TimeRange, point_bytes,
    series_bytes,
};
use carafe_telemetry::UnixNanos;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

/// How many rows a query looks at between two looks at its budget.
const ROWS_PER_CHECK: usize = 8_192;

/// A series of a chunk, and where its points are.
#[derive(Clone, Debug)]
struct Run {
    id: u32,
    series: Arc<Series>,
    points: Range<usize>,
}

/// Points by series, then time, then arrival.
#[derive(Debug, Default)]
struct Points {
    runs: Vec<Run>,
    points: Vec<(UnixNanos, Arc<Point>)>,
}

impl Points {
    /// Adds the points of `parts`, which are each in order, as one run.
    fn push_run(&mut self, run: &Run, parts: [&[(UnixNanos, Arc<Point>)]; 2]) {
        let from = self.points.len();
        let [older, newer] = parts;
        let mut newer = newer.iter().peekable();
        for point in older {
            while let Some(earlier) = newer.next_if(|newer| newer.0 < point.0) {
                self.points.push(earlier.clone());
            }
            self.points.push(point.clone());
        }
        self.points.extend(newer.cloned());
        self.runs.push(Run { points: from..self.points.len(), ..run.clone() });
    }

    fn of(&self, run: &Run) -> &[(UnixNanos, Arc<Point>)] {
        &self.points[run.points.clone()]
    }

    /// The run's points in `range`.
    fn within(&self, run: &Run, range: TimeRange) -> &[(UnixNanos, Arc<Point>)] {
        let points = self.of(run);
        let from = points.partition_point(|(time, _)| *time < range.start);
        let to = points.partition_point(|(time, _)| *time <= range.end);
        points.get(from..to).unwrap_or_default()
    }
}

impl Chunk for Points {
    fn items(&self) -> usize {
        self.points.len()
    }

    fn merged(older: &Self, newer: &Self) -> Self {
        let mut merged = Self {
            runs: Vec::with_capacity(older.runs.len().max(newer.runs.len())),
            points: Vec::with_capacity(older.items() + newer.items()),
        };
        let mut rest = newer.runs.iter().peekable();
        for run in &older.runs {
            while let Some(other) = rest.next_if(|other| other.id < run.id) {
                merged.push_run(other, [&[], newer.of(other)]);
            }
            let same = rest.next_if(|other| other.id == run.id);
            merged.push_run(run, [older.of(run), same.map_or(&[][..], |same| newer.of(same))]);
        }
        for other in rest {
            merged.push_run(other, [&[], newer.of(other)]);
        }
        merged
    }
}

/// Data points that are not in a file yet. Grows only; who owns it writes it to a file and
/// begins another.
#[derive(Debug, Default)]
pub struct RecentMetrics {
    ids: HashMap<EncodedSeries, (u32, Arc<Series>)>,
    encoder: SeriesEncoder,
    tiers: Tiers<Points>,
    extent: Option<TimeRange>,
    points: usize,
    bytes: usize,
}

impl RecentMetrics {
    /// Adds points that came later than the others. Gives them back with the series that
    /// are kept, so that equal series are one.
    pub fn insert(&mut self, points: Vec<PointRecord>) -> Vec<PointRecord> {
        let mut by_series: Vec<(u32, PointRecord)> =
            points.into_iter().map(|point| self.admit(point)).collect();
        let inserted = by_series.iter().map(|(_, point)| point.clone()).collect();
        by_series.sort_by_key(|(id, record)| (*id, record.point.time));
        let mut chunk = Points::default();
        for of_series in by_series.chunk_by(|a, b| a.0 == b.0) {
            let (id, first) = &of_series[0];
            let from = chunk.points.len();
            let points = of_series.iter().map(|(_, r)| (r.point.time, Arc::clone(&r.point)));
            chunk.points.extend(points);
            let points = from..chunk.points.len();
            chunk.runs.push(Run { id: *id, series: Arc::clone(&first.series), points });
        }
        if chunk.items() > 0 {
            self.tiers.push(chunk);
        }
        inserted
    }

    fn admit(&mut self, record: PointRecord) -> (u32, PointRecord) {
        let PointRecord { series, point } = record;
        self.points += 1;
        self.bytes += point_bytes(&point) + size_of::<(UnixNanos, Arc<Point>)>();
        let TimeRange { start, end } = self.extent.unwrap_or(at(point.time));
        self.extent = Some(TimeRange { start: start.min(point.time), end: end.max(point.time) });
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let encoded = self.encoder.encode(&series);
        let added = &mut self.bytes;
        let (id, series) = self.ids.entry(encoded).or_insert_with_key(|encoded| {
            *added += series_bytes(&series)
                + size_of::<(EncodedSeries, Arc<Series>)>()
                + encoded.metric.len()
                + encoded.attributes.len();
            (next, series)
        });
        (*id, PointRecord { series: Arc::clone(series), point })
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// About how much memory all of it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is there now, for queries and for a file; cheap.
    pub fn snapshot(&self) -> MetricSnapshot {
        MetricSnapshot {
            chunks: self.tiers.chunks().to_vec(),
            extent: self.extent.unwrap_or(NO_TIME),
        }
    }
}

fn at(time: UnixNanos) -> TimeRange {
    TimeRange { start: time, end: time }
}

/// The points that [`RecentMetrics`] had at one moment.
#[derive(Clone, Debug)]
pub struct MetricSnapshot {
    chunks: Vec<Arc<Points>>,
    extent: TimeRange,
}

impl MetricSnapshot {
    /// The times of all points, in no order.
    pub fn times(&self) -> impl Iterator<Item = UnixNanos> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.points.iter().map(|(time, _)| *time))
    }

    /// The points in `range`, in the order in which files have them: by series as
    /// [`EncodedSeries`] are ordered, then time, then arrival.
    pub fn in_file_order(&self, range: TimeRange) -> impl Iterator<Item = PointRecord> {
        let mut encoder = SeriesEncoder::default();
        let mut series: Vec<_> = self
            .gather(range, |_| true)
            .into_values()
            .map(|found| (encoder.encode(&found.series), found))
            .collect();
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        series.into_iter().flat_map(|(_, SeriesPoints { series, points })| {
            points.into_iter().map(move |point| PointRecord { series: Arc::clone(&series), point })
        })
    }

    /// The series that `wanted` accepts, with their points in `range`, if there are any.
    fn gather(
        &self,
        range: TimeRange,
        wanted: impl Fn(&Series) -> bool,
    ) -> HashMap<u32, SeriesPoints> {
        let mut found = HashMap::<u32, SeriesPoints>::new();
        let mut decided = HashMap::<u32, bool>::new();
        for chunk in &self.chunks {
            for run in &chunk.runs {
                if !*decided.entry(run.id).or_insert_with(|| wanted(&run.series)) {
                    continue;
                }
                let points = chunk.within(run, range);
                if points.is_empty() {
                    continue;
                }
                let of_series = found.entry(run.id).or_insert_with(|| SeriesPoints {
                    series: Arc::clone(&run.series),
                    points: Vec::new(),
                });
                of_series.points.extend(points.iter().map(|(_, point)| Arc::clone(point)));
            }
        }
        for of_series in found.values_mut() {
            // Chunks are oldest first, so a stable sort leaves equal times in order of arrival.
            of_series.points.sort_by_key(|point| point.time);
        }
        found
    }
}

impl MetricSource for MetricSnapshot {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn select(
        &self,
        query: &MetricQuery,
        budget: &Budget,
    ) -> Result<Vec<SeriesPoints>, StoreError> {
        let found: Vec<SeriesPoints> =
            self.gather(query.range, |series| query.matches(series)).into_values().collect();
        let points: usize = found.iter().map(|series| series.points.len()).sum();
        budget.rows(points as u64)?;
        budget.bytes((points * size_of::<Arc<Point>>()) as u64)?;
        Ok(found)
    }

    fn scan<'a>(&'a self, range: TimeRange, budget: &'a Budget) -> Scan<'a, PointRecord> {
        let mut places: Vec<(UnixNanos, &Points, &Run, usize)> = Vec::new();
        for chunk in &self.chunks {
            for run in &chunk.runs {
                let within = chunk.within(run, range);
                places.extend(within.iter().enumerate().map(|(n, (time, _))| {
                    let first = chunk.of(run).partition_point(|(time, _)| *time < range.start);
                    (*time, &**chunk, run, run.points.start + first + n)
                }));
            }
        }
        if let Err(error) = budget.bytes(size_of_val(places.as_slice()) as u64) {
            return Box::new(std::iter::once(Err(error)));
        }
        places.sort_by_key(|(time, ..)| Reverse(*time));
        Box::new(places.into_iter().enumerate().map(move |(n, (_, chunk, run, at))| {
            if n % ROWS_PER_CHECK == 0 {
                budget.rows(ROWS_PER_CHECK as u64)?;
            }
            let point = Arc::clone(&chunk.points[at].1);
            Ok(PointRecord { series: Arc::clone(&run.series), point })
        }))
    }
}

#[cfg(test)]
mod tests;
