//! The section `Keys`.
//!
//! ```text
//! head      length of the names in 64 bits
//! names     whether keys were left out; of each key its name, how many spans have it, and
//!           offset (behind the names) and length of its block; of each service its name and
//!           its keys: distance from the key before, spans
//! blocks    of each key: spans by type of the value, spans with it in the resource, bytes
//!           of the values, values
//! ```
//! Numbers but the first have variable length.

use super::{KeyId, KeySummary, Keys, MAX_COUNTED_VALUES, MAX_WRITTEN_VALUES, ServiceId};
use crate::index::side_file::{Section, SideFile};
use crate::rollup::encoding::{Reader, put_text, put_varint};
use crate::rollup::frequent::Frequent;
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECTION: Section = Section::Keys;

const HEAD_BYTES: usize = 8;

impl KeySummary {
    fn encode(&self, out: &mut Vec<u8>) {
        self.of_spans.iter().for_each(|count| put_varint(*count, out));
        put_varint(self.of_resources, out);
        put_varint(self.value_bytes, out);
        self.values.shortened(MAX_WRITTEN_VALUES).encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut summary = Self::new();
        for count in &mut summary.of_spans {
            *count = from.varint()?;
        }
        summary.of_resources = from.varint()?;
        summary.value_bytes = from.varint()?;
        summary.values = Frequent::decode(MAX_COUNTED_VALUES, &mut from)?;
        from.is_empty().then_some(summary)
    }
}

impl Keys {
    /// The section's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (mut names, mut blocks) = (Vec::new(), Vec::new());
        put_varint(u64::from(self.left_out), &mut names);
        put_varint(self.keys.len() as u64, &mut names);
        for (key, summary) in &self.keys {
            let offset = blocks.len();
            summary.encode(&mut blocks);
            put_text(key, &mut names);
            put_varint(summary.spans(), &mut names);
            put_varint(offset as u64, &mut names);
            put_varint((blocks.len() - offset) as u64, &mut names);
        }
        let mut of_services = BTreeMap::<ServiceId, BTreeMap<KeyId, u64>>::new();
        for ((service, key), spans) in &self.of_services {
            of_services.entry(*service).or_default().insert(*key, *spans);
        }
        put_varint(of_services.len() as u64, &mut names);
        for (service, keys) in of_services {
            put_text(&self.services[service.0 as usize], &mut names);
            put_varint(keys.len() as u64, &mut names);
            let mut before = 0;
            for (KeyId(key), spans) in keys {
                put_varint(u64::from(key - before), &mut names);
                put_varint(spans, &mut names);
                before = key;
            }
        }
        let mut out = (names.len() as u64).to_le_bytes().to_vec();
        out.extend(names);
        out.extend(blocks);
        out
    }
}

/// The attributes of a file: the names, and the values of each key when it is asked for.
#[derive(Debug)]
pub struct KeysView {
    side: Arc<SideFile>,
    blocks: u64,
    left_out: bool,
    keys: Vec<Key>,
    services: BTreeMap<Arc<str>, Vec<(usize, u64)>>,
}

#[derive(Debug)]
struct Key {
    name: Arc<str>,
    spans: u64,
    offset: u64,
    len: usize,
}

impl KeysView {
    /// The attributes of the file; none where it does not have them. Only names are read.
    pub fn open(side: Arc<SideFile>) -> Result<Option<Self>, StoreError> {
        let Some(section_len) = side.section_len(SECTION) else { return Ok(None) };
        let len = side.read(SECTION, 0, HEAD_BYTES)?.get_u64_le().min(section_len);
        let names = side.read(SECTION, HEAD_BYTES as u64, len as usize)?;
        match read_names(&names) {
            Some((left_out, keys, services)) => {
                let blocks = HEAD_BYTES as u64 + len;
                Ok(Some(Self { side, blocks, left_out, keys, services }))
            }
            None => Err(damaged(&side)),
        }
    }

    /// Whether no key was left out.
    pub fn is_complete(&self) -> bool {
        !self.left_out
    }

    /// All keys that spans have, or only those of a service, and how many spans have them.
    pub fn names(&self, service: Option<&str>) -> impl Iterator<Item = (&Arc<str>, u64)> {
        let all = service.is_none().then(|| self.keys.iter().map(|key| (&key.name, key.spans)));
        let of_service = service.and_then(|service| self.services.get(service));
        let of_service = of_service.into_iter().flatten();
        let of_service = of_service.map(|(key, spans)| (&self.keys[*key].name, *spans));
        all.into_iter().flatten().chain(of_service)
    }

    /// What is known of a key; none where no span has it, or it was left out.
    pub fn get(&self, key: &str) -> Result<Option<KeySummary>, StoreError> {
        match self.keys.iter().find(|known| *known.name == *key) {
            Some(known) => self.summary(known).map(Some),
            None => Ok(None),
        }
    }

    /// All of it, to be counted further.
    pub fn to_keys(&self) -> Result<Keys, StoreError> {
        let mut keys = Keys { left_out: self.left_out, ..Keys::default() };
        for known in &self.keys {
            let summary = self.summary(known)?;
            if let Some(KeyId(id)) = keys.key(&known.name) {
                keys.keys[id as usize].1.merge(&summary);
            }
        }
        for (service, of_service) in &self.services {
            let service = keys.service(service);
            for (key, spans) in of_service {
                if let Some(key) = keys.key(&self.keys[*key].name) {
                    keys.add_service(service, key, *spans);
                }
            }
        }
        Ok(keys)
    }

    fn summary(&self, key: &Key) -> Result<KeySummary, StoreError> {
        let offset = self.blocks.saturating_add(key.offset);
        let block = self.side.read(SECTION, offset, key.len)?;
        KeySummary::decode(&block).ok_or_else(|| damaged(&self.side))
    }
}

fn damaged(side: &SideFile) -> StoreError {
    side.corrupt(SECTION, "makes no sense")
}

type Names = (bool, Vec<Key>, BTreeMap<Arc<str>, Vec<(usize, u64)>>);

fn read_names(names: &Bytes) -> Option<Names> {
    let mut from = Reader::new(names);
    let left_out = from.varint()? != 0;
    let mut keys = Vec::new();
    for _ in 0..from.count()? {
        let name = from.text()?.into();
        let (spans, offset) = (from.varint()?, from.varint()?);
        keys.push(Key { name, spans, offset, len: usize::try_from(from.varint()?).ok()? });
    }
    let mut services = BTreeMap::new();
    for _ in 0..from.count()? {
        let service = Arc::from(from.text()?);
        let mut of_service = Vec::new();
        let mut key = 0_usize;
        for _ in 0..from.count()? {
            key = key.checked_add(usize::try_from(from.varint()?).ok()?)?;
            of_service.push((key, from.varint()?));
            keys.get(key)?;
        }
        services.insert(service, of_service);
    }
    from.is_empty().then_some((left_out, keys, services))
}
