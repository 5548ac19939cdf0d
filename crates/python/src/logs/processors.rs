//! Log record processors that the app has added in Python: they get each record first, may change
//! it, and hand it back to be written.

use super::{Body, Fields};
use crate::engine;
use crate::gil::GilCell;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicBool, Ordering};

static ARE_THERE: AtomicBool = AtomicBool::new(false);

static PROCESSORS: GilCell<Option<Py<PyAny>>> = GilCell::new(None);

/// Whether the app has processors.
#[inline]
pub(crate) fn are_there() -> bool {
    ARE_THERE.load(Ordering::Relaxed)
}

fn get(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    PROCESSORS.open(py)?.as_ref().map(|processors| processors.bind(py).clone())
}

/// A record of a logger of ours, or the arguments that describe it.
///
/// # Errors
/// Those of the app's processors: they go up into the app, as with the official SDK.
#[cold]
pub(super) fn emit(
    logger: &Bound<'_, PyAny>,
    record: Option<Bound<'_, PyAny>>,
    arguments: &Bound<'_, PyDict>,
) -> PyResult<()> {
    if let Some(processors) = get(logger.py()) {
        processors.call_method1("emit", (logger, record, arguments))?;
    }
    Ok(())
}

/// A record of the built-in instrumentation. An error is counted and goes no further.
#[cold]
pub(super) fn emit_fields(py: Python<'_>, name: &str, fields: &Fields<'_, '_>) {
    engine::guard(py, "log processors", || {
        let Some(processors) = get(py) else { return Ok(()) };
        let arguments = PyDict::new(py);
        arguments.set_item("timestamp", fields.time_ns)?;
        arguments.set_item("observed_timestamp", fields.observed_ns)?;
        arguments.set_item("severity_number", fields.severity)?;
        arguments.set_item("severity_text", fields.severity_text)?;
        match fields.body {
            Body::Text(text) => arguments.set_item("body", text)?,
            Body::Object(object) => arguments.set_item("body", object)?,
            Body::None => {}
        }
        arguments.set_item("attributes", fields.attributes.to_dict(py)?)?;
        if !fields.event_name.is_empty() {
            arguments.set_item("event_name", fields.event_name)?;
        }
        let ids = fields.span.as_ref().map_or((0, 0, 0), |span| {
            (u128::from_be_bytes(span.trace_id), u64::from_be_bytes(span.span_id), span.flags)
        });
        processors.call_method1("emit_named", (name, arguments, ids))?;
        Ok(())
    });
}

/// From now on `processors.emit(logger, record, arguments)` and `processors.emit_named(name,
/// arguments, ids)` get all records, and write them with `logger.write`. `None` ends that.
#[pyfunction]
pub(super) fn set_log_processors(py: Python<'_>, processors: Option<Py<PyAny>>) {
    let are_set = processors.is_some();
    let Some(former) =
        PROCESSORS.open(py).map(|mut current| std::mem::replace(&mut *current, processors))
    else {
        return;
    };
    ARE_THERE.store(are_set, Ordering::Relaxed);
    // Its end may run Python code.
    drop(former);
}
