//! A request in the hands of the Python half: what the server calls `start_response`, and what it
//! iterates over.

use super::convention::Status;
use super::environ::Environ;
use super::exchange::Exchange;
use super::headers::Capture;
use super::response;
use crate::capi;
use crate::engine::guard;
use crate::gil::GilCell;
use crate::span::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

/// The key of a request in its WSGI environment, while the app runs.
pub(crate) fn environ_key(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "carafe.request")
}

/// When a request's span ends, where the app returns an iterable that is still to be produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// When the iterable is closed.
    Always,
    /// When the iterable is closed, or, where the response says its length, at once: frameworks
    /// say it of bodies that they hold.
    WithoutLength,
}

/// A request that is served. It is also its own `start_response`: one object instead of two.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct ServerRequest {
    exchange: GilCell<Exchange>,
    held: GilCell<Held>,
    following: Following,
}

/// What belongs to the request while the app runs; given back at its end, so that no cycle is left
/// to the garbage collector.
struct Held {
    environ: Option<Py<PyDict>>,
    start_response: Option<Py<PyAny>>,
    /// The request of a server around this one.
    outer: Option<Py<PyAny>>,
    /// Whether a framework inside has taken this request of the server's over.
    is_claimed: bool,
    has_length: bool,
}

impl ServerRequest {
    /// Puts a request into its environment, so that what runs inside finds it.
    pub(crate) fn open<'py>(
        py: Python<'py>,
        exchange: Exchange,
        environ: &Bound<'py, PyDict>,
        start_response: Option<&Bound<'py, PyAny>>,
        following: Following,
    ) -> PyResult<Bound<'py, Self>> {
        let outer = environ.get_item(environ_key(py))?;
        let request = Bound::new(
            py,
            Self {
                exchange: GilCell::new(exchange),
                held: GilCell::new(Held {
                    environ: Some(environ.clone().unbind()),
                    start_response: start_response.map(|given| given.clone().unbind()),
                    outer: outer.map(Bound::unbind),
                    is_claimed: false,
                    has_length: false,
                }),
                following,
            },
        )?;
        environ.set_item(environ_key(py), &request)?;
        Ok(request)
    }

    /// The request in an environment.
    #[inline]
    pub(crate) fn of<'py>(environ: Environ<'_, 'py>, py: Python<'py>) -> Option<Bound<'py, Self>> {
        environ.get(environ_key(py))?.cast_into::<Self>().ok()
    }

    /// Works on the exchange. No Python code may come back to this request meanwhile.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Exchange) -> PyResult<R>,
    ) -> PyResult<Option<R>> {
        match self.exchange.open(py) {
            Some(mut exchange) => work(&mut exchange).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the request over from the server; whether it was still to be had.
    pub(crate) fn claim(&self, py: Python<'_>) -> bool {
        self.held.open(py).is_some_and(|mut held| !std::mem::replace(&mut held.is_claimed, true))
    }

    /// The response has begun.
    #[inline]
    fn respond(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let Some(status) = argument(arguments, keywords, 0, &["status"]) else { return Ok(()) };
        let names = ["headers", "response_headers"];
        let Some(headers) = argument(arguments, keywords, 1, &names) else { return Ok(()) };
        let status = Status::from_line(capi::utf8(&status).unwrap_or_default());
        if self.following == Following::WithoutLength
            && let Ok(headers) = headers.cast::<PyList>()
            && let Some(mut held) = self.held.open(py)
        {
            held.has_length = has_length(headers);
        }
        let span = self.with(py, |exchange| {
            exchange.set_status(status);
            Ok(exchange.server_span().map(|span| span.clone_ref(py)))
        })?;
        if let Some(span) = span.flatten() {
            let capture = Capture::of_server_responses(py);
            if !capture.is_empty() {
                response::capture_headers(span.bind(py), capture, &headers)?;
            }
        }
        response::propagate(py, &headers)
    }

    /// The app is done with the environment.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let Some(mut held) = self.held.open(py) else { return Ok(()) };
        let (environ, outer) = (held.environ.take(), held.outer.take());
        drop(held);
        if let Some(environ) = environ {
            let environ = environ.bind(py);
            match outer {
                Some(outer) => environ.set_item(environ_key(py), outer)?,
                // The app may have tidied its environment.
                None if environ.contains(environ_key(py))? => environ.del_item(environ_key(py))?,
                None => {}
            }
        }
        Ok(())
    }

    /// Whether the body is there already, or is none of ours to touch.
    fn is_complete(&self, iterable: &Bound<'_, PyAny>) -> bool {
        let py = iterable.py();
        if iterable.is_exact_instance_of::<PyList>() || iterable.is_exact_instance_of::<PyTuple>() {
            return true;
        }
        let Some(held) = self.held.open(py) else { return true };
        if held.has_length {
            return true;
        }
        let environ = held.environ.as_ref().map(|environ| environ.bind(py).clone());
        drop(held);
        // A server recognises its own class and sends the file itself.
        let wrapper = environ
            .and_then(|environ| environ.get_item(intern!(py, "wsgi.file_wrapper")).ok().flatten());
        wrapper.is_some_and(|wrapper| iterable.is_instance(&wrapper).unwrap_or(true))
    }

    /// A framework is done with the request: it ends here, unless it is the server's.
    pub(crate) fn end_in_framework(&self, py: Python<'_>) -> PyResult<()> {
        let is_servers = self.held.open(py).is_some_and(|held| held.start_response.is_some());
        if !is_servers {
            self.release(py)?;
            self.with(py, |exchange| exchange.finish(py))?;
        }
        Ok(())
    }

    fn finish(&self, py: Python<'_>) {
        guard(py, "end of a request", || self.with(py, |exchange| exchange.finish(py)));
    }
}

/// An argument by its place or, where servers allow that, by one of its names.
#[inline]
fn argument<'py>(
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
    place: usize,
    names: &[&str],
) -> Option<Bound<'py, PyAny>> {
    match (arguments.get_item(place), keywords) {
        (Ok(given), _) => Some(given),
        (Err(_), Some(keywords)) => {
            names.iter().find_map(|name| keywords.get_item(name).ok().flatten())
        }
        (Err(_), None) => None,
    }
}

#[inline]
fn has_length(headers: &Bound<'_, PyList>) -> bool {
    headers.iter().any(|header| {
        header.cast::<PyTuple>().ok().and_then(|pair| pair.get_item(0).ok()).is_some_and(|name| {
            capi::utf8(&name).is_some_and(|name| name.eq_ignore_ascii_case("content-length"))
        })
    })
}

#[pymethods]
impl ServerRequest {
    /// `start_response`.
    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        guard(py, "start of a response", || self.respond(py, arguments, keywords));
        let given = self
            .held
            .open(py)
            .and_then(|held| held.start_response.as_ref().map(|given| given.bind(py).clone()));
        match given {
            Some(start_response) => start_response.call(arguments, keywords),
            None => Err(pyo3::exceptions::PyRuntimeError::new_err("the request has ended")),
        }
    }

    /// The request's span; `None` where it has none.
    #[getter]
    fn span(&self, py: Python<'_>) -> PyResult<Option<Py<Span>>> {
        let span = self.with(py, |exchange| Ok(exchange.span().map(|span| span.clone_ref(py))))?;
        Ok(span.flatten())
    }

    /// The app has failed with an exception.
    fn fail(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) {
        guard(py, "failure of a request", || {
            self.release(py)?;
            let is_error = exception.is_instance_of::<pyo3::exceptions::PyException>();
            self.with(py, |exchange| {
                if is_error && !exchange.has_exception() {
                    let names_error = self.following == Following::Always;
                    exchange.note_exception(exception, names_error)?;
                }
                exchange.finish(py)
            })
        });
    }

    /// The app has returned. Gives what the server is to iterate over: the iterable itself where
    /// the request ends here.
    fn done<'py>(slf: &Bound<'py, Self>, iterable: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let (py, request) = (slf.py(), slf.get());
        let followed = guard(py, "end of a request", || {
            let is_complete = request.is_complete(&iterable);
            request.release(py)?;
            if is_complete {
                request.with(py, |exchange| exchange.finish(py))?;
                return Ok(None);
            }
            request.with(py, |exchange| {
                exchange.leave(py);
                Ok(())
            })?;
            Bound::new(py, Body::new(slf, &iterable)).map(Some)
        });
        match followed.flatten() {
            Some(body) => body.into_any(),
            None => iterable,
        }
    }
}

/// The body of a response that is produced while it is sent. The request's span is current
/// meanwhile, and ends with it.
#[pyclass(frozen, module = "carafe_engine._native")]
struct Body {
    request: Py<ServerRequest>,
    iterable: Py<PyAny>,
    iterator: GilCell<Option<Py<PyAny>>>,
}

impl Body {
    fn new(request: &Bound<'_, ServerRequest>, iterable: &Bound<'_, PyAny>) -> Self {
        Self {
            request: request.clone().unbind(),
            iterable: iterable.clone().unbind(),
            iterator: GilCell::new(None),
        }
    }

    /// Runs the app's code in the request's context; its exception is the request's.
    fn inside<'py, R>(&self, py: Python<'py>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        let request = self.request.get();
        let token = guard(py, "body of a response", || {
            let span = request.with(py, |exchange| {
                Ok(exchange.span().map(|span| span.bind(py).clone().into_any()))
            })?;
            span.flatten().map(|span| crate::context::attach_span(&span)).transpose()
        });
        let result = work();
        if let Some(token) = token.flatten() {
            let _other_context = crate::context::detach(&token);
        }
        if let Err(error) = &result
            && error.is_instance_of::<pyo3::exceptions::PyException>(py)
        {
            guard(py, "body of a response", || {
                request.with(py, |exchange| exchange.note_exception(error.value(py), false))
            });
        }
        result
    }

    fn iterator<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let known = self
            .iterator
            .open(py)
            .and_then(|iterator| iterator.as_ref().map(|iterator| iterator.bind(py).clone()));
        if let Some(known) = known {
            return Ok(known);
        }
        let iterator = self.iterable.bind(py).try_iter()?.into_any();
        if let Some(mut kept) = self.iterator.open(py) {
            *kept = Some(iterator.clone().unbind());
        }
        Ok(iterator)
    }
}

#[pymethods]
impl Body {
    fn __iter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inside(py, || {
            let mut iterator = self.iterator(py)?.cast_into::<pyo3::types::PyIterator>()?;
            iterator.next().transpose()
        })
    }

    /// Closes the app's iterable and ends the request.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let iterable = self.iterable.bind(py);
        let closed = self.inside(py, || match iterable.getattr_opt(intern!(py, "close"))? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        });
        let request = self.request.get();
        request.finish(py);
        // Servers keep the body where this leads to.
        let start_response = request.held.open(py).and_then(|mut held| held.start_response.take());
        drop(start_response);
        closed
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ServerRequest>()?;
    module.add_class::<Body>()
}
