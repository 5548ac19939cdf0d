//! Searches for spans.

use super::errors::FailedTraces;
use super::merge::{Hits, record};
use crate::budget::Budget;
use crate::source::{SpanSource, Want};
use carafe_store::{NewestSpans, SpanPage, StoreError, TraceQuery};
use prost::Message;
use std::sync::Arc;

/// Spans that match, newest first.
pub fn find_spans(
    sources: &[Arc<dyn SpanSource>],
    query: &TraceQuery,
    budget: &Budget,
) -> Result<SpanPage, StoreError> {
    let mut newest = NewestSpans::new(query)?;
    let filter = query.filter.until(newest.latest());
    let mut failed = FailedTraces::new(sources, &filter, budget);
    let mut hits = Hits::new(sources, &filter, Want::Records, budget);
    loop {
        let mut chunk = Vec::new();
        while chunk.len() < failed.chunk() {
            match hits.next().transpose()? {
                Some(hit) if newest.wants(hit.start) => chunk.push(hit),
                _ => break,
            }
        }
        let is_last = chunk.len() < failed.chunk();
        failed.retain(&mut chunk)?;
        for hit in chunk {
            let span = record(hit)?;
            budget.bytes(span.span.encoded_len() as u64)?;
            newest.push(&span);
        }
        if is_last {
            return Ok(newest.finish());
        }
    }
}
