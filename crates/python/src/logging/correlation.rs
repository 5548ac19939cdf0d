//! Which span a record belongs to, and its ids on the records that the app formats.

use crate::context;
use crate::current::{Parent, parent_in};
use crate::ids::hex;
use crate::method::{self, Call, Wrapper};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::cell::RefCell;

/// The logger of werkzeug's access log.
const ACCESS_LOGGER: &str = "werkzeug";

/// A request that a thread of werkzeug's server works on.
#[derive(Default)]
enum Request {
    /// None.
    #[default]
    None,
    /// Its span has not ended, or there is none.
    Running,
    /// Its span has ended; the access log is still to come.
    Ended(Parent),
}

thread_local! {
    static REQUEST: RefCell<Request> = const { RefCell::new(Request::None) };
}

/// The span of an HTTP server has ended in this thread. Where werkzeug's server waits below, that
/// is the span which its access log belongs to: it writes the line after the app has returned.
pub(crate) fn request_ended(span: impl FnOnce() -> Parent) {
    // The interpreter may outlive the data of its thread: embedding servers end it at exit.
    let _at_exit = REQUEST.try_with(|request| {
        let mut request = request.borrow_mut();
        if !matches!(*request, Request::None) {
            *request = Request::Ended(span());
        }
    });
}

/// The span of a record: the current one, or for the access log the one of its request.
#[inline]
pub(super) fn span(py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<Option<Parent>> {
    if let Some(value) = context::current(py)
        && let Some(span) = parent_in(&value)?
    {
        return Ok(Some(span));
    }
    // A copy: the record's class may be the app's, and do anything when it is asked.
    let ended = REQUEST.try_with(|request| match &*request.borrow() {
        Request::Ended(span) => Some(span.clone()),
        _ => None,
    });
    let Ok(Some(ended)) = ended else { return Ok(None) };
    let name = record.getattr(intern!(py, "name"))?;
    Ok((crate::capi::utf8(&name) == Some(ACCESS_LOGGER)).then_some(ended))
}

/// Around `WSGIRequestHandler.run_wsgi`: what is logged from the end of the request's span to the
/// return of this method is about that request. No other request is served by the thread between.
struct RunWsgi;

impl Wrapper for RunWsgi {
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let before = REQUEST.replace(Request::Running);
        let result = call.forward();
        REQUEST.replace(before);
        result
    }
}

/// The method to put in the place of `WSGIRequestHandler.run_wsgi`; `None` where it cannot be made.
#[pyfunction]
fn logging_run_wsgi<'py>(
    handler_class: &Bound<'py, PyType>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let original = handler_class.getattr("run_wsgi")?;
    method::wrapping(handler_class, "run_wsgi", &original, Box::new(RunWsgi))
}

/// Makes the app's records and puts the ids of the current span on them
/// (`OTEL_PYTHON_LOG_CORRELATION`).
#[pyclass(frozen, module = "carafe_engine._native")]
struct RecordFactory {
    /// The factory that was there before.
    #[pyo3(get)]
    original: Py<PyAny>,
    service_name: Py<PyAny>,
}

#[pymethods]
impl RecordFactory {
    #[new]
    fn new(original: Py<PyAny>, service_name: Py<PyAny>) -> Self {
        Self { original, service_name }
    }

    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__<'py>(
        &self,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        let record = self.original.bind(py).call(arguments, keywords)?;
        crate::engine::guard(py, "logging factory", || {
            let span = match context::current(py) {
                Some(value) => parent_in(&value)?,
                None => None,
            };
            let (span_id, trace_id, is_sampled) = match span {
                Some(span) => (hex(&span.span_id), hex(&span.trace_id), span.is_sampled()),
                None => ("0".to_owned(), "0".to_owned(), false),
            };
            record.setattr(intern!(py, "otelSpanID"), span_id)?;
            record.setattr(intern!(py, "otelTraceID"), trace_id)?;
            record.setattr(intern!(py, "otelTraceSampled"), is_sampled)?;
            record.setattr(intern!(py, "otelServiceName"), &self.service_name)
        });
        Ok(record)
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RecordFactory>()?;
    module.add_function(wrap_pyfunction!(logging_run_wsgi, module)?)
}
