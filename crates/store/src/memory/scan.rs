//! Pages of everything.

use super::State;
use crate::cursor::Cursor;
use crate::error::StoreError;
use crate::export;
use crate::query::{ScanPage, ScanQuery};
use carafe_telemetry::{Signal, TraceId, UnixNanos};

/// Tags of cursors.
const SPANS: u8 = 16;
const LOGS: u8 = 17;
const POINTS: u8 = 18;

/// Answers one page: traces by start and records by time, oldest first, points in the order
/// in which they came.
pub(super) fn scan(state: &State, query: &ScanQuery) -> Result<ScanPage, StoreError> {
    let limit = query.limit.max(1);
    let after = query.after.as_ref();
    let (request, next) = match query.signal {
        Signal::Traces => {
            let after = after.map(|cursor| cursor.place::<24>(SPANS)).transpose()?;
            let mut spans = Vec::new();
            let next = state.traces.oldest_first(after.map(trace_key)).find_map(|(key, trace)| {
                spans.extend(trace.spans.iter().filter(|s| query.range.contains(s.start)).cloned());
                let place = || [&key.0.0.to_be_bytes()[..], &key.1.0].concat();
                (spans.len() >= limit).then(|| Cursor::new(SPANS, &place()))
            });
            (export::traces_request(&spans), next)
        }
        Signal::Logs => {
            let after = after.map(|cursor| cursor.place::<16>(LOGS)).transpose()?;
            let mut logs = Vec::new();
            let next = state.logs.oldest_first(after.map(log_key)).find_map(|(key, log)| {
                logs.extend(query.range.contains(log.time).then(|| log.clone()));
                let place = || [key.0.0.to_be_bytes(), key.1.to_be_bytes()].concat();
                (logs.len() >= limit).then(|| Cursor::new(LOGS, &place()))
            });
            (export::logs_request(&logs), next)
        }
        Signal::Metrics => {
            let from = after.map(|cursor| cursor.place::<8>(POINTS)).transpose()?;
            let from = from.map_or(0, |bytes| u64::from_be_bytes(*bytes));
            let mut points = Vec::new();
            let next = state.metrics.oldest_first(from).find_map(|(number, point)| {
                points.extend(query.range.contains(point.point.time).then_some(point));
                let place = || number.saturating_add(1).to_be_bytes();
                (points.len() >= limit).then(|| Cursor::new(POINTS, &place()))
            });
            (export::metrics_request(&points), next)
        }
    };
    let batch = (request.items() > 0).then(|| request.encode());
    Ok(ScanPage { batch, next })
}

fn trace_key(place: &[u8; 24]) -> (UnixNanos, TraceId) {
    let mut id = [0; 16];
    id.copy_from_slice(&place[8..]);
    (UnixNanos(number(place)), TraceId(id))
}

fn log_key(place: &[u8; 16]) -> (UnixNanos, u64) {
    (UnixNanos(number(place)), number(&place[8..]))
}

/// The first eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
