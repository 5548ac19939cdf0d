//! Under whose name requests are told: the tracer and the instruments of a library.

use super::convention::{DURATION_BOUNDARIES_S, Mode};
use crate::metrics::{Instrument, Meter};
use crate::provider::Provider;
use crate::scope::Scope;
use crate::tracer::Tracer;
use carafe_wire::record::InstrumentKind;
use pyo3::prelude::*;
use std::sync::Arc;

/// A library whose requests are told.
pub(crate) struct Library {
    pub(crate) tracer: Tracer,
    /// `http.server.active_requests`.
    pub(crate) active: Instrument,
    /// `http.server.duration`, in milliseconds.
    pub(crate) duration_old: Option<Instrument>,
    /// `http.server.request.duration`, in seconds.
    pub(crate) duration_new: Option<Instrument>,
}

/// A unit and a description.
type Wording = (&'static str, &'static str);

/// How `http.server.active_requests` is worded by most packages.
pub(crate) const ACTIVE: Wording = ("{request}", "Number of active HTTP server requests.");

/// How the official Flask package words it with the old conventions.
pub(crate) const ACTIVE_OF_FLASK: Wording =
    ("requests", "Measures the number of concurrent HTTP requests that are currently in-flight.");

impl Library {
    /// The library whose official package has that name.
    pub(crate) fn new(py: Python<'_>, name: &str, active: Wording) -> PyResult<Self> {
        let mode = Mode::of_process();
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let schema_url = Some(mode.schema_url().to_owned());
        let scope = Arc::new(Scope::new(name, version, schema_url, None, py)?);
        let tracer = Tracer::new(Provider::global(py)?.clone_ref(py), Arc::clone(&scope));
        let meter = Meter::new(scope);
        let (unit, description) = if mode.is_new() { ACTIVE } else { active };
        let active = meter.make(
            InstrumentKind::UpDownCounter,
            "http.server.active_requests",
            unit,
            description,
            None,
        );
        let duration_old = mode.is_old().then(|| {
            meter.make(
                InstrumentKind::Histogram,
                "http.server.duration",
                "ms",
                "Measures the duration of inbound HTTP requests.",
                None,
            )
        });
        let duration_new = mode.is_new().then(|| {
            meter.make(
                InstrumentKind::Histogram,
                "http.server.request.duration",
                "s",
                "Duration of HTTP server requests.",
                Some(&DURATION_BOUNDARIES_S),
            )
        });
        Ok(Self { tracer, active, duration_old, duration_new })
    }

    /// Whether Python code sees spans begin.
    #[inline]
    pub(crate) fn is_observed(&self, py: Python<'_>) -> bool {
        let wishes = self.tracer.provider.get().wishes(py);
        wishes.sampler.is_err() || wishes.processor.is_some()
    }
}
