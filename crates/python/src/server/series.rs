//! The attribute sets of requests' metrics, each made once.

use super::convention::{Mode, Status};
use super::view::{RequestView, Text};
use crate::attributes::{Attributes, Bounds, Value};
use crate::gil::GilCell;
use crate::metrics::AttributeSet;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBool;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Attribute sets that are made. A client chooses the `Host` header, so there may be ever new ones:
/// beyond the limit requests are measured in the set that the specification has for that.
const SET_LIMIT: u32 = 4_096;

const NO_BOUNDS: Bounds = Bounds { count: None, length: None };

/// What the metrics of a request have in common from its start.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    method: Box<str>,
    scheme: Option<Box<str>>,
    server_name: Option<Box<str>>,
    host: Option<Box<str>>,
    net_host_name: Option<Box<str>>,
    server_port: Option<i64>,
    version: Option<Box<str>>,
}

/// The requests that have the same facts.
pub(crate) struct Series {
    /// `None` for all those that came when there were too many.
    facts: Option<Facts>,
    /// Of `http.server.active_requests`.
    pub(crate) active: AttributeSet,
    durations: GilCell<Map<Arc<Durations>>>,
}

/// The attribute sets of a request's duration.
pub(crate) struct Durations {
    status: Option<Status>,
    error_type: Option<Box<str>>,
    route: Option<Box<str>>,
    target: Option<Box<str>>,
    /// Of `http.server.duration`.
    pub(crate) old: Option<AttributeSet>,
    /// Of `http.server.request.duration`.
    pub(crate) new: Option<AttributeSet>,
}

type Map<T> = HashMap<u64, T, BuildHasherDefault<Hashed>>;

/// Hashes what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// FxHash over texts and numbers: quick, and a collision is found out by comparing.
struct Mix(u64);

impl Mix {
    fn number(&mut self, number: u64) {
        const SEED: u64 = 0x517c_c1b7_2722_0a95;
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(SEED);
    }

    #[inline]
    fn text(&mut self, text: Option<&str>) {
        let bytes = text.unwrap_or_default().as_bytes();
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
    }
}

fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
}

impl Facts {
    fn of(view: &RequestView<'_>) -> Self {
        let own = |value: &Option<Text<'_>>| text(value).map(Box::from);
        Self {
            method: view.method.as_str().into(),
            scheme: own(&view.scheme),
            server_name: own(&view.server_name),
            host: own(&view.host),
            net_host_name: own(&view.net_host_name),
            server_port: view.server_port,
            version: own(&view.version),
        }
    }

    #[inline]
    fn are_of(&self, view: &RequestView<'_>) -> bool {
        *self.method == *view.method.as_str()
            && self.server_port == view.server_port
            && self.host.as_deref() == text(&view.host)
            && self.net_host_name.as_deref() == text(&view.net_host_name)
            && self.server_name.as_deref() == text(&view.server_name)
            && self.scheme.as_deref() == text(&view.scheme)
            && self.version.as_deref() == text(&view.version)
    }
}

impl Series {
    /// The series of a request.
    #[inline]
    pub(crate) fn of(py: Python<'_>, view: &RequestView<'_>) -> Arc<Self> {
        static KNOWN: GilCell<Map<Arc<Series>>> =
            GilCell::new(HashMap::with_hasher(BuildHasherDefault::new()));
        let mut mix = Mix(0);
        mix.text(Some(view.method.as_str()));
        mix.text(text(&view.host));
        mix.text(text(&view.net_host_name));
        mix.text(text(&view.server_name));
        mix.text(text(&view.scheme));
        mix.text(text(&view.version));
        mix.number(view.server_port.unwrap_or_default().cast_unsigned());
        let hash = mix.0;
        if let Some(known) = KNOWN.open(py)
            && let Some(series) = known.get(&hash)
            && series.facts.as_ref().is_some_and(|facts| facts.are_of(view))
        {
            return Arc::clone(series);
        }
        if !may_make_set() {
            return Arc::clone(overflow(py));
        }
        let series = Arc::new(Self::new(py, Facts::of(view)));
        if let Some(mut known) = KNOWN.open(py) {
            known.insert(hash, Arc::clone(&series));
        }
        series
    }

    #[cold]
    fn new(py: Python<'_>, facts: Facts) -> Self {
        let mode = Mode::of_process();
        let mut active = Attributes::default();
        if mode.is_old() {
            facts.put_old(py, &mut active);
        }
        if mode.is_new() {
            put(py, &mut active, "http.request.method", Some(&facts.method));
            put(py, &mut active, "url.scheme", facts.scheme.as_deref());
        }
        Self {
            active: AttributeSet::new(py, &active),
            facts: Some(facts),
            durations: GilCell::new(HashMap::default()),
        }
    }

    /// The attribute sets for a request's duration, once its outcome is known. `route` is
    /// `http.route` of the stable conventions, `target` is `http.target` of the old.
    #[inline]
    pub(crate) fn durations(
        &self,
        py: Python<'_>,
        status: Option<&Status>,
        error_type: Option<&str>,
        route: Option<&str>,
        target: Option<&str>,
    ) -> Arc<Durations> {
        let mut mix = Mix(0);
        match status {
            Some(Status::Code(code)) => mix.number(u64::from(*code) + 2),
            Some(Status::Unreadable(text)) => mix.text(Some(text)),
            None => mix.number(1),
        }
        mix.text(error_type);
        mix.text(route);
        mix.text(target);
        let hash = mix.0;
        if let Some(known) = self.durations.open(py)
            && let Some(durations) = known.get(&hash)
            && durations.status.as_ref() == status
            && durations.error_type.as_deref() == error_type
            && durations.route.as_deref() == route
            && durations.target.as_deref() == target
        {
            return Arc::clone(durations);
        }
        let facts = self.facts.as_ref().filter(|_| may_make_set());
        let durations = Arc::new(match facts {
            Some(facts) => Durations::new(py, facts, status, error_type, route, target),
            None => return Arc::clone(overflow_durations(py)),
        });
        if let Some(mut known) = self.durations.open(py) {
            known.insert(hash, Arc::clone(&durations));
        }
        durations
    }
}

/// Counts an attribute set that is to be made; whether it may be.
fn may_make_set() -> bool {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let is_allowed = MADE.load(Ordering::Relaxed) < SET_LIMIT;
    if is_allowed {
        MADE.fetch_add(1, Ordering::Relaxed);
    }
    is_allowed
}

/// The series of the requests for which no sets are made.
fn overflow(py: Python<'_>) -> &Arc<Series> {
    static OVERFLOW: PyOnceLock<Arc<Series>> = PyOnceLock::new();
    OVERFLOW.get_or_init(py, || {
        Arc::new(Series {
            facts: None,
            active: overflow_set(py),
            durations: GilCell::new(HashMap::default()),
        })
    })
}

/// Its durations.
fn overflow_durations(py: Python<'_>) -> &Arc<Durations> {
    static OVERFLOW: PyOnceLock<Arc<Durations>> = PyOnceLock::new();
    OVERFLOW.get_or_init(py, || {
        Arc::new(Durations {
            status: None,
            error_type: None,
            route: None,
            target: None,
            old: Some(overflow_set(py)),
            new: Some(overflow_set(py)),
        })
    })
}

/// OpenTelemetry specification, "Metrics SDK", "Overflow attribute".
fn overflow_set(py: Python<'_>) -> AttributeSet {
    let mut set = Attributes::default();
    let value = PyBool::new(py, true).to_owned().into_any().unbind();
    set.put(py, "otel.metric.overflow", Value::Object(value), NO_BOUNDS);
    AttributeSet::new(py, &set)
}

impl Durations {
    #[cold]
    fn new(
        py: Python<'_>,
        facts: &Facts,
        status: Option<&Status>,
        error_type: Option<&str>,
        route: Option<&str>,
        target: Option<&str>,
    ) -> Self {
        let mode = Mode::of_process();
        let code = match status {
            Some(Status::Code(code)) => Some(i64::from(*code)),
            _ => None,
        };
        let old = mode.is_old().then(|| {
            let mut set = Attributes::default();
            facts.put_old(py, &mut set);
            put(py, &mut set, "net.host.name", facts.net_host_name.as_deref());
            put_number(py, &mut set, "net.host.port", facts.server_port);
            put_number(py, &mut set, "http.status_code", code);
            put(py, &mut set, "http.target", target);
            AttributeSet::new(py, &set)
        });
        let new = mode.is_new().then(|| {
            let mut set = Attributes::default();
            put(py, &mut set, "http.request.method", Some(&facts.method));
            put(py, &mut set, "url.scheme", facts.scheme.as_deref());
            put(py, &mut set, "network.protocol.version", facts.version.as_deref());
            put_number(py, &mut set, "http.response.status_code", code);
            put(py, &mut set, "error.type", error_type);
            put(py, &mut set, "http.route", route);
            AttributeSet::new(py, &set)
        });
        Self {
            status: status.cloned(),
            error_type: error_type.map(Box::from),
            route: route.map(Box::from),
            target: target.map(Box::from),
            old,
            new,
        }
    }
}

impl Facts {
    /// What active requests and durations have in common in the old conventions.
    fn put_old(&self, py: Python<'_>, set: &mut Attributes) {
        put(py, set, "http.method", Some(&self.method));
        put(py, set, "http.server_name", self.server_name.as_deref());
        put(py, set, "http.scheme", self.scheme.as_deref());
        put(py, set, "http.host", self.host.as_deref());
        put(py, set, "http.flavor", self.version.as_deref());
    }
}

fn put(py: Python<'_>, set: &mut Attributes, key: &'static str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        set.put(py, key, Value::Text(value.into()), NO_BOUNDS);
    }
}

fn put_number(py: Python<'_>, set: &mut Attributes, key: &'static str, value: Option<i64>) {
    if let Some(value) = value {
        set.put(py, key, Value::Int(value), NO_BOUNDS);
    }
}
