//! What the side file of a file of spans has to have, collected while rows are written.

mod attributes;

use super::columns::{ColumnError, Columns, Dictionary, HitColumns, PromotedColumn};
use super::schema::{self, column};
use super::sums::SumsBuilder;
use super::tags;
use crate::index::bloom_table::BloomTableBuilder;
use crate::index::hash::{TagKey, hash_trace};
use crate::index::side_file::Section;
use crate::rollup::keys::ValueType;
use arrow_array::{Array, BinaryArray, RecordBatch, StringArray};
use attributes::{Attributes, Place, value_type};
use carafe_store::value;
use carafe_telemetry::otlp;
use carafe_telemetry::view::SpanView;
use hashbrown::HashSet;
use prost::Message;
use std::fmt::Write;

/// Bits of the filter of trace ids for each trace of a row group.
const TRACE_BITS: u32 = 16;

/// Bits of the filter of tags for each different tag of a row group.
const TAG_BITS: u32 = 12;

/// Collects what the row groups and the file have.
pub(super) struct SideBuilder {
    traces: BloomTableBuilder,
    tags: BloomTableBuilder,
    attributes: Attributes,
    /// Hashes of the traces of this row group.
    group_traces: HashSet<u64>,
    /// How many the row groups before have.
    trace_count: u64,
    sums: SumsBuilder,
    text: String,
}

impl SideBuilder {
    pub(super) fn new() -> Self {
        Self {
            traces: BloomTableBuilder::new(TRACE_BITS),
            tags: BloomTableBuilder::new(TAG_BITS),
            attributes: Attributes::new(),
            group_traces: HashSet::new(),
            trace_count: 0,
            sums: SumsBuilder::default(),
            text: String::new(),
        }
    }

    /// Adds rows to the row group that is being written.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), ColumnError> {
        let columns = Columns::all(batch);
        let hits = HitColumns::of(&columns)?;
        let mut last = None;
        for row in 0..columns.rows() {
            let id = hits.trace_id(row);
            let hash = hash_trace(id);
            if last.replace(id) != Some(id) && self.group_traces.insert(hash) {
                self.traces.insert(hash);
            }
        }
        self.sums.add(&columns, &hits)?;
        self.add_fields(&columns, &hits)?;
        self.attributes.begin(hits.service);
        self.add_promoted(&columns)?;
        self.add_raw(columns.bytes(column::ATTRIBUTES_REST)?, Place::Raw);
        self.add_raw(columns.bytes(column::EVENTS)?, Place::Event);
        self.add_resources(columns.dictionary_of_bytes(column::RESOURCE)?);
        self.add_scopes(columns.dictionary_of_bytes(column::SCOPE)?);
        self.attributes.end(&mut self.tags);
        Ok(())
    }

    /// Adds what is asked for like a tag: service, name, and the virtual tags.
    fn add_fields(
        &mut self,
        columns: &Columns<'_>,
        hits: &HitColumns<'_>,
    ) -> Result<(), ColumnError> {
        self.add_texts(tags::SERVICE, hits.service);
        self.add_texts(tags::NAME, hits.name);
        let (mut kinds, mut statuses) = (HashSet::new(), HashSet::new());
        for row in 0..columns.rows() {
            kinds.insert(hits.kind.value(row));
            statuses.insert(hits.status(row));
        }
        for kind in kinds {
            self.tags.insert(TagKey::new(tags::KIND).with(tags::kind_text(kind)));
        }
        for status in statuses {
            let (status, error) = tags::status_texts(status);
            self.tags.insert(TagKey::new(tags::STATUS).with(status));
            self.tags.insert(TagKey::new(tags::ERROR).with(error));
        }
        let description = TagKey::new(tags::STATUS_DESCRIPTION);
        let messages = columns.texts(column::STATUS_MESSAGE)?;
        for row in valid(messages) {
            self.tags.insert(description.with(messages.value(row)));
        }
        Ok(())
    }

    fn add_texts(&mut self, key: &str, column: Dictionary<'_, StringArray>) {
        let key = TagKey::new(key);
        let counts = counts(&column);
        let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        used.for_each(|(value, _)| self.tags.insert(key.with(column.values.value(value))));
    }

    fn add_promoted(&mut self, columns: &Columns<'_>) -> Result<(), ColumnError> {
        for (at, promoted) in schema::promoted().iter().enumerate() {
            let column = columns.promoted(promoted, at)?;
            if column.is_all_null() {
                continue;
            }
            let key = self.attributes.key(&promoted.key);
            let place = Place::Promoted;
            match column {
                PromotedColumn::Text(texts) => {
                    for row in valid(texts) {
                        self.attributes.add(row, key, place, ValueType::Text, texts.value(row));
                    }
                }
                PromotedColumn::Int(ints) => {
                    for row in valid(ints) {
                        let text = number(&mut self.text, ints.value(row));
                        self.attributes.add(row, key, place, ValueType::Int, text);
                    }
                }
                PromotedColumn::Double(doubles) => {
                    for row in valid(doubles) {
                        let text = number(&mut self.text, doubles.value(row));
                        self.attributes.add(row, key, place, ValueType::Double, text);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the attributes of spans or events that are kept as they came.
    fn add_raw(&mut self, messages: &BinaryArray, place: Place) {
        for row in valid(messages) {
            let Ok(span) = SpanView::reread(messages.value(row)) else { continue };
            let of_events = span.events().flat_map(|event| event.attributes());
            for attribute in span.attributes().chain(of_events) {
                let key = self.attributes.key(attribute.key);
                let kind = value_type(&attribute.value);
                self.attributes.add(row, key, place, kind, &attribute.value.text());
            }
        }
    }

    fn add_resources(&mut self, column: Dictionary<'_, BinaryArray>) {
        for (value, rows) in rows_of(&column) {
            let bytes = column.values.value(value);
            let resource = otlp::Resource::decode(bytes).unwrap_or_default();
            for attribute in &resource.attributes {
                let Some(value) = &attribute.value else { continue };
                let key = self.attributes.key(&attribute.key);
                self.attributes.add_shared(&rows, key, &value::text(value), true);
            }
        }
    }

    fn add_scopes(&mut self, column: Dictionary<'_, BinaryArray>) {
        for (value, rows) in rows_of(&column) {
            let bytes = column.values.value(value);
            let scope = otlp::InstrumentationScope::decode(bytes).unwrap_or_default();
            for attribute in &scope.attributes {
                let Some(value) = &attribute.value else { continue };
                let key = self.attributes.key(&attribute.key);
                self.attributes.add_shared(&rows, key, &value::text(value), false);
            }
            self.tags.insert(TagKey::new(tags::SCOPE_NAME).with(&scope.name));
            self.tags.insert(TagKey::new(tags::SCOPE_VERSION).with(&scope.version));
        }
    }

    /// The row group has all its rows.
    pub(super) fn end_group(&mut self) {
        self.traces.end_group();
        self.trace_count += self.group_traces.len() as u64;
        self.group_traces.clear();
        self.tags.end_group();
        self.attributes.end_group();
    }

    /// Different traces of the row groups that have all their rows.
    pub(super) fn traces(&self) -> u64 {
        self.trace_count
    }

    pub(super) fn finish(self) -> Vec<(Section, Vec<u8>)> {
        let indexes = [
            (Section::TraceBlooms, self.traces.finish()),
            (Section::TagBlooms, self.tags.finish()),
            (Section::Keys, self.attributes.finish().encode()),
        ];
        indexes.into_iter().chain(self.sums.finish()).collect()
    }
}

/// The rows that are not null.
fn valid(column: &dyn Array) -> impl Iterator<Item = usize> {
    let nulls = column.nulls();
    let some = nulls.map(|nulls| nulls.valid_indices());
    let all = if nulls.is_none() { 0..column.len() } else { 0..0 };
    some.into_iter().flatten().chain(all)
}

/// How many rows refer to each value of a dictionary.
fn counts<V: Array>(column: &Dictionary<'_, V>) -> Vec<u64> {
    let mut counts = vec![0; column.values.len()];
    let keys = (0..column.keys.len()).filter_map(|row| column.key(row));
    keys.for_each(|key| counts[key] += 1);
    counts
}

/// The values of a dictionary that rows refer to, and those rows.
fn rows_of<V: Array>(column: &Dictionary<'_, V>) -> Vec<(usize, Vec<usize>)> {
    let mut rows = vec![Vec::new(); column.values.len()];
    for row in 0..column.keys.len() {
        if let Some(key) = column.key(row) {
            rows[key].push(row);
        }
    }
    rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()).collect()
}

/// The text form of a number.
fn number(text: &mut String, number: impl std::fmt::Display) -> &str {
    text.clear();
    // Writing to a string does not fail.
    let _ = write!(text, "{number}");
    text
}
