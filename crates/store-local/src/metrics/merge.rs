//! Several files of data points to one.

use super::file::MetricFile;
use super::table::SeriesTable;
use carafe_store::{PointRecord, Series, StoreError};
use carafe_telemetry::UnixNanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// The tables of series of files that are to be merged, and the order of all their series.
pub struct MetricMerge<'a> {
    files: Vec<(&'a MetricFile, SeriesTable)>,
    /// For each file and each of its series, its place among the different series of all.
    ranks: Vec<Vec<u32>>,
}

impl<'a> MetricMerge<'a> {
    /// Reads the tables. Of points that are equal but in different files, the one of the
    /// first file comes first.
    pub fn new(files: &'a [Arc<MetricFile>]) -> Result<Self, StoreError> {
        let files: Vec<_> = files
            .iter()
            .map(|file| Ok((&**file, file.table()?)))
            .collect::<Result<_, StoreError>>()?;
        let mut ranks: Vec<Vec<u32>> =
            files.iter().map(|(_, table)| Vec::with_capacity(table.len())).collect();
        let mut heads = BinaryHeap::new();
        let encoded = |file: usize, at: usize| {
            let table = &files[file].1;
            (at < table.len()).then(|| table.encoded(&table.entry(at)?)).transpose()
        };
        for file in 0..files.len() {
            heads.extend(encoded(file, 0)?.map(|series| Reverse((series, file))));
        }
        let mut last = None;
        let mut rank = 0;
        while let Some(Reverse((series, file))) = heads.pop() {
            if last.as_ref().is_some_and(|last| *last != series) {
                rank += 1;
            }
            last = Some(series);
            ranks[file].push(rank);
            let next = encoded(file, ranks[file].len())?;
            heads.extend(next.map(|series| Reverse((series, file))));
        }
        Ok(Self { files, ranks })
    }

    /// All points, in the order of a file.
    pub fn points(
        &self,
    ) -> Result<impl Iterator<Item = Result<PointRecord, StoreError>> + '_, StoreError> {
        let inputs = self.files.iter().zip(&self.ranks).map(|((file, table), ranks)| {
            let points = file.in_order(table)?;
            Ok(points.map(move |point| {
                let (number, point) = point?;
                let rank = ranks.get(number as usize).copied().unwrap_or(u32::MAX);
                Ok(Head { rank, time: point.point.time, point })
            }))
        });
        let mut inputs = inputs.collect::<Result<Vec<_>, StoreError>>()?;
        let mut heads = BinaryHeap::new();
        let mut failed = None;
        for (number, input) in inputs.iter_mut().enumerate() {
            match input.next() {
                Some(Ok(head)) => heads.push(Reverse(Input { head, number })),
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
        }
        let mut series: Option<(u32, Arc<Series>)> = None;
        Ok(std::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                heads.clear();
                return Some(Err(error));
            }
            let Reverse(Input { head: Head { rank, mut point, .. }, number }) = heads.pop()?;
            match inputs[number].next() {
                Some(Ok(head)) => heads.push(Reverse(Input { head, number })),
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
            // Equal series of different files become one, which the writer need not compare.
            match &series {
                Some((last, series)) if *last == rank => point.series = Arc::clone(series),
                _ => series = Some((rank, Arc::clone(&point.series))),
            }
            Some(Ok(point))
        }))
    }
}

/// The next point of a file.
struct Head {
    rank: u32,
    time: UnixNanos,
    point: PointRecord,
}

struct Input {
    head: Head,
    number: usize,
}

impl Input {
    fn key(&self) -> (u32, UnixNanos, usize) {
        (self.head.rank, self.head.time, self.number)
    }
}

impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Input {}

impl PartialOrd for Input {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Input {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
