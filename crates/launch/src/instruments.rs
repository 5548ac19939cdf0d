//! Metrics of one Python engine, aggregated here instead of in the app.
//!
//! The engine gives numbers to instruments and attribute sets once; a measurement carries these
//! numbers, so that adding it up looks at no text: the instrument's number leads to a stream, the
//! set's number to one of its series. Metrics SDK specification, with the choices of the official
//! Python SDK where that leaves some.

mod exemplars;
mod exponential;
mod points;
mod sets;
mod stream;

use crate::metrics::MetricOptions;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    InstrumentationScope, KeyValueList, Metric, Resource, ScopeMetrics, ScopeSpans,
};
use carafe_wire::record::{Instrument, Measurement};
use prost::Message;
use sets::Sets;
use std::collections::HashMap;
use std::sync::Arc;
use stream::{Definition, Identity, Stream};

/// Numbers of scopes and instruments in one ring; records with higher ones cannot be used.
pub(crate) const DEFINITION_LIMIT: u32 = 16_384;

/// Everything that one engine measures.
#[derive(Debug)]
pub struct Instruments {
    options: MetricOptions,
    resource: Arc<Resource>,
    scopes: Vec<Option<Scope>>,
    streams: Vec<Stream>,
    /// Place in `streams` plus one, by the instrument's number; 0: none.
    stream_of: Vec<u32>,
    known: HashMap<Identity, u32>,
    sets: Sets,
    reported: UnixNanos,
    has_ended: bool,
}

#[derive(Debug, Clone)]
struct Scope {
    scope: Option<InstrumentationScope>,
    schema_url: String,
    /// A number for equal scopes.
    number: u32,
}

impl Instruments {
    /// Nothing defined yet.
    pub fn new(options: MetricOptions, resource: Arc<Resource>, now: UnixNanos) -> Self {
        Self {
            options,
            resource,
            scopes: Vec::new(),
            streams: Vec::new(),
            stream_of: Vec::new(),
            known: HashMap::new(),
            sets: Sets::default(),
            reported: now,
            has_ended: false,
        }
    }

    /// The resource of the process that measures.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// The process has described itself.
    pub fn set_resource(&mut self, resource: Arc<Resource>) {
        self.resource = resource;
    }

    /// The engine is gone: the next report is the last.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether the engine is gone.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes a scope's definition; false where it cannot be used.
    pub fn define_scope(&mut self, id: u32, otlp: &[u8]) -> bool {
        if id > DEFINITION_LIMIT {
            return false;
        }
        let Ok(ScopeSpans { scope, schema_url, .. }) = ScopeSpans::decode(otlp) else {
            return false;
        };
        let known = self.scopes.iter().flatten();
        let same =
            known.clone().find(|known| known.scope == scope && known.schema_url == schema_url);
        let number = same.map_or_else(
            || known.map(|known| known.number + 1).max().unwrap_or(0),
            |same| same.number,
        );
        put(&mut self.scopes, id, Some(Scope { scope, schema_url, number }));
        true
    }

    /// Takes an instrument's definition; false where it cannot be used.
    pub fn define_instrument(&mut self, instrument: &Instrument<'_>, now: UnixNanos) -> bool {
        let scope = self.scopes.get(instrument.scope as usize).and_then(Option::as_ref);
        let (Some(scope), 1..=DEFINITION_LIMIT) = (scope, instrument.id) else { return false };
        let Ok(metric) = Metric::decode(instrument.otlp) else { return false };
        let definition = Definition::new(instrument.scope, instrument.kind, metric);
        let identity = definition.identity(scope.number);
        let place = match self.known.get(&identity) {
            Some(place) => *place,
            None if self.streams.len() >= DEFINITION_LIMIT as usize => return false,
            None => {
                let place = self.streams.len() as u32;
                self.streams.push(Stream::new(definition, &self.options, now));
                self.known.insert(identity, place);
                place
            }
        };
        put(&mut self.stream_of, instrument.id, place + 1);
        true
    }

    /// Takes an attribute set's definition; false where it cannot be used.
    pub fn define_attributes(&mut self, id: u32, otlp: &[u8]) -> bool {
        match KeyValueList::decode(otlp) {
            Ok(list) => self.sets.define(id, list.values),
            Err(_) => false,
        }
    }

    /// Adds a measurement up; false where its instrument or its attributes are not known.
    #[inline]
    pub fn measure(&mut self, measurement: &Measurement) -> bool {
        let stream = self.stream_of.get(measurement.instrument as usize);
        let stream = stream.and_then(|place| self.streams.get_mut(place.wrapping_sub(1) as usize));
        let (Some(stream), Some(set)) = (stream, self.sets.of(measurement.attributes)) else {
            return false;
        };
        stream.measure(set, measurement);
        true
    }

    /// What has been measured, by scope.
    pub fn collect(&mut self, now: UnixNanos) -> Vec<ScopeMetrics> {
        let mut by_scope: Vec<(u32, ScopeMetrics)> = Vec::new();
        for stream in &mut self.streams {
            let Some(metric) = stream.collect(&self.sets, self.reported, now) else { continue };
            let scope = self.scopes.get(stream.scope() as usize).and_then(Option::as_ref);
            let Some(scope) = scope else { continue };
            match by_scope.iter_mut().find(|(number, _)| *number == scope.number) {
                Some((_, metrics)) => metrics.metrics.push(metric),
                None => {
                    let metrics = ScopeMetrics {
                        scope: scope.scope.clone(),
                        metrics: vec![metric],
                        schema_url: scope.schema_url.clone(),
                    };
                    by_scope.push((scope.number, metrics));
                }
            }
        }
        self.reported = now;
        if self.sets.wants_sweep() {
            let streams = &mut self.streams;
            self.sets
                .sweep(|in_use| streams.iter_mut().for_each(|stream| stream.mark_sets(in_use)));
        }
        by_scope.into_iter().map(|(_, metrics)| metrics).collect()
    }
}

/// Puts a value at a number that was checked against a limit.
pub(crate) fn put<T: Clone + Default>(values: &mut Vec<T>, id: u32, value: T) {
    let place = id as usize;
    if values.len() <= place {
        values.resize(place + 1, T::default());
    }
    values[place] = value;
}

#[cfg(test)]
mod tests;
