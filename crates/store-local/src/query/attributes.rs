//! Attributes and their values, from the newest spans.

use super::merge::{Hits, record};
use crate::budget::Budget;
use crate::source::{SpanSource, Want};
use carafe_store::{
    AttributeKeys, AttributeQuery, AttributeValue, AttributeValues, SpanFilter, SpanRecord,
    StoreError,
};
use std::sync::Arc;

/// How many spans are looked at, the newest.
pub const ATTRIBUTE_SCAN_SPANS: usize = 50_000;

/// Names of attributes, in order.
pub fn attribute_keys(
    sources: &[Arc<dyn SpanSource>],
    query: &AttributeQuery,
    budget: &Budget,
) -> Result<Vec<String>, StoreError> {
    let mut keys = AttributeKeys::default();
    visit_newest(sources, query, budget, |span| keys.add(span))?;
    Ok(keys.finish(query.limit))
}

/// Values of one attribute, most frequent first.
pub fn attribute_values(
    sources: &[Arc<dyn SpanSource>],
    key: &str,
    query: &AttributeQuery,
    budget: &Budget,
) -> Result<Vec<AttributeValue>, StoreError> {
    let mut values = AttributeValues::new(key);
    visit_newest(sources, query, budget, |span| values.add(span))?;
    Ok(values.finish(query.limit))
}

fn visit_newest(
    sources: &[Arc<dyn SpanSource>],
    query: &AttributeQuery,
    budget: &Budget,
    mut visit: impl FnMut(&SpanRecord),
) -> Result<(), StoreError> {
    let filter = SpanFilter { service: query.service.clone(), ..SpanFilter::default() };
    for hit in Hits::new(sources, &filter, Want::Records, budget).take(ATTRIBUTE_SCAN_SPANS) {
        visit(&record(hit?)?);
    }
    Ok(())
}
