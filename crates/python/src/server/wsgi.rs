//! Requests of WSGI servers and of Flask.

use super::convention::{Mode, name_of_method};
use super::environ::Environ;
use super::exchange::Exchange;
use super::headers::Capture;
use super::library::{ACTIVE, ACTIVE_OF_FLASK, Library};
use super::patterns::{Patterns, excluded_urls};
use super::request::{Following, ServerRequest};
use super::response;
use super::view::RequestView;
use crate::capi;
use crate::engine::{self, guard};
use crate::propagation;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

/// A library that serves WSGI, and which URLs the user does not want to hear of.
pub(crate) struct Served {
    pub(crate) library: Arc<Library>,
    excluded: Patterns,
}

impl Served {
    pub(crate) fn new(py: Python<'_>, library: Library, variable: &str) -> Self {
        Self { library: Arc::new(library), excluded: excluded_urls(py, variable) }
    }

    #[inline]
    pub(crate) fn excludes(&self, py: Python<'_>, url: impl FnOnce() -> String) -> bool {
        !self.excluded.is_empty() && self.excluded.search(py, &url())
    }
}

fn wsgi(py: Python<'_>) -> PyResult<&Served> {
    static SERVED: PyOnceLock<Served> = PyOnceLock::new();
    SERVED.get_or_try_init(py, || {
        let library = Library::new(py, "opentelemetry.instrumentation.wsgi", ACTIVE)?;
        Ok(Served::new(py, library, "WSGI"))
    })
}

fn flask(py: Python<'_>) -> PyResult<&Served> {
    static SERVED: PyOnceLock<Served> = PyOnceLock::new();
    SERVED.get_or_try_init(py, || {
        let library = Library::new(py, "opentelemetry.instrumentation.flask", ACTIVE_OF_FLASK)?;
        Ok(Served::new(py, library, "FLASK"))
    })
}

/// Starts the span of a request in an environment.
#[inline]
pub(crate) fn start_span<'py>(
    py: Python<'py>,
    exchange: &mut Exchange,
    environ: Environ<'_, 'py>,
    view: &RequestView<'py>,
    name: &str,
    route: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    exchange.start_span(py, view, name, route, || {
        propagation::extract(py, |header| environ.propagation_header(header))
    })?;
    let capture = Capture::of_server_requests(py);
    if let Some(span) = exchange.server_span().filter(|_| !capture.is_empty()) {
        let span = span.bind(py).clone();
        for (name, value) in environ.headers() {
            let value = value.str()?.to_string();
            response::put_header(&span, capture, &name, vec![value])?;
        }
    }
    Ok(())
}

/// A request has come to a server: `None` where it is none of ours, or is told already.
#[pyfunction]
fn begin_wsgi<'py>(
    environ: &Bound<'py, PyAny>,
    start_response: &Bound<'py, PyAny>,
) -> Option<Bound<'py, ServerRequest>> {
    let py = environ.py();
    if !engine::is_on() {
        return None;
    }
    guard(py, "begin of a request", || {
        let (Some(read), Ok(dict)) = (Environ::of(environ), environ.cast::<PyDict>()) else {
            return Ok(None);
        };
        if ServerRequest::of(read, py).is_some() {
            return Ok(None);
        }
        let served = wsgi(py)?;
        let view = read.view(Mode::of_process());
        let is_excluded = served.excludes(py, || read.readable_url());
        let library = Arc::clone(&served.library);
        let mut exchange = Exchange::begin(py, library, &view, is_excluded);
        let name = read.path_name(view.method.as_str());
        start_span(py, &mut exchange, read, &view, &name, None)?;
        exchange.name_by_path();
        let following = Following::Always;
        ServerRequest::open(py, exchange, dict, Some(start_response), following).map(Some)
    })
    .flatten()
}

/// A request has come to a Flask app: `None` where the server's is taken over, or all is off.
#[pyfunction]
fn begin_flask<'py>(
    environ: &Bound<'py, PyAny>,
    start_response: &Bound<'py, PyAny>,
) -> Option<Bound<'py, ServerRequest>> {
    let py = environ.py();
    if !engine::is_on() {
        return None;
    }
    guard(py, "begin of a request", || {
        let (Some(read), Ok(dict)) = (Environ::of(environ), environ.cast::<PyDict>()) else {
            return Ok(None);
        };
        let served = flask(py)?;
        if let Some(outer) = ServerRequest::of(read, py)
            && outer.get().claim(py)
        {
            let is_excluded = served.excludes(py, || read.readable_url());
            outer.get().with(py, |exchange| {
                exchange.hand_over(py, &served.library);
                if is_excluded {
                    exchange.exclude();
                }
                Ok(())
            })?;
            return Ok(None);
        }
        let view = read.view(Mode::of_process());
        let is_excluded = served.excludes(py, || read.readable_url());
        let library = Arc::clone(&served.library);
        let is_observed = library.is_observed(py);
        let mut exchange = Exchange::begin(py, library, &view, is_excluded);
        // Samplers and processors in Python want to see the route: for them the span starts once
        // it is known.
        if !is_observed {
            let name = name_of_method(view.method.as_str());
            start_span(py, &mut exchange, read, &view, name, None)?;
        }
        let following = Following::WithoutLength;
        let request = ServerRequest::open(py, exchange, dict, Some(start_response), following)?;
        request.get().claim(py);
        Ok(Some(request))
    })
    .flatten()
}

/// Flask has looked for the route of a request (an object of `flask.Request`).
#[pyfunction]
fn routed_by_flask(request: &Bound<'_, PyAny>) {
    let py = request.py();
    guard(py, "route of a request", || {
        let environ = request.getattr(intern!(py, "environ"))?;
        let Some(read) = Environ::of(&environ) else { return Ok(()) };
        let Some(served) = ServerRequest::of(read, py) else { return Ok(()) };
        let rule = request.getattr(intern!(py, "url_rule"))?;
        let route = match rule.is_none() {
            true => None,
            false => Some(rule.getattr(intern!(py, "rule"))?),
        };
        let mode = Mode::of_process();
        served.get().with(py, |exchange| {
            if exchange.is_excluded() {
                return Ok(());
            }
            let name = |method: &str| {
                let method = name_of_method(method);
                match route.as_ref().and_then(capi::utf8) {
                    Some(route) => format!("{method} {route}"),
                    None => method.to_owned(),
                }
            };
            if exchange.span().is_none() {
                let view = read.view(mode);
                let name = name(view.method.as_str());
                return start_span(py, exchange, read, &view, &name, route.as_ref());
            }
            match &route {
                Some(route) => {
                    let name = name(exchange.method());
                    exchange.set_route(route, &name)
                }
                None => {
                    let name = name(exchange.method());
                    exchange.set_name(py, &name);
                    Ok(())
                }
            }
        })?;
        Ok(())
    });
}

/// A framework has an exception that no handler of the app wanted.
#[pyfunction]
fn failed_in_app(environ: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) {
    let py = environ.py();
    guard(py, "exception of a request", || {
        let request = Environ::of(environ).and_then(|read| ServerRequest::of(read, py));
        if let Some(request) = request {
            request.get().with(py, |exchange| exchange.note_exception(exception, false))?;
        }
        Ok(())
    });
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(begin_wsgi, module)?)?;
    module.add_function(wrap_pyfunction!(begin_flask, module)?)?;
    module.add_function(wrap_pyfunction!(routed_by_flask, module)?)?;
    module.add_function(wrap_pyfunction!(failed_in_app, module)?)
}
