//! Selections of metric series.

use crate::budget::Budget;
use crate::source::MetricSource;
use carafe_store::{
    MetricPage, MetricQuery, SeriesPoints, StoreError, TimeRange, series_key, series_order,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Series that match, with their points in order of time.
pub fn select_metrics(
    sources: &[Arc<dyn MetricSource>],
    query: &MetricQuery,
    budget: &Budget,
) -> Result<MetricPage, StoreError> {
    let mut merged = HashMap::<Vec<u8>, SeriesPoints>::new();
    let TimeRange { start, end } = query.range;
    let overlaps = |extent: TimeRange| extent.start <= end && start <= extent.end;
    for source in sources.iter().filter(|source| overlaps(source.extent())) {
        for series in source.select(query, budget)? {
            match merged.entry(series_key(&series.series)) {
                Entry::Occupied(mut known) => known.get_mut().points.extend(series.points),
                Entry::Vacant(place) => {
                    budget.bytes(place.key().len() as u64)?;
                    place.insert(series);
                }
            }
        }
    }
    let mut series: Vec<SeriesPoints> = merged.into_values().collect();
    series.sort_by_cached_key(|series| series_order(&series.series));
    let truncated = series.len() > query.limit;
    series.truncate(query.limit);
    for one in &mut series {
        one.points.sort_by_key(|point| point.time);
    }
    Ok(MetricPage { series, truncated })
}
