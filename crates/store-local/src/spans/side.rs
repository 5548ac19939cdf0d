//! What the side file of a file of spans has to have, collected while rows are written.

use super::columns::{ColumnError, Columns, Dictionary, HitColumns, PromotedColumn};
use super::schema::{self, Promoted, column};
use super::sums::SumsBuilder;
use super::tags;
use crate::index::bloom_table::BloomTableBuilder;
use crate::index::hash::{TagKey, hash_trace};
use crate::index::side_file::Section;
use arrow_array::{Array, BinaryArray, RecordBatch, StringArray};
use carafe_store::canonical;
use carafe_telemetry::otlp::{self, KeyValue};
use carafe_telemetry::view::SpanView;
use hashbrown::{HashMap, HashSet};
use prost::Message;
use std::fmt::Write;
use twox_hash::XxHash3_64;

/// Bits of the filter of trace ids for each trace of a row group.
const TRACE_BITS: u32 = 16;

/// Bits of the filter of tags for each different tag of a row group.
const TAG_BITS: u32 = 12;

/// Keys and numbers whose hashes are remembered; more are hashed anew.
const MAX_KNOWN: usize = 4_096;

/// A key, and where the row group is known to have it.
#[derive(Clone, Copy)]
struct KnownKey {
    tag: TagKey,
    is_raw: bool,
    is_shared: bool,
}

/// Where an attribute is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the attributes of spans and events that are kept as they came.
    Raw,
    /// In a resource or a scope.
    Shared,
}

/// Collects what the row groups have.
pub(super) struct SideBuilder {
    traces: BloomTableBuilder,
    tags: BloomTableBuilder,
    keys: HashMap<String, KnownKey>,
    promoted: Vec<(Promoted, TagKey)>,
    /// Hashes of the resources and scopes of this row group.
    seen: HashSet<u64>,
    /// By the place of the promoted attribute and the value.
    numbers: HashMap<(usize, i64), u64>,
    text: String,
    sums: SumsBuilder,
}

impl SideBuilder {
    pub(super) fn new() -> Self {
        let promoted = schema::PROMOTED.iter().map(|(key, kind)| {
            let promoted = Promoted { key: (*key).to_owned(), kind: *kind };
            (promoted, TagKey::new(key))
        });
        Self {
            traces: BloomTableBuilder::new(TRACE_BITS),
            tags: BloomTableBuilder::new(TAG_BITS),
            keys: HashMap::new(),
            promoted: promoted.collect(),
            seen: HashSet::new(),
            numbers: HashMap::new(),
            text: String::new(),
            sums: SumsBuilder::default(),
        }
    }

    /// Adds rows to the row group that is being written.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), ColumnError> {
        let columns = Columns::all(batch);
        let hits = HitColumns::of(&columns)?;
        for row in 0..columns.rows() {
            self.traces.insert(hash_trace(hits.trace_id(row)));
        }
        self.sums.add(&columns, &hits)?;
        self.add_fields(&columns, &hits)?;
        self.add_promoted(&columns)?;
        self.add_raw(columns.bytes(column::ATTRIBUTES_REST)?);
        self.add_raw(columns.bytes(column::EVENTS)?);
        let resources = columns.dictionary_of_bytes(column::RESOURCE)?;
        self.add_shared(resources, |bytes| {
            otlp::Resource::decode(bytes).map(|resource| resource.attributes).unwrap_or_default()
        });
        let scopes = columns.dictionary_of_bytes(column::SCOPE)?;
        self.add_shared(scopes, |bytes| {
            let scope = otlp::InstrumentationScope::decode(bytes).unwrap_or_default();
            let fields = [(tags::SCOPE_NAME, scope.name), (tags::SCOPE_VERSION, scope.version)];
            let fields = fields.map(|(key, text)| otlp::string(key, text));
            scope.attributes.into_iter().chain(fields).collect()
        });
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
        messages.iter().flatten().for_each(|text| self.tags.insert(description.with(text)));
        Ok(())
    }

    fn add_texts(&mut self, key: &str, column: Dictionary<'_, StringArray>) {
        let key = TagKey::new(key);
        for value in used(&column) {
            self.tags.insert(key.with(column.values.value(value)));
        }
    }

    fn add_promoted(&mut self, columns: &Columns<'_>) -> Result<(), ColumnError> {
        for (at, (promoted, key)) in self.promoted.iter().enumerate() {
            match columns.promoted(promoted, at)? {
                PromotedColumn::Text(texts) => {
                    texts.iter().flatten().for_each(|text| self.tags.insert(key.with(text)));
                }
                PromotedColumn::Int(ints) => {
                    for int in ints.iter().flatten() {
                        if self.numbers.len() >= MAX_KNOWN {
                            self.numbers.clear();
                        }
                        let text = &mut self.text;
                        let hash = self.numbers.entry((at, int));
                        let hash = hash.or_insert_with(|| key.with(number(text, int)));
                        self.tags.insert(*hash);
                    }
                }
                PromotedColumn::Double(doubles) => {
                    for double in doubles.iter().flatten() {
                        self.tags.insert(key.with(number(&mut self.text, double)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the attributes of spans and events that are kept as they came.
    fn add_raw(&mut self, messages: &BinaryArray) {
        for message in messages.iter().flatten() {
            let Ok(span) = SpanView::reread(message) else { continue };
            for attribute in span.attributes() {
                self.insert(Place::Raw, attribute.key, &attribute.value.text());
            }
            for attribute in span.events().flat_map(|event| event.attributes()) {
                self.insert(Place::Raw, attribute.key, &attribute.value.text());
            }
        }
    }

    /// Adds the attributes of resources or scopes: of each once in a row group.
    fn add_shared(
        &mut self,
        column: Dictionary<'_, BinaryArray>,
        attributes: impl Fn(&[u8]) -> Vec<KeyValue>,
    ) {
        for value in used(&column) {
            let bytes = column.values.value(value);
            if !self.seen.insert(XxHash3_64::oneshot(bytes)) {
                continue;
            }
            for attribute in attributes(bytes) {
                if let Some(value) = &attribute.value {
                    self.insert(Place::Shared, &attribute.key, &carafe_store::value::text(value));
                }
            }
        }
    }

    fn insert(&mut self, place: Place, key: &str, value: &str) {
        if self.keys.len() >= MAX_KNOWN && !self.keys.contains_key(key) {
            self.keys.clear();
        }
        let known = self.keys.entry_ref(key).or_insert_with(|| KnownKey {
            tag: TagKey::new(key),
            is_raw: false,
            is_shared: false,
        });
        let (is_known, mark) = match place {
            Place::Raw => (&mut known.is_raw, tags::RAW),
            Place::Shared => (&mut known.is_shared, tags::SHARED),
        };
        if !std::mem::replace(is_known, true) {
            self.tags.insert(TagKey::new(mark).with(canonical(key)));
        }
        self.tags.insert(known.tag.with(value));
    }

    /// The row group has all its rows.
    pub(super) fn end_group(&mut self) {
        self.traces.end_group();
        self.tags.end_group();
        self.seen.clear();
        self.keys.values_mut().for_each(|known| {
            known.is_raw = false;
            known.is_shared = false;
        });
    }

    pub(super) fn finish(self) -> Vec<(Section, Vec<u8>)> {
        let blooms = [
            (Section::TraceBlooms, self.traces.finish()),
            (Section::TagBlooms, self.tags.finish()),
        ];
        blooms.into_iter().chain(self.sums.finish()).collect()
    }
}

/// The values of a dictionary that rows refer to.
fn used<V: Array>(column: &Dictionary<'_, V>) -> impl Iterator<Item = usize> {
    let mut is_used = vec![false; column.values.len()];
    for row in 0..column.keys.len() {
        if let Some(key) = column.key(row) {
            is_used[key] = true;
        }
    }
    is_used.into_iter().enumerate().filter_map(|(value, is_used)| is_used.then_some(value))
}

/// The text form of a number.
fn number(text: &mut String, number: impl std::fmt::Display) -> &str {
    text.clear();
    // Writing to a string does not fail.
    let _ = write!(text, "{number}");
    text
}
