//! Which attributes the spans of a file have, and their most frequent values.

mod section;

pub use section::KeysView;

use crate::rollup::frequent::Frequent;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most keys of one file. Spans that have others are known to be left out.
pub const MAX_KEYS: usize = 1_000;

/// Most values of one key that are counted at once.
pub const MAX_COUNTED_VALUES: usize = 1_000;

/// Most values of one key that are written.
pub const MAX_WRITTEN_VALUES: usize = 100;

/// Longer values, in bytes, are not counted.
pub const MAX_VALUE_BYTES: usize = 256;

/// Longer keys, in bytes, are left out.
pub const MAX_KEY_BYTES: usize = 256;

/// Most (service, key) of one file.
pub const MAX_SERVICE_KEYS: usize = 100_000;

/// What has an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The span.
    Span,
    /// Its resource.
    Resource,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueType {
    /// A string.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Anything else.
    Other,
}

impl ValueType {
    /// All of them; their places are part of the format.
    pub const ALL: [Self; 4] = [Self::Text, Self::Int, Self::Double, Self::Other];
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySummary {
    /// How many spans have it among their own attributes, by type of the value.
    pub of_spans: [u64; ValueType::ALL.len()],
    /// How many have it in their resource.
    pub of_resources: u64,
    /// Bytes of the values of spans, in their text form.
    pub value_bytes: u64,
    /// The values, in their text form.
    pub values: Frequent,
}

impl KeySummary {
    fn new() -> Self {
        Self {
            of_spans: [0; ValueType::ALL.len()],
            of_resources: 0,
            value_bytes: 0,
            values: Frequent::new(MAX_COUNTED_VALUES),
        }
    }

    /// How many spans have the key, themselves or in their resource; one that has it in both
    /// counts twice.
    pub fn spans(&self) -> u64 {
        self.of_spans.iter().fold(self.of_resources, |sum, count| sum.saturating_add(*count))
    }

    /// Adds what is known of the key elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.of_spans.iter_mut().zip(other.of_spans) {
            *count = count.saturating_add(more);
        }
        self.of_resources = self.of_resources.saturating_add(other.of_resources);
        self.value_bytes = self.value_bytes.saturating_add(other.value_bytes);
        self.values.merge(&other.values);
    }
}

/// The name of a key within [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u32);

/// The name of a service within [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u32);

/// Attribute keys, their values, and which service's spans have them.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    by_key: HashMap<Arc<str>, KeyId>,
    keys: Vec<(Arc<str>, KeySummary)>,
    by_service: HashMap<Arc<str>, ServiceId>,
    services: Vec<Arc<str>>,
    of_services: HashMap<(ServiceId, KeyId), u64>,
    left_out: bool,
}

impl Keys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of a key; none beyond [`MAX_KEYS`] and [`MAX_KEY_BYTES`], which is
    /// remembered.
    pub fn key(&mut self, key: &str) -> Option<KeyId> {
        if let Some(&id) = self.by_key.get(key) {
            return Some(id);
        }
        if self.keys.len() >= MAX_KEYS || key.len() > MAX_KEY_BYTES {
            self.left_out = true;
            return None;
        }
        let id = KeyId(self.keys.len() as u32);
        let key = Arc::<str>::from(key);
        self.by_key.insert(Arc::clone(&key), id);
        self.keys.push((key, KeySummary::new()));
        Some(id)
    }

    /// The name of a service.
    pub fn service(&mut self, service: &str) -> ServiceId {
        if let Some(&id) = self.by_service.get(service) {
            return id;
        }
        let id = ServiceId(self.services.len() as u32);
        let service = Arc::<str>::from(service);
        self.by_service.insert(Arc::clone(&service), id);
        self.services.push(service);
        id
    }

    /// `spans` spans have the key with this value, in its text form, themselves or in their
    /// resource.
    pub fn add(&mut self, key: KeyId, place: Place, kind: ValueType, value: &str, spans: u64) {
        let summary = &mut self.keys[key.0 as usize].1;
        match place {
            Place::Span => {
                let count = &mut summary.of_spans[kind as usize];
                *count = count.saturating_add(spans);
                let bytes = (value.len() as u64).saturating_mul(spans);
                summary.value_bytes = summary.value_bytes.saturating_add(bytes);
            }
            Place::Resource => summary.of_resources = summary.of_resources.saturating_add(spans),
        }
        if value.len() > MAX_VALUE_BYTES {
            summary.values.left_some_out();
        } else {
            summary.values.add(value, spans);
        }
    }

    /// `spans` spans of the service have the key, themselves or in their resource. Beyond
    /// [`MAX_SERVICE_KEYS`] this is left out and remembered.
    pub fn add_service(&mut self, service: ServiceId, key: KeyId, spans: u64) {
        let is_full = self.of_services.len() >= MAX_SERVICE_KEYS;
        match self.of_services.get_mut(&(service, key)) {
            Some(count) => *count = count.saturating_add(spans),
            None if is_full => self.left_out = true,
            None => {
                self.of_services.insert((service, key), spans);
            }
        }
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.left_out |= other.left_out;
        for (key, summary) in &other.keys {
            if let Some(id) = self.key(key) {
                self.keys[id.0 as usize].1.merge(summary);
            }
        }
        let mut pairs: Vec<_> = other.of_services.iter().collect();
        pairs.sort_unstable_by_key(|((service, key), _)| (service.0, key.0));
        for ((service, key), spans) in pairs {
            let service = self.service(&other.services[service.0 as usize]);
            if let Some(key) = self.key(&other.keys[key.0 as usize].0) {
                self.add_service(service, key, *spans);
            }
        }
    }

    /// Whether no key was left out.
    pub fn is_complete(&self) -> bool {
        !self.left_out
    }

    /// What is known of a key; none where no span has it, or it was left out.
    pub fn get(&self, key: &str) -> Option<&KeySummary> {
        self.by_key.get(key).map(|id| &self.keys[id.0 as usize].1)
    }

    /// All keys that spans have, in order of their names, or only those of a service.
    pub fn names(&self, service: Option<&str>) -> Vec<&Arc<str>> {
        let service = match service.map(|service| self.by_service.get(service)) {
            None => None,
            Some(None) => return Vec::new(),
            Some(known) => known.copied(),
        };
        let has = |key: u32| match service {
            None => true,
            Some(service) => self.of_services.contains_key(&(service, KeyId(key))),
        };
        let mut names: Vec<_> =
            (0..).zip(&self.keys).filter(|(id, _)| has(*id)).map(|(_, (key, _))| key).collect();
        names.sort_unstable();
        names
    }

    /// All keys and what is known of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &KeySummary)> {
        let sorted: BTreeMap<_, _> = self.keys.iter().map(|(key, sum)| (key, sum)).collect();
        sorted.into_iter()
    }
}

#[cfg(test)]
mod tests;
