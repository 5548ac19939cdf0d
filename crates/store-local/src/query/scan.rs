//! Pages of everything, newest first. A page ends between two moments, so its cursor is a
//! time, whatever becomes of the sources.

use super::merge::{Hits, Merge, Timed, Unopened, record};
use crate::budget::Budget;
use crate::source::{LogSource, MetricSource, SpanSource, Want};
use carafe_store::{
    Cursor, LogQuery, ScanPage, ScanQuery, SpanFilter, StoreError, TimeRange, export,
};
use carafe_telemetry::{Request, UnixNanos};
use prost::Message;
use std::sync::Arc;

/// Tags of cursors, after those of searches and of other stores.
const SPANS: u8 = 32;
const LOGS: u8 = 33;
const POINTS: u8 = 34;

/// What a point takes besides its series.
const POINT_BYTES: u64 = 256;

/// A page of spans, each once.
pub fn scan_spans(
    sources: &[Arc<dyn SpanSource>],
    query: &ScanQuery,
    budget: &Budget,
) -> Result<ScanPage, StoreError> {
    let Some(range) = rest(query, SPANS)? else { return Ok(empty()) };
    let filter = SpanFilter { range, ..SpanFilter::default() };
    let hits = Hits::new(sources, &filter, Want::Records, budget);
    let (hits, next) = page(hits, query.limit, SPANS, |hit| {
        let bytes = hit.record.as_ref().map_or(0, |span| span.span.encoded_len() as u64);
        budget.bytes(bytes)
    })?;
    let spans = hits.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(&export::traces_request(&spans), next))
}

/// A page of log records.
pub fn scan_logs(
    sources: &[Arc<dyn LogSource>],
    query: &ScanQuery,
    budget: &Budget,
) -> Result<ScanPage, StoreError> {
    let Some(range) = rest(query, LOGS)? else { return Ok(empty()) };
    let all = &LogQuery { range, ..LogQuery::all(usize::MAX) };
    let unopened = sources.iter().map(|source| Unopened {
        extent: source.extent(),
        open: Box::new(move || source.scan(all, budget)),
    });
    let logs = Merge::new(unopened, range);
    let (logs, next) =
        page(logs, query.limit, LOGS, |log| budget.bytes(log.log.encoded_len() as u64))?;
    Ok(answer(&export::logs_request(&logs), next))
}

/// A page of data points.
pub fn scan_points(
    sources: &[Arc<dyn MetricSource>],
    query: &ScanQuery,
    budget: &Budget,
) -> Result<ScanPage, StoreError> {
    let Some(range) = rest(query, POINTS)? else { return Ok(empty()) };
    let unopened = sources.iter().map(|source| Unopened {
        extent: source.extent(),
        open: Box::new(move || source.scan(range, budget)),
    });
    let points = Merge::new(unopened, range);
    let (points, next) = page(points, query.limit, POINTS, |_| budget.bytes(POINT_BYTES))?;
    Ok(answer(&export::metrics_request(&points), next))
}

fn empty() -> ScanPage {
    ScanPage { batch: None, next: None }
}

fn answer(request: &Request, next: Option<Cursor>) -> ScanPage {
    ScanPage { batch: (request.items() > 0).then(|| request.encode()), next }
}

/// What is left of the range after the page before; none where nothing is.
fn rest(query: &ScanQuery, tag: u8) -> Result<Option<TimeRange>, StoreError> {
    let Some(cursor) = &query.after else { return Ok(Some(query.range)) };
    let earliest = u64::from_be_bytes(*cursor.place::<8>(tag)?);
    let end = earliest.checked_sub(1).map(|end| query.range.end.min(UnixNanos(end)));
    let range = end.map(|end| TimeRange { end, ..query.range });
    Ok(range.filter(|range| range.start <= range.end))
}

/// About `limit` items, all of the last one's moment among them, and where the next page
/// starts.
fn page<T: Timed>(
    items: impl Iterator<Item = Result<T, StoreError>>,
    limit: usize,
    tag: u8,
    mut book: impl FnMut(&T) -> Result<(), StoreError>,
) -> Result<(Vec<T>, Option<Cursor>), StoreError> {
    let mut taken = Vec::<T>::new();
    for item in items {
        let item = item?;
        if taken.len() >= limit
            && let Some(last) = taken.last().map(T::time)
            && item.time() < last
        {
            return Ok((taken, Some(Cursor::new(tag, &last.0.to_be_bytes()))));
        }
        book(&item)?;
        taken.push(item);
    }
    Ok((taken, None))
}
