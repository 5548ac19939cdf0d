//! What a response's headers give and get.

use super::headers::Capture;
use crate::gil::GilCell;
use crate::span::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// Puts the wanted ones of a WSGI response's headers on the span; those of the same name are
/// joined by commas.
pub(crate) fn capture_headers(
    span: &Bound<'_, Span>,
    capture: &Capture,
    headers: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let mut joined: Vec<(String, String)> = Vec::new();
    for header in headers.try_iter()? {
        let (name, value): (String, Bound<'_, PyAny>) = header?.extract()?;
        let (name, value) = (name.to_lowercase(), value.str()?.to_string());
        match joined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => joined.push((name, value)),
        }
    }
    for (name, value) in joined {
        put_header(span, capture, &name, vec![value])?;
    }
    Ok(())
}

/// Puts a header on the span where it is wanted.
pub(crate) fn put_header(
    span: &Bound<'_, Span>,
    capture: &Capture,
    name: &str,
    values: Vec<String>,
) -> PyResult<()> {
    let py = span.py();
    if let Some((key, values)) = capture.attribute(py, name, values) {
        let values = PyTuple::new(py, values)?.into_any();
        span.get().set_attribute(PyString::new(py, &key).as_any(), &values)?;
    }
    Ok(())
}

/// The module that knows what the app wants to be told in responses, once the app has imported it.
static PROPAGATORS: GilCell<Option<Py<PyAny>>> = GilCell::new(None);

/// Tells of the import of `opentelemetry.instrumentation.propagators`.
#[pyfunction]
fn set_response_propagators(module: &Bound<'_, PyAny>) {
    if let Some(mut propagators) = PROPAGATORS.open(module.py()) {
        *propagators = Some(module.clone().unbind());
    }
}

/// The response propagator that the app has set, if any.
#[inline]
pub(crate) fn propagator(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let module = match PROPAGATORS.open(py) {
        Some(module) => match &*module {
            Some(module) => module.bind(py).clone(),
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    let propagator = module.call_method0(intern!(py, "get_global_response_propagator"))?;
    Ok((!propagator.is_none()).then_some(propagator))
}

/// Adds the headers of the response propagator to a WSGI response's.
#[inline]
pub(crate) fn propagate(py: Python<'_>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Some(propagator) = propagator(py)? {
        let setter = py.import("carafe_engine.instrument.wsgi")?.getattr("RESPONSE_SETTER")?;
        propagator.call_method1(intern!(py, "inject"), (headers, py.None(), setter))?;
    }
    Ok(())
}

/// Adds the headers of the response propagator to a response that is a mapping of headers.
#[inline]
pub(crate) fn propagate_in_mapping(py: Python<'_>, response: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Some(propagator) = propagator(py)? {
        propagator.call_method1(intern!(py, "inject"), (response,))?;
    }
    Ok(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_response_propagators, module)?)
}
