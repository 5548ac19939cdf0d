//! The libraries that requests are reported for.

use super::SCOPE_KEY;
use super::request::{Call, Request};
use super::scope::{Kind, Scope};
use crate::attributes::{Attributes, Bounds};
use crate::client::silences_served;
use crate::context;
use crate::current::span_of;
use crate::engine;
use crate::metrics::{Instrument, Meter};
use crate::propagation;
use crate::server::convention::{Mode, OTHER_METHOD, normalised_method};
use crate::server::headers::Capture;
use crate::server::library::{self, ACTIVE};
use crate::server::patterns::{Patterns, excluded_urls};
use crate::server::series::Series;
use crate::span::bounds;
use crate::tracer::{Beginning, kind};
use carafe_wire::record::{InstrumentKind, Number};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Attributes that most requests have in the end.
const ATTRIBUTES: usize = 16;

/// Tells the universal engine once that requests are seen here: at the first scope that an app
/// gets, which is its server's lifespan unless that is off.
#[inline]
fn yield_universal() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    const HTTP_SERVER: u32 = 1;
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        engine::yield_universal(HTTP_SERVER);
    }
}

/// How a library's requests are reported, as its official package does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// No framework: names have paths.
    Asgi,
    /// As `Asgi` until a rule of the app's matches.
    Quart,
    Starlette,
    FastApi,
}

impl Style {
    /// Whether a request without a route is named after its path.
    pub(super) fn names_paths(self) -> bool {
        matches!(self, Self::Asgi | Self::Quart)
    }

    /// Whether the span of a request that ends in an exception and a status of 5xx has the
    /// exception in its status.
    pub(super) fn describes_errors(self) -> bool {
        self != Self::FastApi
    }
}

/// A library whose requests are reported.
#[pyclass(frozen, module = "carafe_engine._native", name = "Asgi")]
pub(super) struct Library {
    pub(super) style: Style,
    pub(super) mode: Mode,
    pub(super) own: library::Library,
    excluded: Patterns,
    pub(super) request_size: Sizes,
    pub(super) response_size: Sizes,
}

/// Histograms of sizes in bytes.
pub(super) struct Sizes {
    pub(super) old: Option<Instrument>,
    pub(super) new: Option<Instrument>,
}

impl Sizes {
    fn new(mode: Mode, meter: &Meter, old: (&str, &str), new: (&str, &str)) -> Self {
        let make = |is_wanted: bool, (name, description): (&str, &str)| {
            is_wanted.then(|| meter.make(InstrumentKind::Histogram, name, "By", description, None))
        };
        Self { old: make(mode.is_old(), old), new: make(mode.is_new(), new) }
    }
}

#[pymethods]
impl Library {
    /// `name` is `asgi`, `starlette`, `fastapi` or `quart`.
    #[new]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        let style = match name {
            "fastapi" => Style::FastApi,
            "starlette" => Style::Starlette,
            "quart" => Style::Quart,
            _ => Style::Asgi,
        };
        // There is no official package for Quart: the one for ASGI serves it.
        let package = if style == Style::Quart { "asgi" } else { name };
        let mode = Mode::of_process();
        let package = format!("opentelemetry.instrumentation.{package}");
        let own = library::Library::new(py, &package, ACTIVE)?;
        let meter = Meter::new(Arc::clone(&own.tracer.scope));
        Ok(Self {
            style,
            mode,
            own,
            excluded: excluded_urls(py, &name.to_uppercase()),
            request_size: Sizes::new(
                mode,
                &meter,
                (
                    "http.server.request.size",
                    "Measures the size of HTTP request messages (compressed).",
                ),
                ("http.server.request.body.size", "Size of HTTP server request bodies."),
            ),
            response_size: Sizes::new(
                mode,
                &meter,
                (
                    "http.server.response.size",
                    "measures the size of HTTP response messages (compressed).",
                ),
                ("http.server.response.body.size", "Size of HTTP server response bodies."),
            ),
        })
    }

    /// The request that begins with a call of an app; `None` where the call is to go through as
    /// it is.
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        scope: &Bound<'py, PyAny>,
        receive: &Bound<'py, PyAny>,
        send: &Bound<'py, PyAny>,
    ) -> Option<Bound<'py, Request>> {
        engine::guard(slf.py(), "asgi", || Self::try_begin(slf, scope, receive, send)).flatten()
    }
}

impl Library {
    fn try_begin<'py>(
        slf: &Bound<'py, Self>,
        scope: &Bound<'py, PyAny>,
        receive: &Bound<'py, PyAny>,
        send: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, Request>>> {
        let (py, library) = (slf.py(), slf.get());
        let Ok(dictionary) = scope.cast::<PyDict>() else { return Ok(None) };
        yield_universal();
        if !engine::is_on() || dictionary.contains(intern!(py, SCOPE_KEY))? {
            return Ok(None);
        }
        let Some(scope) = Scope::of(dictionary) else { return Ok(None) };
        let here = context::current(py);
        if let Some(here) = &here
            && silences_served(here)?
        {
            return Ok(None);
        }
        if !library.excluded.is_empty() && library.excluded.search(py, &scope.url()) {
            // Apps inside this one shall not report it either.
            dictionary.set_item(intern!(py, SCOPE_KEY), py.None())?;
            return Ok(None);
        }
        let start_ns = engine::unix_ns();
        let name = library.first_name(&scope);
        let mut view = scope.view(library.mode);
        let limits = library.limits(py);
        let mut fill = |attributes: &mut Attributes| {
            if library.mode.is_old() {
                view.url = Some(scope.whole_url());
            }
            view.attributes(library.mode, |key, value| attributes.put(py, key, value, limits));
        };
        // Samplers and processors in Python see the attributes; without them, only a span that is
        // recorded needs some.
        let is_observed = library.own.is_observed(py);
        let mut attributes = Attributes::default();
        if is_observed {
            fill(&mut attributes);
        }

        let is_server = match &here {
            Some(here) => span_of(here)?.is_none(),
            None => true,
        };
        let mut outer = None;
        if is_server {
            let header = |name: &'static str| scope.headers.first(name).map(Into::into);
            if let Some(value) = propagation::extract(py, header)? {
                outer = Some(context::attach(&value)?);
            }
        }
        let kind = if is_server { kind::SERVER } else { kind::INTERNAL };
        let beginning = Beginning::here(PyString::new(py, &name).into_any(), kind, attributes)?;
        let beginning = Beginning { start_ns: Some(start_ns), ..beginning };
        let span = library.own.tracer.start(py, beginning)?;
        if !is_observed
            && span.get().is_recording()
            && let Some(mut data) = span.get().data.open(py)
        {
            data.attributes = Attributes::with_capacity(ATTRIBUTES);
            fill(&mut data.attributes);
        }
        // One token undoes both.
        let own = context::attach_span(span.as_any())?;
        let token = outer.unwrap_or(own).unbind();
        let capture = Capture::of_server_requests(py);
        if is_server && !capture.is_empty() {
            scope.headers.capture(&span, capture)?;
        }

        let series = (scope.kind == Kind::Http).then(|| Series::of(py, &view));
        if let Some(series) = &series {
            library.own.active.measure_in(py, Number::Int(1), Some(&series.active), None);
        }
        let call = Call {
            token,
            scope: dictionary.clone().unbind(),
            receive: receive.clone().unbind(),
            send: send.clone().unbind(),
        };
        let request = Request::new(slf, &scope, span, is_server, series, name, call);
        let request = Bound::new(py, request)?;
        dictionary.set_item(intern!(py, SCOPE_KEY), &request)?;
        Ok(Some(request))
    }

    /// What bounds the attributes of its spans.
    pub(super) fn limits(&self, py: Python<'_>) -> Bounds {
        bounds(&self.own.tracer.provider.get().limits(py))
    }

    /// The name of a span until a route is known.
    fn first_name(&self, scope: &Scope<'_, '_>) -> String {
        if self.style.names_paths() {
            return scope.path_name();
        }
        self.method_in_name(scope).into_owned()
    }

    /// The method as names of spans have it.
    pub(super) fn method_in_name(&self, scope: &Scope<'_, '_>) -> Cow<'static, str> {
        let raw = scope.raw_method();
        let normalised = normalised_method(raw.trim());
        match self.style {
            // As it came: the official package does not look at it.
            Style::Starlette if normalised != raw => Cow::Owned(raw),
            Style::Starlette => normalised,
            _ if normalised == OTHER_METHOD => Cow::Borrowed("HTTP"),
            _ => normalised,
        }
    }
}
