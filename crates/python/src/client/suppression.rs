//! Whether the app has asked for silence.

use crate::context::Frame;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// What official packages before release 0.30 used as a key.
const PLAIN_KEY: &str = "suppress_instrumentation";

/// Whether no HTTP call begins in that context: it is inside another call, or the app has said so
/// with `suppress_instrumentation` or `suppress_http_instrumentation` of the official packages.
#[inline]
pub(super) fn silences_http(py: Python<'_>, context: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    silences(py, context, true)
}

/// Whether nothing is instrumented in that context.
#[inline]
pub(crate) fn silences_all(py: Python<'_>, context: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    silences(py, context, false)
}

/// Whether no request that is served in that context is told: the app has said so. A request that
/// a client of this process sends to an app of this process is told.
#[inline]
pub(crate) fn silences_served(context: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(frame) = context.cast::<Frame>() {
        let rest = frame.get().rest.as_ref();
        return rest.map_or(Ok(false), |rest| says_so(rest.bind(context.py()), true));
    }
    match context.cast::<PyDict>() {
        Ok(_) => says_so(context, true),
        Err(_) => Ok(false),
    }
}

#[inline]
fn silences(py: Python<'_>, context: Option<&Bound<'_, PyAny>>, is_http: bool) -> PyResult<bool> {
    let Some(context) = context else { return Ok(false) };
    if let Ok(frame) = context.cast::<Frame>() {
        let frame = frame.get();
        return match &frame.rest {
            _ if is_http && frame.is_in_client_call => Ok(true),
            Some(rest) => says_so(rest.bind(py), is_http),
            None => Ok(false),
        };
    }
    match context.cast::<PyDict>() {
        Ok(_) => says_so(context, is_http),
        Err(_) => Ok(false),
    }
}

fn says_so(context: &Bound<'_, PyAny>, is_http: bool) -> PyResult<bool> {
    let context = context.cast::<PyDict>()?;
    if context.is_empty() {
        return Ok(false);
    }
    let (all, http) = keys(context.py())?;
    let wanted = [Some(all), is_http.then_some(http)];
    for key in wanted.into_iter().flatten() {
        if let Some(value) = context.get_item(key)?
            && value.is_truthy()?
        {
            return Ok(true);
        }
    }
    match context.get_item(PLAIN_KEY)? {
        Some(value) => value.is_truthy(),
        None => Ok(false),
    }
}

/// The API's keys for silence: in general, and of HTTP clients. There is a context of the API, so
/// the API has been imported.
pub(super) fn keys(py: Python<'_>) -> PyResult<(&Bound<'_, PyAny>, &Bound<'_, PyAny>)> {
    static KEYS: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (all, http) = KEYS.get_or_try_init(py, || {
        let module = py.import("opentelemetry.context")?;
        let key = |name: &str| PyResult::Ok(module.getattr(name)?.unbind());
        PyResult::Ok((
            key("_SUPPRESS_INSTRUMENTATION_KEY")?,
            key("_SUPPRESS_HTTP_INSTRUMENTATION_KEY")?,
        ))
    })?;
    Ok((all.bind(py), http.bind(py)))
}
