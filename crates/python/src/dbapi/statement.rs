//! The text of what is given to a cursor.

use crate::capi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The text of a statement, a `str`; empty for what has none.
#[inline]
pub(super) fn text<'py>(
    statement: &Bound<'py, PyAny>,
    cursor: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if statement.is_instance_of::<PyString>() {
        return Ok(statement.clone());
    }
    other(statement, cursor)
}

#[cold]
fn other<'py>(
    statement: &Bound<'py, PyAny>,
    cursor: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = statement.py();
    if let Ok(bytes) = statement.cast::<PyBytes>() {
        return Ok(PyString::new(py, &String::from_utf8_lossy(bytes.as_bytes())).into_any());
    }
    // Statements that psycopg's `sql` modules have put together.
    if let Ok(as_string) = statement.getattr(intern!(py, "as_string")) {
        let text = as_string.call1((cursor,))?;
        return if text.is_instance_of::<PyString>() { Ok(text) } else { Ok(empty(py)) };
    }
    if let Ok(literals) = statement.getattr(intern!(py, "strings")) {
        return template(statement, &literals);
    }
    Ok(empty(py))
}

/// A template string (PEP 750), the expressions in their places without their values.
fn template<'py>(
    template: &Bound<'py, PyAny>,
    literals: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = template.py();
    let interpolations = template.getattr(intern!(py, "interpolations"))?;
    let mut text = String::new();
    for (place, literal) in literals.try_iter()?.enumerate() {
        text.push_str(capi::utf8(&literal?).unwrap_or_default());
        if let Ok(interpolation) = interpolations.get_item(place) {
            let expression = interpolation.getattr(intern!(py, "expression"))?;
            text.push('{');
            text.push_str(capi::utf8(&expression).unwrap_or_default());
            text.push('}');
        }
    }
    Ok(PyString::new(py, &text).into_any())
}

fn empty(py: Python<'_>) -> Bound<'_, PyAny> {
    intern!(py, "").clone().into_any()
}
