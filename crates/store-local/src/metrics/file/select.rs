//! The points of the series that match: only their rows are read.

use super::MetricFile;
use crate::budget::Budget;
use crate::metrics::read::PointColumns;
use crate::metrics::schema::POINT_COLUMNS;
use crate::metrics::table::SeriesDecoder;
use carafe_store::{MetricQuery, SeriesPoints, StoreError, point_bytes, series_bytes};
use std::ops::Range;

pub(super) fn select(
    file: &MetricFile,
    query: &MetricQuery,
    budget: &Budget,
) -> Result<Vec<SeriesPoints>, StoreError> {
    let table = file.table()?;
    let matching = table.matching(query)?;
    if matching.is_empty() {
        return Ok(Vec::new());
    }
    let mut decoder = SeriesDecoder::new(&table);
    let mut found = Vec::with_capacity(matching.len());
    for (_, entry) in &matching {
        let series = decoder.series(entry)?;
        budget.bytes(series_bytes(&series) as u64)?;
        found.push(SeriesPoints { series, points: Vec::new() });
    }
    let rows: Vec<Range<u64>> = matching.iter().map(|(_, entry)| entry.rows()).collect();
    let footer = file.footers.get(&file.data)?;
    for group in file.row_groups(&footer, query.range) {
        let from = rows.partition_point(|rows| rows.end <= group.rows.start);
        let to = rows.partition_point(|rows| rows.start < group.rows.end);
        if from >= to {
            continue;
        }
        // The series of the row before, as a place in `matching`: rows come in its order.
        let mut current = from;
        for batch in file.read(&footer, &group, POINT_COLUMNS, Some(&rows[from..to]))? {
            let batch = batch?;
            let columns = PointColumns::new(file.name(), &batch)?;
            budget.rows(columns.rows() as u64)?;
            for row in 0..columns.rows() {
                if !query.range.contains(columns.time(row)) {
                    continue;
                }
                while matching.get(current).is_some_and(|(at, _)| *at < columns.series(row)) {
                    current += 1;
                }
                let Some(found) = found.get_mut(current) else { break };
                let point = columns.point(row, &found.series)?;
                budget.bytes(point_bytes(&point) as u64)?;
                found.points.push(point);
            }
        }
    }
    found.retain(|series| !series.points.is_empty());
    Ok(found)
}
