//! Which services and operations there are, and which traces they are in.

use crate::histogram::Histogram;
use crate::query::{OperationSummary, ServiceSummary};
use crate::record::SpanRecord;
use carafe_telemetry::otlp::span::SpanKind;
use carafe_telemetry::{TraceId, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A trace by its start: the order of search results.
pub(super) type Key = (UnixNanos, TraceId);

/// The index by service and operation. It holds exactly the spans that the store holds.
#[derive(Default)]
pub(super) struct Services(BTreeMap<Arc<str>, Service>);

#[derive(Default)]
struct Service {
    spans: u64,
    errors: u64,
    last_seen: UnixNanos,
    traces: BTreeSet<Key>,
    operations: BTreeMap<Arc<str>, Operation>,
}

#[derive(Default)]
struct Operation {
    traces: BTreeSet<Key>,
    kinds: BTreeMap<i32, Kind>,
}

#[derive(Default)]
struct Kind {
    spans: u64,
    errors: u64,
    durations: Histogram,
}

impl Services {
    /// Counts a span of the trace at `key`.
    pub(super) fn add(&mut self, span: &SpanRecord, key: Key) {
        let error = u64::from(span.is_error());
        let service = self.0.entry(Arc::clone(span.service())).or_default();
        service.spans += 1;
        service.errors += error;
        service.last_seen = service.last_seen.max(span.start);
        service.traces.insert(key);
        let name = span.span.name.as_str();
        if !service.operations.contains_key(name) {
            service.operations.insert(name.into(), Operation::default());
        }
        if let Some(operation) = service.operations.get_mut(name) {
            operation.traces.insert(key);
            let kind = operation.kinds.entry(span.kind() as i32).or_default();
            kind.spans += 1;
            kind.errors += error;
            kind.durations.add(span.duration());
        }
    }

    /// Takes back a span of the trace at `key`, which is leaving the store whole.
    pub(super) fn remove(&mut self, span: &SpanRecord, key: Key) {
        let error = u64::from(span.is_error());
        let Some(service) = self.0.get_mut(span.service()) else { return };
        service.spans -= 1;
        service.errors -= error;
        service.traces.remove(&key);
        if let Some(operation) = service.operations.get_mut(span.span.name.as_str()) {
            operation.traces.remove(&key);
            let kind_number = span.kind() as i32;
            if let Some(kind) = operation.kinds.get_mut(&kind_number) {
                kind.spans -= 1;
                kind.errors -= error;
                kind.durations.remove(span.duration());
                if kind.spans == 0 {
                    operation.kinds.remove(&kind_number);
                }
            }
            if operation.kinds.is_empty() {
                service.operations.remove(span.span.name.as_str());
            }
        }
        if service.spans == 0 {
            self.0.remove(span.service());
        }
    }

    /// The trace of `span` moves, because its first span came late.
    pub(super) fn rekey(&mut self, span: &SpanRecord, from: Key, to: Key) {
        let Some(service) = self.0.get_mut(span.service()) else { return };
        if service.traces.remove(&from) {
            service.traces.insert(to);
        }
        if let Some(operation) = service.operations.get_mut(span.span.name.as_str())
            && operation.traces.remove(&from)
        {
            operation.traces.insert(to);
        }
    }

    /// The traces that have a span of this service and, where given, of this name; none
    /// where there is no such span.
    pub(super) fn traces(&self, service: &str, operation: Option<&str>) -> Option<&BTreeSet<Key>> {
        let service = self.0.get(service)?;
        match operation {
            None => Some(&service.traces),
            Some(operation) => Some(&service.operations.get(operation)?.traces),
        }
    }

    pub(super) fn summaries(&self) -> Vec<ServiceSummary> {
        self.0.iter().map(|(name, service)| service.summary(name)).collect()
    }
}

impl Service {
    fn summary(&self, name: &Arc<str>) -> ServiceSummary {
        let operations = self.operations.iter().flat_map(|(name, operation)| {
            operation.kinds.iter().map(|(&number, kind)| OperationSummary {
                name: Arc::clone(name),
                kind: SpanKind::try_from(number).unwrap_or(SpanKind::Unspecified),
                spans: kind.spans,
                errors: kind.errors,
                p50: kind.durations.quantile(0.5).unwrap_or_default(),
                p95: kind.durations.quantile(0.95).unwrap_or_default(),
            })
        });
        ServiceSummary {
            name: Arc::clone(name),
            spans: self.spans,
            errors: self.errors,
            last_seen: self.last_seen,
            operations: operations.collect(),
        }
    }
}
