//! Requests of Django's handlers.

use super::convention::{Mode, Status, name_of_method};
use super::environ::Environ;
use super::exchange::Exchange;
use super::headers::Capture;
use super::library::{ACTIVE, Library};
use super::request::{Following, ServerRequest};
use super::response;
use super::view::RequestView;
use super::wsgi::{Served, start_span};
use crate::asgi;
use crate::asgi::scope::Scope;
use crate::capi;
use crate::engine::{self, guard};
use crate::propagation;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

fn django(py: Python<'_>) -> PyResult<&Served> {
    static SERVED: PyOnceLock<Served> = PyOnceLock::new();
    SERVED.get_or_try_init(py, || {
        let library = Library::new(py, "opentelemetry.instrumentation.django", ACTIVE)?;
        Ok(Served::new(py, library, "DJANGO"))
    })
}

/// A route that Django has found, of its `ResolverMatch`.
struct Match<'py> {
    /// What was declared; `None` for the empty one of a root.
    route: Option<Bound<'py, PyAny>>,
    /// What the span's name has: the route, or else the name of the URL.
    label: Option<Bound<'py, PyAny>>,
}

impl<'py> Match<'py> {
    fn of(found: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = found.py();
        let text = |name| -> PyResult<Option<Bound<'py, PyAny>>> {
            let text = found.getattr_opt(name)?;
            Ok(text.filter(|text| capi::utf8(text).is_some_and(|text| !text.is_empty())))
        };
        let route = match found.is_none() {
            true => None,
            false => text(intern!(py, "route"))?,
        };
        let label = match &route {
            Some(route) => Some(route.clone()),
            None if found.is_none() => None,
            None => text(intern!(py, "url_name"))?,
        };
        Ok(Self { route, label })
    }

    fn name(&self, method: &str) -> String {
        match self.label.as_ref().and_then(capi::utf8) {
            Some(label) if method != super::convention::OTHER_METHOD => format!("{method} {label}"),
            _ => name_of_method(method).to_owned(),
        }
    }
}

/// A request (an object of `HttpRequest`) has come to a handler: `None` where it is none of ours.
/// `found` is the route where it is known already.
#[pyfunction]
fn begin_django<'py>(
    request: &Bound<'py, PyAny>,
    found: &Bound<'py, PyAny>,
) -> Option<Bound<'py, ServerRequest>> {
    let py = request.py();
    if !engine::is_on() {
        return None;
    }
    guard(py, "begin of a request", || {
        let meta = request.getattr(intern!(py, "META"))?;
        let (Some(read), Ok(meta)) = (Environ::of(&meta), meta.cast::<PyDict>()) else {
            return Ok(None);
        };
        let served = django(py)?;
        let scope = request.getattr_opt(intern!(py, "scope"))?;
        let scope = scope.as_ref().and_then(|scope| scope.cast::<PyDict>().ok());
        let came = match scope.and_then(Scope::of) {
            Some(scope) => Came::ByAsgi(scope),
            None => Came::ByWsgi(read),
        };
        if served.excludes(py, || came.url()) {
            return Ok(None);
        }
        if let Some(outer) = ServerRequest::of(read, py)
            && outer.get().claim(py)
        {
            outer.get().with(py, |exchange| {
                exchange.hand_over(py, &served.library);
                Ok(())
            })?;
            return Ok(Some(outer));
        }
        if scope.is_some_and(|scope| asgi::request::Request::of_scope(scope).is_some()) {
            return Ok(None);
        }
        let view = came.view(Mode::of_process());
        let library = Arc::clone(&served.library);
        let mut exchange = Exchange::begin(py, library, &view, false);
        let name = Match::of(found)?.name(view.method.as_str());
        came.start_span(py, &mut exchange, &view, &name)?;
        let request = ServerRequest::open(py, exchange, meta, None, Following::Always)?;
        request.get().claim(py);
        Ok(Some(request))
    })
    .flatten()
}

/// How a request has come to Django.
enum Came<'a, 'py> {
    ByWsgi(Environ<'a, 'py>),
    ByAsgi(Scope<'a, 'py>),
}

impl<'py> Came<'_, 'py> {
    /// Without the query.
    fn url(&self) -> String {
        match self {
            Self::ByWsgi(environ) => {
                let mut url = environ.readable_url();
                url.truncate(url.find('?').unwrap_or(url.len()));
                url
            }
            Self::ByAsgi(scope) => scope.url(),
        }
    }

    fn view(&self, mode: Mode) -> RequestView<'py> {
        match self {
            Self::ByWsgi(environ) => environ.view(mode),
            Self::ByAsgi(scope) => {
                let mut view = scope.view(mode);
                view.url = mode.is_old().then(|| scope.whole_url());
                view
            }
        }
    }

    fn start_span(
        &self,
        py: Python<'py>,
        exchange: &mut Exchange,
        view: &RequestView<'py>,
        name: &str,
    ) -> PyResult<()> {
        let scope = match self {
            Self::ByWsgi(environ) => {
                return start_span(py, exchange, *environ, view, name, None);
            }
            Self::ByAsgi(scope) => scope,
        };
        exchange.start_span(py, view, name, None, || {
            propagation::extract(py, |header| scope.headers.first(header).map(Into::into))
        })?;
        let capture = Capture::of_server_requests(py);
        if let Some(span) = exchange.server_span().filter(|_| !capture.is_empty()) {
            scope.headers.capture(span.bind(py), capture)?;
        }
        Ok(())
    }
}

/// A handler has found the route of a request that an ASGI server's shim tells.
#[pyfunction]
fn routed_by_django(scope: &Bound<'_, PyAny>, found: &Bound<'_, PyAny>) {
    let py = scope.py();
    guard(py, "route of a request", || {
        let route = Match::of(found)?.route;
        if let (Some(request), Some(route)) =
            (asgi::request::Request::of_scope(scope), route.as_ref().and_then(capi::utf8))
        {
            request.get().set_route(py, route.to_owned(), Some(route.to_owned()));
        }
        Ok(())
    });
}

/// A handler has a response (an object of `HttpResponse`). `found` is the route that led to it,
/// `looked_up` one that no view was called for: the span's name has it alone.
#[pyfunction]
fn end_django(
    served: &Bound<'_, ServerRequest>,
    response: &Bound<'_, PyAny>,
    found: &Bound<'_, PyAny>,
    looked_up: &Bound<'_, PyAny>,
) {
    let py = served.py();
    guard(py, "end of a request", || {
        let found = Match::of(found)?;
        let looked_up = Match::of(looked_up)?;
        let status: u16 = response.getattr(intern!(py, "status_code"))?.extract()?;
        let span = served.get().with(py, |exchange| {
            let named = if found.label.is_some() { &found } else { &looked_up };
            let name = named.name(exchange.method());
            match &found.route {
                Some(route) => exchange.set_route(route, &name)?,
                None => exchange.set_name(py, &name),
            }
            exchange.set_status(Status::Code(status));
            Ok(exchange.server_span().map(|span| span.clone_ref(py)))
        })?;
        if let Some(span) = span.flatten() {
            let capture = Capture::of_server_responses(py);
            if !capture.is_empty() {
                let headers = response.call_method0(intern!(py, "items"))?;
                response::capture_headers(span.bind(py), capture, &headers)?;
            }
        }
        response::propagate_in_mapping(py, response)?;
        served.get().end_in_framework(py)
    });
}

/// Whether Python code sees spans begin: then it wants to see their names.
#[pyfunction]
fn are_spans_observed(py: Python<'_>) -> bool {
    guard(py, "begin of a request", || Ok(django(py)?.library.is_observed(py))).unwrap_or(false)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(begin_django, module)?)?;
    module.add_function(wrap_pyfunction!(routed_by_django, module)?)?;
    module.add_function(wrap_pyfunction!(end_django, module)?)?;
    module.add_function(wrap_pyfunction!(are_spans_observed, module)?)
}
