//! What a span needs to know of its parent.

use crate::context::{Frame, RemoteParent};
use crate::span::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

/// The trace flag of sampled spans.
pub(crate) const SAMPLED: u8 = 1;

/// The trace flag of random trace ids (W3C Trace Context level 2).
pub(crate) const RANDOM: u8 = 2;

/// A span that others can be children of.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) flags: u8,
    pub(crate) is_remote: bool,
    pub(crate) trace_state: TraceState,
}

impl Parent {
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The vendors' part of a trace's context.
#[derive(Debug, Clone, Default)]
pub(crate) enum TraceState {
    #[default]
    Empty,
    /// A header's text.
    Raw(Arc<str>),
    /// The API's object.
    Object(Arc<Py<PyAny>>),
}

impl TraceState {
    /// Of the API's object or `None`.
    pub(crate) fn from_object(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() || object.len()? == 0 {
            return Ok(Self::Empty);
        }
        Ok(Self::Object(Arc::new(object.clone().unbind())))
    }

    /// The header's text; empty where there is nothing.
    pub(crate) fn to_header(&self, py: Python<'_>) -> PyResult<String> {
        match self {
            Self::Empty => Ok(String::new()),
            Self::Raw(text) => Ok(text.to_string()),
            Self::Object(object) => object.bind(py).call_method0("to_header")?.extract(),
        }
    }

    /// The API's object.
    pub(crate) fn to_object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = api(py)?.getattr(intern!(py, "TraceState"))?;
        match self {
            Self::Empty => class.call0(),
            Self::Raw(text) => class.call_method1(intern!(py, "from_header"), ([&**text],)),
            Self::Object(object) => Ok(object.bind(py).clone()),
        }
    }
}

/// The module `opentelemetry.trace`.
///
/// # Errors
/// The API is not installed.
pub(crate) fn api(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MODULE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || Ok(py.import("opentelemetry.trace")?.into_any().unbind()))
        .map(|module| module.bind(py))
}

/// The key of the current span in the API's contexts; `None` while the app has not imported it.
pub(crate) fn span_key(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static KEY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    KEY.get_or_try_init(py, || {
        Ok(py.import("opentelemetry.trace.propagation")?.getattr("_SPAN_KEY")?.unbind())
    })
    .map(|key| key.bind(py))
}

/// The span in a context: in the value of our variable, or in a context object of the API.
pub(crate) fn span_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if value.cast::<Span>().is_ok() || value.cast::<RemoteParent>().is_ok() {
        return Ok(Some(value.clone()));
    }
    if let Ok(frame) = value.cast::<Frame>() {
        return Ok(frame.get().span.as_ref().map(|span| span.bind(py).clone()));
    }
    match value.cast::<PyDict>() {
        Ok(context) if !context.is_empty() => context.get_item(span_key(py)?),
        _ => Ok(None),
    }
}

/// The parent that a context gives; `None` for a root.
#[inline]
pub(crate) fn parent_in(value: &Bound<'_, PyAny>) -> PyResult<Option<Parent>> {
    if let Ok(span) = value.cast::<Span>() {
        return Ok(Some(span.get().as_parent()));
    }
    match span_of(value)? {
        Some(span) => parent_of_span(&span),
        None => Ok(None),
    }
}

/// A span, ours or not, as a parent; `None` where its context is not valid.
pub(crate) fn parent_of_span(span: &Bound<'_, PyAny>) -> PyResult<Option<Parent>> {
    if let Ok(span) = span.cast::<Span>() {
        return Ok(Some(span.get().as_parent()));
    }
    if let Ok(remote) = span.cast::<RemoteParent>() {
        return Ok(Some(remote.get().0.clone()));
    }
    let py = span.py();
    // What the app has put into a context need not be a span.
    let Ok(context) = span.getattr(intern!(py, "get_span_context")) else { return Ok(None) };
    parent_of_context(&context.call0()?)
}

/// The API's `SpanContext` as a parent; `None` where it is not valid.
pub(crate) fn parent_of_context(context: &Bound<'_, PyAny>) -> PyResult<Option<Parent>> {
    let py = context.py();
    if context.is_none() || !context.getattr(intern!(py, "is_valid"))?.is_truthy()? {
        return Ok(None);
    }
    let trace_id: u128 = context.getattr(intern!(py, "trace_id"))?.extract()?;
    let span_id: u64 = context.getattr(intern!(py, "span_id"))?.extract()?;
    let flags: u64 = context.getattr(intern!(py, "trace_flags"))?.extract()?;
    Ok(Some(Parent {
        trace_id: trace_id.to_be_bytes(),
        span_id: span_id.to_be_bytes(),
        flags: flags as u8,
        is_remote: context.getattr(intern!(py, "is_remote"))?.is_truthy()?,
        trace_state: TraceState::from_object(&context.getattr(intern!(py, "trace_state"))?)?,
    }))
}

/// The API's `SpanContext` of a parent.
pub(crate) fn span_context<'py>(py: Python<'py>, parent: &Parent) -> PyResult<Bound<'py, PyAny>> {
    let api = api(py)?;
    let flags = api.getattr(intern!(py, "TraceFlags"))?.call1((parent.flags,))?;
    api.getattr(intern!(py, "SpanContext"))?.call1((
        u128::from_be_bytes(parent.trace_id),
        u64::from_be_bytes(parent.span_id),
        parent.is_remote,
        flags,
        parent.trace_state.to_object(py)?,
    ))
}
