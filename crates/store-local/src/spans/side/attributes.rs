//! Attributes of a batch, counted before they go anywhere: most values come often.

use super::{Dictionary, tags};
use crate::index::bloom_table::BloomTableBuilder;
use crate::index::hash::{Identity, TagKey};
use crate::rollup::keys::{self, KeyId, Keys, ValueType};
use arrow_array::{Array, StringArray};
use carafe_store::canonical;
use carafe_telemetry::view::ValueView;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::ops::Range;

/// Keys that are remembered between batches.
const MAX_KNOWN: usize = 4_096;

/// Where an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a column of its own.
    Promoted,
    /// Among those of the span that are kept as they came.
    Raw,
    /// Of an event.
    Event,
    /// In the resource.
    Resource,
    /// In the scope.
    Scope,
}

/// Counts the attributes of a batch, and sums up those of the file.
pub(super) struct Attributes {
    by_name: HashMap<String, usize>,
    known: Vec<Known>,
    /// By a hash of key, place and value.
    values: HashMap<u64, Counted, BuildHasherDefault<Identity>>,
    texts: String,
    /// How many rows of a service have a key, by both.
    of_services: HashMap<u64, u64, BuildHasherDefault<Identity>>,
    services: Vec<u32>,
    service_ids: Vec<keys::ServiceId>,
    sums: Keys,
}

/// A key.
struct Known {
    name: String,
    tag: TagKey,
    /// Its name among the sums, once a span or a resource was seen to have it.
    sums: Option<KeyId>,
    /// Whether the row group is marked to have it among what is kept as it came.
    is_raw: bool,
    /// Whether the row group is marked to have it in resources or scopes.
    is_shared: bool,
}

/// A value of a batch.
struct Counted {
    key: usize,
    tag: u64,
    place: Place,
    kind: ValueType,
    text: Range<usize>,
    rows: u64,
}

impl Attributes {
    pub(super) fn new() -> Self {
        Self {
            by_name: HashMap::new(),
            known: Vec::new(),
            values: HashMap::default(),
            texts: String::new(),
            of_services: HashMap::default(),
            services: Vec::new(),
            service_ids: Vec::new(),
            sums: Keys::new(),
        }
    }

    /// A batch begins, whose rows are of these services.
    pub(super) fn begin(&mut self, services: Dictionary<'_, StringArray>) {
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
            self.by_name.clear();
        }
        let rows = 0..services.keys.len();
        self.services = rows.map(|row| services.key(row).unwrap_or(0) as u32).collect();
        let values = (0..services.values.len()).map(|key| services.values.value(key));
        self.service_ids = values.map(|service| self.sums.service(service)).collect();
    }

    /// The number of a key until the batch ends.
    pub(super) fn key(&mut self, key: &str) -> usize {
        *self.by_name.entry_ref(key).or_insert_with(|| {
            let (name, tag) = (key.to_owned(), TagKey::new(key));
            self.known.push(Known { name, tag, sums: None, is_raw: false, is_shared: false });
            self.known.len() - 1
        })
    }

    /// A row has an attribute.
    pub(super) fn add(
        &mut self,
        row: usize,
        key: usize,
        place: Place,
        kind: ValueType,
        value: &str,
    ) {
        self.count(key, place, kind, value, 1);
        if matches!(place, Place::Promoted | Place::Raw) {
            self.count_service(row, key);
        }
    }

    /// These rows have an attribute in their resource, else their scope.
    pub(super) fn add_shared(
        &mut self,
        rows: &[usize],
        key: usize,
        value: &str,
        is_resource: bool,
    ) {
        let place = if is_resource { Place::Resource } else { Place::Scope };
        self.count(key, place, ValueType::Other, value, rows.len() as u64);
        if is_resource {
            rows.iter().for_each(|row| self.count_service(*row, key));
        }
    }

    fn count(&mut self, key: usize, place: Place, kind: ValueType, value: &str, rows: u64) {
        let tag = self.known[key].tag.with(value);
        let number = (key as u64) << 8 | (place as u64) << 4 | kind as u64;
        let hash = tag ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.values.entry(hash) {
            Entry::Occupied(mut counted) => counted.get_mut().rows += rows,
            Entry::Vacant(vacant) => {
                let start = self.texts.len();
                self.texts.push_str(value);
                let text = start..self.texts.len();
                vacant.insert(Counted { key, tag, place, kind, text, rows });
            }
        }
    }

    fn count_service(&mut self, row: usize, key: usize) {
        let pair = u64::from(self.services[row]) << 32 | key as u64;
        *self.of_services.entry(pair).or_default() += 1;
    }

    /// The batch has ended: hands the tags on.
    pub(super) fn end(&mut self, tags: &mut BloomTableBuilder) {
        for counted in self.values.values() {
            let known = &mut self.known[counted.key];
            tags.insert(counted.tag);
            let mark = match counted.place {
                Place::Promoted => None,
                Place::Raw | Place::Event => Some((&mut known.is_raw, tags::RAW)),
                Place::Resource | Place::Scope => Some((&mut known.is_shared, tags::SHARED)),
            };
            if let Some((is_marked, mark)) = mark
                && !std::mem::replace(is_marked, true)
            {
                tags.insert(TagKey::new(mark).with(canonical(&known.name)));
            }
            let place = match counted.place {
                Place::Promoted | Place::Raw => keys::Place::Span,
                Place::Resource => keys::Place::Resource,
                Place::Event | Place::Scope => continue,
            };
            known.sums = known.sums.or_else(|| self.sums.key(&known.name));
            if let Some(id) = known.sums {
                let text = &self.texts[counted.text.clone()];
                self.sums.add(id, place, counted.kind, text, counted.rows);
            }
        }
        for (pair, rows) in self.of_services.drain() {
            let (service, key) = ((pair >> 32) as usize, (pair & 0xffff_ffff) as usize);
            if let Some(id) = self.known[key].sums {
                self.sums.add_service(self.service_ids[service], id, rows);
            }
        }
        self.values.clear();
        self.texts.clear();
    }

    /// The row group has all its rows.
    pub(super) fn end_group(&mut self) {
        for known in &mut self.known {
            known.is_raw = false;
            known.is_shared = false;
        }
    }

    pub(super) fn finish(self) -> Keys {
        self.sums
    }
}

/// The type of a value.
pub(super) fn value_type(value: &ValueView<'_>) -> ValueType {
    match value {
        ValueView::Str(_) => ValueType::Text,
        ValueView::Int(_) => ValueType::Int,
        ValueView::Double(_) => ValueType::Double,
        _ => ValueType::Other,
    }
}
