//! All points, newest first, of a file that has them by series.

use super::{MetricFile, RowGroup};
use crate::budget::Budget;
use crate::files::corrupt;
use crate::metrics::read::{PointColumns, SeriesOfRows};
use crate::metrics::schema::{POINT_COLUMNS, TIME, TIME_COLUMN};
use crate::metrics::table::SeriesTable;
use crate::signal_file::Columns;
use arrow_array::TimestampNanosecondArray;
use carafe_store::{PointRecord, StoreError, TimeRange};
use carafe_telemetry::UnixNanos;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::cmp::Reverse;
use std::mem::size_of;
use std::ops::Range;

/// How many points one pass over the times of the file chooses.
pub(super) const PASS_POINTS: usize = 131_072;

/// The order of the scan: newest first, of equal times as in the file.
type Place = (Reverse<UnixNanos>, u64);

/// Chooses the next newest points from the times alone, then reads these.
pub(super) struct NewestFirst<'a> {
    file: &'a MetricFile,
    budget: &'a Budget,
    range: TimeRange,
    /// The table and the footer, from the first pass on.
    open: Option<(SeriesTable, ArrowReaderMetadata)>,
    /// The last place of the passes so far.
    after: Option<Place>,
    chosen: std::vec::IntoIter<PointRecord>,
    is_done: bool,
    pass_points: usize,
}

impl<'a> NewestFirst<'a> {
    pub(super) fn new(file: &'a MetricFile, range: TimeRange, budget: &'a Budget) -> Self {
        Self {
            file,
            budget,
            range,
            open: None,
            after: None,
            chosen: Vec::new().into_iter(),
            is_done: false,
            pass_points: PASS_POINTS,
        }
    }

    #[cfg(test)]
    pub(super) fn with_pass_points(self, pass_points: usize) -> Self {
        Self { pass_points, ..self }
    }

    fn pass(&mut self) -> Result<(), StoreError> {
        if self.open.is_none() {
            self.budget.bytes((self.pass_points * 2 * size_of::<PointRecord>()) as u64)?;
            self.open = Some((self.file.table()?, self.file.footers.get(&self.file.data)?));
        }
        let Some((table, footer)) = &self.open else { return Ok(()) };
        let end = self.after.map_or(self.range.end, |(Reverse(time), _)| time);
        let range = TimeRange { end: self.range.end.min(end), ..self.range };
        let groups = self.file.row_groups(footer, range);
        let mut places = Vec::new();
        for group in &groups {
            self.choose(footer, group, &mut places)?;
        }
        self.is_done = places.len() < self.pass_points;
        self.after = places.iter().max().copied();
        let mut points = read(self.file, table, footer, &groups, &mut places)?;
        points.sort_unstable_by_key(|(place, _)| *place);
        let points: Vec<PointRecord> = points.into_iter().map(|(_, point)| point).collect();
        self.chosen = points.into_iter();
        Ok(())
    }

    /// Adds the places of the row group that are in the range and among the first after
    /// those of the passes so far.
    fn choose(
        &self,
        footer: &ArrowReaderMetadata,
        group: &RowGroup,
        places: &mut Vec<Place>,
    ) -> Result<(), StoreError> {
        let mut row = group.rows.start;
        for batch in self.file.read(footer, group, TIME_COLUMN..TIME_COLUMN + 1, None)? {
            let batch = batch?;
            self.budget.rows(batch.num_rows() as u64)?;
            let times: &TimestampNanosecondArray =
                Columns::new(self.file.name(), &batch).get(TIME)?;
            for time in times.values() {
                let time = UnixNanos(time.cast_unsigned());
                let place = (Reverse(time), row);
                if self.range.contains(time) && self.after.is_none_or(|after| after < place) {
                    places.push(place);
                }
                row += 1;
            }
            if places.len() >= 2 * self.pass_points {
                places.select_nth_unstable(self.pass_points - 1);
                places.truncate(self.pass_points);
            }
        }
        if places.len() > self.pass_points {
            places.select_nth_unstable(self.pass_points - 1);
            places.truncate(self.pass_points);
        }
        Ok(())
    }
}

/// Reads the points at `places`, which are sorted by row on the way.
fn read(
    file: &MetricFile,
    table: &SeriesTable,
    footer: &ArrowReaderMetadata,
    groups: &[RowGroup],
    places: &mut [Place],
) -> Result<Vec<(Place, PointRecord)>, StoreError> {
    places.sort_unstable_by_key(|(_, row)| *row);
    let mut series = SeriesOfRows::new(table);
    let mut points = Vec::with_capacity(places.len());
    for group in groups {
        let from = places.partition_point(|(_, row)| *row < group.rows.start);
        let to = places.partition_point(|(_, row)| *row < group.rows.end);
        let mut wanted = places[from..to].iter();
        let rows: Vec<Range<u64>> = wanted.clone().map(|(_, row)| *row..row + 1).collect();
        if rows.is_empty() {
            continue;
        }
        for batch in file.read(footer, group, POINT_COLUMNS, Some(&rows))? {
            let batch = batch?;
            let columns = PointColumns::new(file.name(), &batch)?;
            for (row, place) in (0..columns.rows()).zip(&mut wanted) {
                points.push((*place, series.record(&columns, row)?));
            }
        }
    }
    match points.len() == places.len() {
        true => Ok(points),
        false => Err(corrupt(file.name(), "it has fewer rows than its footer says")),
    }
}

impl Iterator for NewestFirst<'_> {
    type Item = Result<PointRecord, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(point) = self.chosen.next() {
                return Some(Ok(point));
            }
            if self.is_done {
                return None;
            }
            if let Err(error) = self.pass() {
                self.is_done = true;
                return Some(Err(error));
            }
        }
    }
}
