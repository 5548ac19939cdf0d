//! Searches for log records.

use super::merge::{Merge, Unopened};
use crate::budget::Budget;
use crate::source::LogSource;
use carafe_store::{LogPage, LogQuery, NewestLogs, StoreError, TimeRange};
use prost::Message;
use std::sync::Arc;

/// Log records that match, newest first.
pub fn find_logs(
    sources: &[Arc<dyn LogSource>],
    query: &LogQuery,
    budget: &Budget,
) -> Result<LogPage, StoreError> {
    let mut newest = NewestLogs::new(query)?;
    let range = TimeRange { end: query.range.end.min(newest.latest()), ..query.range };
    let query = &LogQuery { range, ..query.clone() };
    let unopened = sources.iter().map(|source| Unopened {
        extent: source.extent(),
        open: Box::new(move || source.scan(query, budget)),
    });
    for log in Merge::new(unopened, range) {
        let log = log?;
        if !newest.wants(log.time) {
            break;
        }
        budget.bytes(log.log.encoded_len() as u64)?;
        newest.push(&log);
    }
    Ok(newest.finish())
}
