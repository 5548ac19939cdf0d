//! Writing a table of series.

use super::VERSION;
use crate::metrics::series::EncodedSeries;
use carafe_store::TimeRange;
use hashbrown::HashMap;
use std::sync::Arc;

/// Byte strings, each once.
#[derive(Debug, Default)]
struct StringsBuilder {
    numbers: HashMap<Vec<u8>, u32>,
    ends: Vec<u8>,
    bytes: Vec<u8>,
}

impl StringsBuilder {
    /// The place of the string of `parts`; the texts have their lengths before them.
    fn add(&mut self, texts: &[&Arc<str>], message: &[u8]) -> u32 {
        let mut string = Vec::new();
        for text in texts {
            string.extend((text.len() as u32).to_le_bytes());
            string.extend(text.as_bytes());
        }
        string.extend(message);
        let next = self.numbers.len() as u32;
        *self.numbers.entry(string).or_insert_with_key(|string| {
            self.bytes.extend(string);
            self.ends.extend((self.bytes.len() as u32).to_le_bytes());
            next
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.numbers.len() as u32).to_le_bytes());
        out.extend(&self.ends);
        out.extend(&self.bytes);
    }
}

/// Writes the table of one file. The series come in order, as their points do.
#[derive(Debug, Default)]
pub(crate) struct TableBuilder {
    resources: StringsBuilder,
    scopes: StringsBuilder,
    metrics: StringsBuilder,
    attributes: StringsBuilder,
    entries: Vec<u8>,
    count: u32,
    rows: u64,
}

impl TableBuilder {
    /// Adds a series with `rows` points in `times`.
    pub(crate) fn add(&mut self, series: &EncodedSeries, rows: u64, times: TimeRange) {
        let places = [
            self.metrics.add(&[&series.name], &series.metric),
            self.resources.add(&[&series.service, &series.resource_schema_url], &series.resource),
            self.scopes.add(&[&series.scope_schema_url], &series.scope),
            self.attributes.add(&[], &series.attributes),
        ];
        self.entries.extend(places.iter().flat_map(|place| place.to_le_bytes()));
        let numbers = [self.rows, rows, times.start.0, times.end.0];
        self.entries.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.count += 1;
        self.rows += rows;
    }

    /// About how long the section will be.
    pub(crate) fn bytes(&self) -> usize {
        let tables = [&self.resources, &self.scopes, &self.metrics, &self.attributes];
        self.entries.len()
            + tables.map(|table| table.ends.len() + table.bytes.len()).iter().sum::<usize>()
    }

    /// The section.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes() + 24);
        out.extend(VERSION.to_le_bytes());
        for table in [&self.resources, &self.scopes, &self.metrics, &self.attributes] {
            table.encode(&mut out);
        }
        out.extend(self.count.to_le_bytes());
        out.extend(&self.entries);
        out
    }
}
