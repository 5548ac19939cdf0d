//! Sums by service, operation and kind, which files add and retention takes back.

use crate::rollup::RolledSpan;
use crate::rollup::encoding::{Reader, put_text, put_varint};
use carafe_store::{Histogram, OperationSummary, ServiceSummary};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::span::SpanKind;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Most (service, operation, kind) that are told apart in all. What is beyond counts for its
/// service only.
pub const MAX_TOTAL_SERIES: usize = 65_536;

/// A sum of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Those whose status is an error.
    pub errors: u64,
    /// The latest start.
    pub last_start: UnixNanos,
    /// How long they took; their number is the histogram's count.
    pub durations: Histogram,
}

impl Total {
    /// Counts a span.
    pub fn add(&mut self, span: &RolledSpan) {
        self.errors += u64::from(span.is_error);
        self.last_start = self.last_start.max(span.start);
        self.durations.add_nanos(span.duration);
    }

    /// Adds all spans of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.errors = self.errors.saturating_add(other.errors);
        self.last_start = self.last_start.max(other.last_start);
        self.durations.merge(&other.durations);
    }

    /// Takes back the spans of `other`; gives those of them that were not there. The latest
    /// start stays.
    fn subtract(&mut self, other: &Self) -> Self {
        let errors = other.errors.min(self.errors);
        self.errors -= errors;
        Self {
            errors: other.errors - errors,
            last_start: other.last_start,
            durations: self.durations.subtract(&other.durations),
        }
    }

    fn is_empty(&self) -> bool {
        self.durations.count() == 0
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.errors, out);
        put_varint(self.last_start.0, out);
        self.durations.encode(out);
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            errors: from.varint()?,
            last_start: from.time()?,
            durations: from.histogram()?,
        })
    }
}

/// Sums by service, operation and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    services: BTreeMap<Arc<str>, Service>,
    /// Of services that are not told apart.
    rest: Total,
    series: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Service {
    operations: BTreeMap<(Arc<str>, i32), Total>,
    /// Of operations that are not told apart.
    rest: Total,
}

impl Totals {
    /// Adds a sum of an operation and OTLP's number of a kind. Beyond [`MAX_TOTAL_SERIES`]
    /// it counts for the service or, of a service that is new, for the rest of all.
    pub fn merge_operation(&mut self, service: &str, name: &str, kind: i32, total: &Total) {
        let is_full = self.series >= MAX_TOTAL_SERIES;
        if total.is_empty() {
            return;
        }
        if is_full && !self.services.contains_key(service) {
            self.rest.merge(total);
            return;
        }
        let known = self.services.entry(service.into()).or_default();
        match known.operations.entry((name.into(), kind)) {
            Entry::Occupied(mut there) => there.get_mut().merge(total),
            Entry::Vacant(_) if is_full => known.rest.merge(total),
            Entry::Vacant(vacant) => {
                vacant.insert(total.clone());
                self.series += 1;
            }
        }
    }

    /// Adds a sum of operations that are not told apart, of a service or of all.
    pub fn merge_rest(&mut self, service: Option<&Arc<str>>, total: &Total) {
        let is_full = self.series >= MAX_TOTAL_SERIES;
        let known = service.filter(|name| !is_full || self.services.contains_key(*name));
        if total.is_empty() {
            return;
        }
        match known {
            Some(name) => {
                self.services.entry(Arc::clone(name)).or_default().rest.merge(total);
            }
            None => self.rest.merge(total),
        }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        self.merge_rest(None, &other.rest);
        for (name, service) in &other.services {
            for ((operation, kind), total) in &service.operations {
                self.merge_operation(name, operation, *kind, total);
            }
            self.merge_rest(Some(name), &service.rest);
        }
    }

    /// Takes `other` back, which was added before. What is left has the latest starts that it
    /// had: the newest data is taken back last.
    pub fn subtract(&mut self, other: &Self) {
        let mut missing = self.rest.subtract(&other.rest);
        for (name, service) in &other.services {
            let Some(known) = self.services.get_mut(name) else {
                service.operations.values().for_each(|total| missing.merge(total));
                missing.merge(&service.rest);
                continue;
            };
            let mut of_service = known.rest.subtract(&service.rest);
            for (key, total) in &service.operations {
                match known.operations.get_mut(key) {
                    Some(there) => of_service.merge(&there.subtract(total)),
                    None => of_service.merge(total),
                }
            }
            // What came when there was no room for its name.
            let not_told_apart = known.rest.subtract(&of_service);
            missing.merge(&not_told_apart);
            let before = known.operations.len();
            known.operations.retain(|_, total| !total.is_empty());
            self.series -= before - known.operations.len();
            if known.operations.is_empty() && known.rest.is_empty() {
                self.services.remove(name);
            }
        }
        self.rest.subtract(&missing);
        if self.rest.is_empty() {
            self.rest = Total::default();
        }
    }

    /// How many spans were counted.
    pub fn spans(&self) -> u64 {
        let of_service = |service: &Service| service.total().durations.count();
        self.services.values().map(of_service).sum::<u64>() + self.rest.durations.count()
    }

    /// The services in order of their names.
    pub fn summaries(&self) -> Vec<ServiceSummary> {
        self.services.iter().map(|(name, service)| service.summary(name)).collect()
    }

    /// The bytes of the section `Totals`: the rest of all; of each service its name, its rest
    /// and its operations, each with name, kind and sum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.rest.encode(&mut out);
        put_varint(self.services.len() as u64, &mut out);
        for (name, service) in &self.services {
            put_text(name, &mut out);
            service.rest.encode(&mut out);
            put_varint(service.operations.len() as u64, &mut out);
            for ((name, kind), total) in &service.operations {
                put_text(name, &mut out);
                put_varint(kind.cast_unsigned().into(), &mut out);
                total.encode(&mut out);
            }
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote; none where the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut totals = Self { rest: Total::decode(&mut reader)?, ..Self::default() };
        for _ in 0..reader.count()? {
            let service = Arc::from(reader.text()?);
            totals.merge_rest(Some(&service), &Total::decode(&mut reader)?);
            for _ in 0..reader.count()? {
                let (name, kind) = (reader.text()?, reader.varint()?);
                let kind = u32::try_from(kind).ok()?.cast_signed();
                totals.merge_operation(&service, name, kind, &Total::decode(&mut reader)?);
            }
        }
        reader.is_empty().then_some(totals)
    }
}

impl Service {
    fn total(&self) -> Total {
        let mut sum = self.rest.clone();
        self.operations.values().for_each(|total| sum.merge(total));
        sum
    }

    fn summary(&self, name: &Arc<str>) -> ServiceSummary {
        let total = self.total();
        let operation = |((name, kind), total): (&(Arc<str>, i32), &Total)| OperationSummary {
            name: Arc::clone(name),
            kind: SpanKind::try_from(*kind).unwrap_or_default(),
            spans: total.durations.count(),
            errors: total.errors,
            p50: total.durations.quantile(0.5).unwrap_or_default(),
            p95: total.durations.quantile(0.95).unwrap_or_default(),
        };
        ServiceSummary {
            name: Arc::clone(name),
            spans: total.durations.count(),
            errors: total.errors,
            last_seen: total.last_start,
            operations: self.operations.iter().map(operation).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
