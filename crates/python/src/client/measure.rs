//! The metrics of HTTP clients.

use super::library::Profile;
use super::request::{Method, Server};
use super::settings::Names;
use crate::attributes::{Attributes, Bounds, Value};
use crate::gil::GilCell;
use crate::metrics::{AttributeSet, Instrument, Meter};
use carafe_wire::record::{InstrumentKind, Number, SpanReference};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Combinations of attributes that a library's metrics keep; further ones are measured as the
/// overflow set of the specification ("Cardinality limits").
const SET_LIMIT: usize = 2_000;

/// Advised boundaries in milliseconds.
const OLD_BOUNDARIES: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// Advised boundaries in seconds (semantic conventions, `http.client.request.duration`).
const NEW_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

const UNBOUNDED: Bounds = Bounds { count: None, length: None };

/// The instruments of one library.
pub(super) struct Metrics {
    old: Option<Generation>,
    new: Option<Generation>,
    sets: GilCell<HashMap<Labels, Arc<Sets>>>,
}

/// The instruments under one generation of names.
struct Generation {
    duration: Instrument,
    /// Of requests and of responses.
    sizes: Option<(Instrument, Instrument)>,
}

/// What tells one set of attributes from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Labels {
    pub(super) method: Method,
    pub(super) server: Server,
    pub(super) url: String,
    pub(super) status: Option<i64>,
    pub(super) version: Option<&'static str>,
    pub(super) error: Option<String>,
}

/// A set of attributes under each generation of names.
struct Sets {
    old: AttributeSet,
    new: AttributeSet,
}

/// Bytes of the bodies, where they are known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) request: Option<u64>,
    pub(super) response: Option<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter, profile: &Profile, names: Names) -> Self {
        let histogram = |name: &str, unit: &str, description: &str, bounds: Option<&[f64]>| {
            meter.make(InstrumentKind::Histogram, name, unit, description, bounds)
        };
        let sizes = |[(request, request_text), (response, response_text)]: [(&str, &str); 2]| {
            profile.measures_sizes.then(|| {
                let size = |name: &str, text: &str| histogram(name, "By", text, None);
                (size(request, request_text), size(response, response_text))
            })
        };
        let (text, has_boundaries) = profile.old_duration;
        let boundaries = has_boundaries.then_some(OLD_BOUNDARIES.as_slice());
        Self {
            old: names.old.then(|| Generation {
                duration: histogram("http.client.duration", "ms", text, boundaries),
                sizes: sizes([
                    ("http.client.request.size", "Measures the size of HTTP request messages."),
                    ("http.client.response.size", "Measures the size of HTTP response messages."),
                ]),
            }),
            new: names.new.then(|| Generation {
                duration: histogram(
                    "http.client.request.duration",
                    "s",
                    "Duration of HTTP client requests.",
                    Some(&NEW_BOUNDARIES),
                ),
                sizes: sizes([
                    ("http.client.request.body.size", "Size of HTTP client request bodies."),
                    ("http.client.response.body.size", "Size of HTTP client response bodies."),
                ]),
            }),
            sets: GilCell::new(HashMap::new()),
        }
    }

    /// Measures a call that has ended.
    pub(super) fn measure(
        &self,
        py: Python<'_>,
        profile: &Profile,
        labels: Labels,
        elapsed: Duration,
        sizes: Sizes,
        span: Option<SpanReference>,
    ) {
        let sets = self.sets(py, profile, labels);
        let of_old = (self.old.as_ref(), &sets.old, Number::Int(rounded_ms(elapsed)));
        let of_new = (self.new.as_ref(), &sets.new, Number::Double(elapsed.as_secs_f64()));
        for (generation, set, duration) in [of_old, of_new] {
            let Some(generation) = generation else { continue };
            generation.duration.measure_in(py, duration, Some(set), span);
            let Some((request, response)) = &generation.sizes else { continue };
            for (instrument, size) in [(request, sizes.request), (response, sizes.response)] {
                if let Some(size) = size {
                    instrument.measure_in(py, Number::Int(size.cast_signed()), Some(set), span);
                }
            }
        }
    }

    fn sets(&self, py: Python<'_>, profile: &Profile, labels: Labels) -> Arc<Sets> {
        let has_both = self.old.is_some() && self.new.is_some();
        let Some(mut known) = self.sets.open(py) else { return Arc::new(Sets::overflow(py)) };
        if let Some(sets) = known.get(&labels) {
            return Arc::clone(sets);
        }
        // The overflow set counts as one.
        if known.len() + 1 >= SET_LIMIT {
            let overflow = known.entry(Labels::overflow());
            return Arc::clone(overflow.or_insert_with(|| Arc::new(Sets::overflow(py))));
        }
        let sets = Arc::new(Sets::of(py, profile, &labels, has_both));
        known.insert(labels, Arc::clone(&sets));
        sets
    }
}

/// Whole milliseconds, halves to the even one, as Python rounds.
fn rounded_ms(elapsed: Duration) -> i64 {
    (elapsed.as_secs_f64() * 1_000.0).round_ties_even() as i64
}

impl Labels {
    fn overflow() -> Self {
        Self {
            method: Method::none(),
            server: Server::default(),
            url: String::new(),
            status: None,
            version: None,
            error: None,
        }
    }
}

impl Sets {
    fn of(py: Python<'_>, profile: &Profile, labels: &Labels, has_both: bool) -> Self {
        let Labels { method, server, url, status, version, error } = labels;
        let text = |text: &str| Value::Text(text.into());
        let metric = profile.old_metric;
        let mut old = Attributes::with_capacity(8);
        let mut put = |key, value| old.put(py, key, value, UNBOUNDED);
        put("http.method", text(method.as_str()));
        if let Some(scheme) = server.scheme.as_deref().filter(|_| metric.scheme) {
            put("http.scheme", text(scheme));
        }
        // Who asks for both generations gets what the new one has in the old one, too.
        let has_server = metric.server || (has_both && profile.measures_server);
        if let Some(host) = server.host.as_deref().filter(|_| has_server) {
            put("http.host", text(host));
            put("net.peer.name", text(host));
        }
        if let Some(port) = server.port.filter(|_| has_server) {
            put("net.peer.port", Value::Int(port.into()));
        }
        if let Some(status) = status {
            put("http.status_code", Value::Int(*status));
        }
        if let Some(version) = version.filter(|_| metric.version || has_both) {
            put("http.flavor", Value::Static(version));
        }
        if metric.url {
            put("http.url", text(url));
        }
        let mut new = Attributes::with_capacity(6);
        let mut put = |key, value| new.put(py, key, value, UNBOUNDED);
        put("http.request.method", text(method.as_str()));
        if let Some(host) = server.host.as_deref().filter(|_| profile.measures_server) {
            put("server.address", text(host));
        }
        if let Some(port) = server.port.filter(|_| profile.measures_server) {
            put("server.port", Value::Int(port.into()));
        }
        if let Some(status) = status {
            put("http.response.status_code", Value::Int(*status));
        }
        if let Some(error) = error {
            put("error.type", text(error));
        }
        if let Some(version) = version {
            put("network.protocol.version", Value::Static(version));
        }
        Self { old: AttributeSet::new(py, &old), new: AttributeSet::new(py, &new) }
    }

    fn overflow(py: Python<'_>) -> Self {
        let mut attributes = Attributes::with_capacity(1);
        let is_overflow = pyo3::types::PyBool::new(py, true).to_owned().into_any().unbind();
        attributes.put(py, "otel.metric.overflow", Value::Object(is_overflow), UNBOUNDED);
        let set = || AttributeSet::new(py, &attributes);
        Self { old: set(), new: set() }
    }
}
