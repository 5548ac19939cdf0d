//! Which attributes there are, and which values they have.

use crate::query::AttributeValue;
use crate::record::SpanRecord;
use crate::tags;
use std::collections::{BTreeSet, HashMap};

/// Distinct keys or values that are counted; more are left out.
const MAX_DISTINCT: usize = 10_000;

/// The names of attributes of some spans.
#[derive(Debug, Default)]
pub struct AttributeKeys(BTreeSet<String>);

impl AttributeKeys {
    /// Takes note of what one span and its resource have.
    pub fn add(&mut self, span: &SpanRecord) {
        let attributes = [&span.span.attributes, &span.resource.resource.attributes];
        let keys = attributes.into_iter().flatten().map(|kv| kv.key.as_str());
        for key in keys.chain(tags::VIRTUAL_TAGS.iter().copied()) {
            if self.0.len() < MAX_DISTINCT && !self.0.contains(key) {
                self.0.insert(key.to_owned());
            }
        }
    }

    /// Up to `limit` names, in order.
    pub fn finish(self, limit: usize) -> Vec<String> {
        self.0.into_iter().take(limit).collect()
    }
}

/// The values of one attribute, and in how many of some spans they are.
#[derive(Debug)]
pub struct AttributeValues<'a> {
    keys: Vec<&'a str>,
    counts: HashMap<String, u64>,
}

impl<'a> AttributeValues<'a> {
    /// Counts values of `key` and its aliases.
    pub fn new(key: &'a str) -> Self {
        Self { keys: tags::aliases(key).collect(), counts: HashMap::new() }
    }

    /// Counts what one span has.
    pub fn add(&mut self, span: &SpanRecord) {
        let Some(value) = tags::values(span, &self.keys) else { return };
        if let Some(count) = self.counts.get_mut(&*value) {
            *count += 1;
        } else if self.counts.len() < MAX_DISTINCT {
            self.counts.insert(value.into_owned(), 1);
        }
    }

    /// Up to `limit` values, most frequent first.
    pub fn finish(self, limit: usize) -> Vec<AttributeValue> {
        let values = self.counts.into_iter().map(|(text, spans)| AttributeValue { text, spans });
        let mut values: Vec<_> = values.collect();
        values.sort_by(|a, b| b.spans.cmp(&a.spans).then_with(|| a.text.cmp(&b.text)));
        values.truncate(limit);
        values
    }
}
