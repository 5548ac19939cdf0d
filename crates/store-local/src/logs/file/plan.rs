//! Which pages of a file a search has to look at.

use super::LogFile;
use crate::index::bloom_table::BloomTable;
use crate::index::group_set::GroupSet;
use crate::index::hash::hash_trace;
use crate::index::side_file::Section;
use crate::logs::schema::{SEVERITY_NUMBER, TIME_COLUMN, schema};
use crate::logs::tags::Need;
use crate::logs::text::TextSearch;
use crate::signal_file::{PAGE_ROWS, row_group_times};
use carafe_store::{LogQuery, StoreError};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use std::ops::Range;
use std::sync::Arc;

/// A page's rows, within one row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) row_group: usize,
    pub(super) rows: Range<usize>,
    /// Whether all of the row group is in the range of the query.
    pub(super) is_in_range: bool,
}

/// The pages that may have matches, newest first.
pub(super) fn pages(
    file: &LogFile,
    metadata: &ParquetMetaData,
    query: &LogQuery,
    need: &Need<'_>,
    text: Option<&TextSearch>,
) -> Result<Vec<Page>, StoreError> {
    let mut groups = GroupSet::all(metadata.num_row_groups());
    for group in 0..metadata.num_row_groups() {
        let times = row_group_times(metadata, group, TIME_COLUMN);
        let overlaps = times.start <= query.range.end && query.range.start <= times.end;
        if !overlaps || max_severity(metadata, group).is_some_and(|max| !query.takes_severity(max))
        {
            groups.remove(group);
        }
    }
    let keys = query.trace_id.map(hash_trace).into_iter().collect();
    narrow(file, Section::TraceBlooms, keys, &mut groups)?;
    if !groups.is_empty()
        && let Some(table) = BloomTable::open(Arc::clone(&file.side), Section::TagBlooms)?
    {
        let count = groups.len();
        groups.intersect(&need.groups(count, &|hash| table.row_groups_with(hash, count))?);
    }

    let mut pages = Vec::new();
    let mut numbers = Vec::new();
    let mut number = 0;
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        let times = row_group_times(metadata, group, TIME_COLUMN);
        let is_in_range = query.range.start <= times.start && times.end <= query.range.end;
        for from in (0..rows).step_by(PAGE_ROWS) {
            if groups.contains(group) {
                let rows = from..rows.min(from + PAGE_ROWS);
                pages.push(Page { row_group: group, rows, is_in_range });
                numbers.push(number);
            }
            number += 1;
        }
    }
    let mut with_text = GroupSet::none(number);
    numbers.iter().for_each(|number| with_text.insert(*number));
    let keys = text.map(TextSearch::keys).unwrap_or_default();
    narrow(file, Section::Tokens, keys, &mut with_text)?;
    let mut numbers = numbers.into_iter();
    pages.retain(|_| numbers.next().is_some_and(|number| with_text.contains(number)));
    Ok(pages)
}

/// Takes out of `groups` those that certainly lack one of `keys`.
fn narrow(
    file: &LogFile,
    section: Section,
    keys: Vec<u64>,
    groups: &mut GroupSet,
) -> Result<(), StoreError> {
    if keys.is_empty() || groups.is_empty() {
        return Ok(());
    }
    let Some(table) = BloomTable::open(Arc::clone(&file.side), section)? else { return Ok(()) };
    if table.groups() != groups.len() {
        let what = format!("is about {} groups of rows, not {}", table.groups(), groups.len());
        return Err(file.side.corrupt(section, &what));
    }
    for key in keys {
        table.narrow(groups, key)?;
        if groups.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The greatest severity in a row group, where its statistics say it.
fn max_severity(metadata: &ParquetMetaData, group: usize) -> Option<i32> {
    let (column, _) =
        schema().column_with_name(SEVERITY_NUMBER).map(|(at, field)| (at, field.is_nullable()))?;
    match metadata.row_groups().get(group)?.columns().get(column)?.statistics()? {
        Statistics::Int32(severities) => severities.max_opt().copied(),
        _ => None,
    }
}
