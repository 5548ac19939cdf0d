//! The series of a file: found by name, service and attributes without reading points.
//!
//! Little endian. `version: u32`; four tables of byte strings (resources, scopes, metrics,
//! attributes); `count: u32` and as many entries of [`ENTRY_BYTES`], in the order of
//! [`EncodedSeries`], which is that of the points in the file. A table is `count: u32`,
//! `count` offsets of ends (`u32`), and the strings. Equal strings are there once.

mod build;

pub(super) use build::TableBuilder;

use super::series::EncodedSeries;
use crate::files::corrupt;
use bytes::{Buf, Bytes};
use carafe_store::{MetricQuery, ResourceRecord, ScopeRecord, Series, StoreError, TimeRange};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{InstrumentationScope, KeyValue, Metric, Resource};
use prost::Message;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// The version of the layout.
const VERSION: u32 = 1;

/// What an entry takes: the places of metric, resource, scope and attributes in their tables
/// (`u32` each), the first row, the number of rows, the first and the last time (`u64` each).
const ENTRY_BYTES: usize = 4 * 4 + 4 * 8;

/// Byte strings, one after the other.
#[derive(Clone, Debug)]
struct Strings {
    ends: Bytes,
    bytes: Bytes,
}

impl Strings {
    fn get(&self, at: u32) -> Option<&[u8]> {
        let end = |at: u32| u32_at(&self.ends, usize::try_from(at).ok()?.checked_mul(4)?);
        let start = if at == 0 { 0 } else { end(at - 1)? };
        self.bytes.get(start as usize..end(at)? as usize)
    }

    fn count(&self) -> usize {
        self.ends.len() / 4
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Takes a number off the front.
fn take_u32(bytes: &mut Bytes) -> Option<u32> {
    let number = u32_at(bytes, 0)?;
    bytes.advance(4);
    Some(number)
}

fn take(bytes: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

fn take_strings(bytes: &mut Bytes) -> Option<Strings> {
    let count = take_u32(bytes)? as usize;
    let ends = take(bytes, count.checked_mul(4)?)?;
    let len = if count == 0 { 0 } else { u32_at(&ends, (count - 1) * 4)? };
    Some(Strings { bytes: take(bytes, len as usize)?, ends })
}

/// A text and its length, off the front.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let len = u32_at(bytes, 0)? as usize;
    let text = bytes.get(4..len.checked_add(4)?)?;
    *bytes = &bytes[4 + len..];
    std::str::from_utf8(text).ok()
}

/// One series of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    metric: u32,
    resource: u32,
    scope: u32,
    attributes: u32,
    first_row: u64,
    rows: u64,
    times: TimeRange,
}

impl Entry {
    /// Where its points are in the file.
    pub(super) fn rows(&self) -> Range<u64> {
        self.first_row..self.first_row + self.rows
    }
}

/// The series of one file.
#[derive(Clone, Debug)]
pub(super) struct SeriesTable {
    file: Arc<str>,
    resources: Strings,
    scopes: Strings,
    metrics: Strings,
    attributes: Strings,
    entries: Bytes,
}

impl SeriesTable {
    /// Reads the section of `file`, which has `rows` points.
    pub(super) fn parse(file: &str, section: Bytes, rows: u64) -> Result<Self, StoreError> {
        let table = Self::sections(file, section)
            .ok_or_else(|| corrupt(file, "its table of series is not one of version 1"))?;
        let end = match table.len() {
            0 => 0,
            n => table.entry(n - 1)?.rows().end,
        };
        if end != rows {
            return Err(corrupt(file, format!("{end} points have a series, but there are {rows}")));
        }
        Ok(table)
    }

    fn sections(file: &str, mut section: Bytes) -> Option<Self> {
        if take_u32(&mut section)? != VERSION {
            return None;
        }
        let resources = take_strings(&mut section)?;
        let scopes = take_strings(&mut section)?;
        let metrics = take_strings(&mut section)?;
        let attributes = take_strings(&mut section)?;
        let count = take_u32(&mut section)? as usize;
        (section.len() == count.checked_mul(ENTRY_BYTES)?).then(|| Self {
            file: file.into(),
            resources,
            scopes,
            metrics,
            attributes,
            entries: section,
        })
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() / ENTRY_BYTES
    }

    fn damaged(&self, what: &str) -> StoreError {
        corrupt(&self.file, format!("its table of series has a wrong {what}"))
    }

    /// Series number `at`.
    pub(super) fn entry(&self, at: usize) -> Result<Entry, StoreError> {
        let entry = || {
            let at = at.checked_mul(ENTRY_BYTES)?;
            let number = |n: usize| u32_at(&self.entries, at + 4 * n);
            let long = |n: usize| u64_at(&self.entries, at + 16 + 8 * n);
            let entry = Entry {
                metric: number(0)?,
                resource: number(1)?,
                scope: number(2)?,
                attributes: number(3)?,
                first_row: long(0)?,
                rows: long(1)?,
                times: TimeRange { start: UnixNanos(long(2)?), end: UnixNanos(long(3)?) },
            };
            entry.first_row.checked_add(entry.rows)?;
            Some(entry)
        };
        entry().ok_or_else(|| self.damaged("entry"))
    }

    /// Name and OTLP message.
    fn metric(&self, entry: &Entry) -> Result<(&str, &[u8]), StoreError> {
        let parts = || {
            let mut bytes = self.metrics.get(entry.metric)?;
            Some((take_text(&mut bytes)?, bytes))
        };
        parts().ok_or_else(|| self.damaged("metric"))
    }

    /// Service, schema and OTLP message.
    fn resource(&self, entry: &Entry) -> Result<(&str, &str, &[u8]), StoreError> {
        let parts = || {
            let mut bytes = self.resources.get(entry.resource)?;
            Some((take_text(&mut bytes)?, take_text(&mut bytes)?, bytes))
        };
        parts().ok_or_else(|| self.damaged("resource"))
    }

    /// Schema and OTLP message.
    fn scope(&self, entry: &Entry) -> Result<(&str, &[u8]), StoreError> {
        let parts = || {
            let mut bytes = self.scopes.get(entry.scope)?;
            Some((take_text(&mut bytes)?, bytes))
        };
        parts().ok_or_else(|| self.damaged("scope"))
    }

    fn attributes(&self, entry: &Entry) -> Result<&[u8], StoreError> {
        self.attributes.get(entry.attributes).ok_or_else(|| self.damaged("set of attributes"))
    }

    fn decoded_attributes(&self, entry: &Entry) -> Result<Vec<KeyValue>, StoreError> {
        let mut bytes = self.attributes(entry)?;
        let mut attributes = Vec::new();
        while !bytes.is_empty() {
            let attribute = KeyValue::decode_length_delimited(&mut bytes);
            attributes.push(attribute.map_err(|_| self.damaged("attribute"))?);
        }
        Ok(attributes)
    }

    /// The series as it is compared with those of other files.
    pub(super) fn encoded(&self, entry: &Entry) -> Result<EncodedSeries, StoreError> {
        let (name, metric) = self.metric(entry)?;
        let (service, resource_schema_url, resource) = self.resource(entry)?;
        let (scope_schema_url, scope) = self.scope(entry)?;
        Ok(EncodedSeries {
            name: name.into(),
            service: service.into(),
            resource: resource.into(),
            resource_schema_url: resource_schema_url.into(),
            scope: scope.into(),
            scope_schema_url: scope_schema_url.into(),
            metric: metric.into(),
            attributes: self.attributes(entry)?.into(),
        })
    }

    /// The first series whose metric's name compares as `wanted` or greater.
    fn first_with_name(&self, name: &str, wanted: Ordering) -> Result<usize, StoreError> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let entry = self.entry(middle)?;
            match self.metric(&entry)?.0.cmp(name) >= wanted {
                true => to = middle,
                false => from = middle + 1,
            }
        }
        Ok(from)
    }

    /// The numbers of the series that match and may have points in the range. Looks only at
    /// those with the right name, where one is given.
    pub(super) fn matching(&self, query: &MetricQuery) -> Result<Vec<(u32, Entry)>, StoreError> {
        let candidates = match &query.name {
            Some(name) => {
                self.first_with_name(name, Ordering::Equal)?
                    ..self.first_with_name(name, Ordering::Greater)?
            }
            None => 0..self.len(),
        };
        let mut matching = Vec::new();
        for at in candidates {
            let entry = self.entry(at)?;
            let overlaps =
                entry.times.start <= query.range.end && query.range.start <= entry.times.end;
            if !overlaps {
                continue;
            }
            if let Some(service) = &query.service
                && self.resource(&entry)?.0 != service
            {
                continue;
            }
            if query.attributes.is_empty()
                || query.matches_attributes(&self.decoded_attributes(&entry)?)
            {
                matching.push((at as u32, entry));
            }
        }
        Ok(matching)
    }
}

/// Decodes series of one table; their resources and scopes are shared.
pub(super) struct SeriesDecoder<'a> {
    table: &'a SeriesTable,
    resources: Vec<Option<Arc<ResourceRecord>>>,
    scopes: Vec<Option<Arc<ScopeRecord>>>,
}

impl<'a> SeriesDecoder<'a> {
    pub(super) fn new(table: &'a SeriesTable) -> Self {
        let resources = vec![None; table.resources.count()];
        Self { table, resources, scopes: vec![None; table.scopes.count()] }
    }

    /// The series of `entry`.
    pub(super) fn series(&mut self, entry: &Entry) -> Result<Arc<Series>, StoreError> {
        let table = self.table;
        let (_, metric) = table.metric(entry)?;
        let metric = Metric::decode(metric).map_err(|_| table.damaged("metric"))?;
        Ok(Arc::new(Series {
            resource: self.resource(entry)?,
            scope: self.scope(entry)?,
            metric,
            attributes: table.decoded_attributes(entry)?,
        }))
    }

    fn resource(&mut self, entry: &Entry) -> Result<Arc<ResourceRecord>, StoreError> {
        let (_, schema_url, message) = self.table.resource(entry)?;
        let decoded = &mut self.resources[entry.resource as usize];
        if let Some(resource) = decoded {
            return Ok(Arc::clone(resource));
        }
        let resource = Resource::decode(message).map_err(|_| self.table.damaged("resource"))?;
        let resource = Arc::new(ResourceRecord::new(resource, schema_url.to_owned()));
        Ok(Arc::clone(decoded.insert(resource)))
    }

    fn scope(&mut self, entry: &Entry) -> Result<Arc<ScopeRecord>, StoreError> {
        let (schema_url, message) = self.table.scope(entry)?;
        let decoded = &mut self.scopes[entry.scope as usize];
        if let Some(scope) = decoded {
            return Ok(Arc::clone(scope));
        }
        let scope =
            InstrumentationScope::decode(message).map_err(|_| self.table.damaged("scope"))?;
        let scope = Arc::new(ScopeRecord { scope, schema_url: schema_url.to_owned() });
        Ok(Arc::clone(decoded.insert(scope)))
    }
}

#[cfg(test)]
mod tests;
