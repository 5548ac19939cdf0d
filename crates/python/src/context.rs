//! The current context: one variable, which the built-in instrumentation and the API share.
//!
//! Its value is a [`Span`] where nothing but the current span is known, a
//! [`Frame`] where there is more, or a `Context` of the API (a dictionary) that Python code has
//! attached. `Context` objects are made of the others only when Python code asks.

use crate::capi::ContextVar;
use crate::current::{Parent, api, span_context, span_key, span_of};
use crate::span::Span;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

static CURRENT: PyOnceLock<ContextVar> = PyOnceLock::new();

/// The current span beside other things that are current.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Frame {
    /// A span of ours, of the app's, or a [`RemoteParent`].
    pub(crate) span: Option<Py<PyAny>>,
    /// The `baggage` header of the request that is served.
    pub(crate) baggage: Option<Arc<str>>,
    /// A `Context` of the API, which holds all else; its span is not current any more.
    pub(crate) rest: Option<Py<PyAny>>,
    /// Inside a call of an HTTP client: other clients in it begin no call of their own.
    pub(crate) is_in_client_call: bool,
}

#[pymethods]
impl Frame {
    /// What the app keeps in contexts may lead back to the context that this is in.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.span)?;
        visit.call(&self.rest)
    }
}

/// A span of another process, as a request's headers name it.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct RemoteParent(pub(crate) Parent);

fn variable(py: Python<'_>) -> PyResult<&ContextVar> {
    CURRENT.get_or_try_init(py, || ContextVar::new(py, c"carafe_context"))
}

/// What is current; `None` at the root.
#[inline]
pub(crate) fn current<'py>(py: Python<'py>) -> Option<Bound<'py, PyAny>> {
    variable(py).ok()?.get(py).filter(|value| !value.is_none())
}

/// Makes `value` (a span, a frame, a context, `None`) the current context.
#[inline]
pub(crate) fn attach<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    variable(value.py())?.set(value.py(), value)
}

/// Makes what was current before `token` was given current again.
#[inline]
pub(crate) fn detach(token: &Bound<'_, PyAny>) -> PyResult<()> {
    variable(token.py())?.reset(token.py(), token)
}

/// Makes `span` the current span; all else that is current stays so.
#[inline]
pub(crate) fn attach_span<'py>(span: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = span.py();
    match with_span(current(py), span)? {
        Some(frame) => attach(frame.bind(py)),
        None => attach(span),
    }
}

/// Makes `span` the current span, or leaves the one that is, for the length of a call of an HTTP
/// client.
#[inline]
pub(crate) fn attach_client_call<'py>(
    py: Python<'py>,
    span: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let context = current(py);
    let current_span = match (span, &context) {
        (None, Some(context)) => span_of(context)?,
        (span, _) => span.cloned(),
    };
    let mut frame = Frame::above(py, context, current_span)?;
    frame.is_in_client_call = true;
    attach(Bound::new(py, frame)?.as_any())
}

impl Frame {
    /// The frame that has `span` above the rest of `context`.
    fn above(
        py: Python<'_>,
        context: Option<Bound<'_, PyAny>>,
        span: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut frame = Self {
            span: span.map(Bound::unbind),
            baggage: None,
            rest: None,
            is_in_client_call: false,
        };
        let Some(context) = context else { return Ok(frame) };
        if let Ok(below) = context.cast::<Self>() {
            let below = below.get();
            frame.baggage = below.baggage.clone();
            frame.rest = below.rest.as_ref().map(|rest| rest.clone_ref(py));
            frame.is_in_client_call = below.is_in_client_call;
        } else if let Ok(below) = context.cast::<PyDict>()
            && (below.len() > 1 || (below.len() == 1 && !below.contains(span_key(py)?)?))
        {
            frame.rest = Some(context.unbind());
        }
        Ok(frame)
    }
}

/// The frame that has `span` above the rest of `context`; `None` where there is no rest.
fn with_span(
    context: Option<Bound<'_, PyAny>>,
    span: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    let py = span.py();
    let is_native = span.cast::<Span>().is_ok() || span.cast::<RemoteParent>().is_ok();
    let frame = Frame::above(py, context, Some(span.clone()))?;
    if is_native && frame.baggage.is_none() && frame.rest.is_none() && !frame.is_in_client_call {
        return Ok(None);
    }
    Ok(Some(Py::new(py, frame)?.into_any()))
}

/// The current span; `None` where there is none.
#[pyfunction]
pub(crate) fn current_span<'py>(py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match current(py) {
        Some(value) => span_of(&value),
        None => Ok(None),
    }
}

/// A context of the API's that holds what `value` holds.
pub(crate) fn materialise<'py>(
    py: Python<'py>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS
        .get_or_try_init(py, || {
            PyResult::Ok(py.import("opentelemetry.context.context")?.getattr("Context")?.unbind())
        })?
        .bind(py);
    let Some(value) = value else { return class.call0() };
    if value.cast::<PyDict>().is_ok() {
        return Ok(value.clone());
    }
    let items = PyDict::new(py);
    let mut span = Some(value.clone());
    if let Ok(frame) = value.cast::<Frame>() {
        let frame = frame.get();
        if let Some(rest) = &frame.rest {
            items.update(rest.bind(py).cast()?)?;
        }
        if let Some(baggage) = &frame.baggage {
            crate::propagation::put_baggage(&items, baggage)?;
        }
        if frame.is_in_client_call {
            items.set_item(crate::client::http_silence_key(py)?, true)?;
        }
        span = frame.span.as_ref().map(|span| span.bind(py).clone());
    }
    match span {
        Some(span) => match span.cast::<RemoteParent>() {
            Ok(remote) => items.set_item(span_key(py)?, non_recording(py, &remote.get().0)?)?,
            Err(_) => items.set_item(span_key(py)?, span)?,
        },
        None => items.del_item(span_key(py)?).or_else(|error| {
            if error.is_instance_of::<pyo3::exceptions::PyKeyError>(py) {
                Ok(())
            } else {
                Err(error)
            }
        })?,
    }
    class.call1((items,))
}

/// The API's span that only carries a context.
pub(crate) fn non_recording<'py>(py: Python<'py>, parent: &Parent) -> PyResult<Bound<'py, PyAny>> {
    api(py)?.getattr(intern!(py, "NonRecordingSpan"))?.call1((span_context(py, parent)?,))
}

/// What is current: a span, a frame, a context of the API, or `None`.
#[pyfunction(name = "current")]
fn current_value(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    current(py)
}

/// Makes a value of `current` or `extract`, or any span, current. Returns the token for `detach`.
#[pyfunction(name = "attach")]
fn attach_value<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let is_context =
        value.is_none() || value.cast::<Frame>().is_ok() || value.cast::<PyDict>().is_ok();
    if is_context { attach(value) } else { attach_span(value) }
}

/// Undoes an `attach`.
///
/// # Errors
/// `ValueError`: the token is of another thread or task.
#[pyfunction(name = "detach")]
fn detach_value(token: &Bound<'_, PyAny>) -> PyResult<()> {
    detach(token)
}

/// The current context as an object of the API.
#[pyfunction]
fn get_current_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    materialise(py, current(py).as_ref())
}

/// What `opentelemetry.context` calls, sharing our variable with it.
#[pyclass(frozen, subclass, module = "carafe_engine._native")]
struct RuntimeContext;

#[pymethods]
impl RuntimeContext {
    #[new]
    fn new() -> Self {
        Self
    }

    /// Makes a context current.
    fn attach<'py>(&self, context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        attach(context)
    }

    /// The current context.
    fn get_current<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        materialise(py, current(py).as_ref())
    }

    /// Undoes an `attach`.
    fn detach(&self, token: &Bound<'_, PyAny>) -> PyResult<()> {
        detach(token)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Frame>()?;
    module.add_class::<RemoteParent>()?;
    module.add_class::<RuntimeContext>()?;
    module.add_function(wrap_pyfunction!(current_value, module)?)?;
    module.add_function(wrap_pyfunction!(current_span, module)?)?;
    module.add_function(wrap_pyfunction!(attach_value, module)?)?;
    module.add_function(wrap_pyfunction!(detach_value, module)?)?;
    module.add_function(wrap_pyfunction!(get_current_context, module)?)
}
