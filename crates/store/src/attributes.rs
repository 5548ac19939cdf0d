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
        keys.for_each(|key| self.insert(key));
        self.insert_virtual_tags();
    }

    /// Takes note of a name.
    pub fn insert(&mut self, key: &str) {
        if self.0.len() < MAX_DISTINCT && !self.0.contains(key) {
            self.0.insert(key.to_owned());
        }
    }

    /// Takes note of what every span has.
    pub fn insert_virtual_tags(&mut self) {
        tags::VIRTUAL_TAGS.iter().for_each(|key| self.insert(key));
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
        if let Some(value) = tags::values(span, &self.keys) {
            self.count(&value, 1);
        }
    }

    /// So many spans more have a value.
    pub fn count(&mut self, value: &str, spans: u64) {
        if let Some(count) = self.counts.get_mut(value) {
            *count = count.saturating_add(spans);
        } else if self.counts.len() < MAX_DISTINCT {
            self.counts.insert(value.to_owned(), spans);
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
