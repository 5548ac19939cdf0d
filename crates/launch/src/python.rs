//! The records of one Python engine on their way to telemetry.

use crate::check;
use crate::instruments::{DEFINITION_LIMIT, Instruments, put};
use crate::origin::Origin;
use crate::registry::{Instance, Registry};
use crate::rings::Sink;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{Resource, ScopeSpans};
use carafe_wire::record::Record;
use parking_lot::Mutex;
use prost::Message;
use std::sync::Arc;

/// What a ring of the Python engine has said so far.
#[derive(Debug)]
pub struct PythonEngine {
    instance: Arc<Instance>,
    resource: Arc<Resource>,
    /// By their numbers.
    scopes: Vec<Option<Arc<Origin>>>,
    instruments: Arc<Mutex<Instruments>>,
}

impl PythonEngine {
    /// An engine in a process.
    pub fn new(instance: Arc<Instance>, registry: &Registry) -> Self {
        let instruments = registry.instruments(&instance);
        Self { resource: instance.resource(), instance, scopes: Vec::new(), instruments }
    }

    /// Takes the next record of the ring; false where it cannot be used.
    pub fn record<S: Sink>(&mut self, record: &Record<'_>, sink: &mut S) -> bool {
        match record {
            Record::Resource(otlp) => self.describe(otlp),
            Record::Scope(scope) => self.define_scope(scope.id, scope.otlp),
            Record::Span(span) => match self.scope(span.scope) {
                Some(origin) if check::span(span.otlp) => {
                    sink.span(origin, span.otlp);
                    true
                }
                _ => false,
            },
            Record::Log(log) => match self.scope(log.scope) {
                Some(origin) if check::log(log.otlp) => {
                    sink.log(origin, log.otlp);
                    true
                }
                _ => false,
            },
            Record::Instrument(instrument) => {
                self.instruments.lock().define_instrument(instrument, UnixNanos::now())
            }
            Record::Attributes(set) => self.instruments.lock().define_attributes(set.id, set.otlp),
            Record::Measurement(measurement) => self.instruments.lock().measure(measurement),
            Record::Notice(notice) => {
                sink.notice(notice);
                true
            }
            // Nothing that this engine writes.
            Record::Hello(_)
            | Record::Connection(_)
            | Record::Message(_)
            | Record::End(_)
            | Record::Close(_)
            | Record::Gap(_) => false,
        }
    }

    /// The ring has been read to its end.
    pub fn end(&self) {
        self.instruments.lock().end();
    }

    fn scope(&self, number: u32) -> Option<&Arc<Origin>> {
        self.scopes.get(number as usize).and_then(Option::as_ref)
    }

    fn describe(&mut self, otlp: &[u8]) -> bool {
        let Ok(own) = Resource::decode(otlp) else { return false };
        self.resource = self.instance.describe(own);
        self.instruments.lock().set_resource(Arc::clone(&self.resource));
        for origin in self.scopes.iter_mut().flatten() {
            *origin = Origin::new(Arc::clone(&self.resource), Arc::clone(&origin.scope));
        }
        true
    }

    fn define_scope(&mut self, number: u32, otlp: &[u8]) -> bool {
        let is_scope = number <= DEFINITION_LIMIT
            && ScopeSpans::decode(otlp).is_ok_and(|scope| scope.spans.is_empty());
        if !is_scope || !self.instruments.lock().define_scope(number, otlp) {
            return false;
        }
        let origin = Origin::new(Arc::clone(&self.resource), otlp.into());
        put(&mut self.scopes, number, Some(origin));
        true
    }
}
