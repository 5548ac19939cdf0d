//! Headers of requests and responses: those that carry the trace, and those that are recorded.

use super::settings::Settings;
use crate::ids::hex;
use crate::propagation;
use crate::span::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// The header that goes its own way: it does not say where the trace comes from.
const BAGGAGE: &str = "baggage";

/// What stands for a header's value that is a secret.
const REDACTED: &str = "[REDACTED]";

/// Which headers, and how their names begin as attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// The headers to add to a request for the current context, whose span is `span`.
///
/// The app's own headers stay: where it has set one that carries a trace, none of ours is added.
/// Headers of the same trace, or equal to one in `ours`, are from an earlier attempt or hop and are
/// replaced. `existing` gives a header by its lower-case name.
pub(super) fn to_add<'py>(
    py: Python<'py>,
    span: &Span,
    ours: Option<&Bound<'py, PyAny>>,
    existing: impl Fn(&'static str) -> PyResult<Option<Bound<'py, PyAny>>>,
) -> PyResult<Vec<(&'static str, String)>> {
    let mut headers = propagation::inject(py)?;
    let trace_id = hex(&span.start.trace_id);
    let mut has_own_trace = false;
    let mut has_own_baggage = false;
    for (name, _) in &headers {
        let Some(value) = existing(name)? else { continue };
        if let Some(ours) = ours
            && ours.contains(&value)?
        {
            continue;
        }
        if *name == BAGGAGE {
            has_own_baggage = true;
        } else if !as_text(&value)?.contains(&trace_id) {
            has_own_trace = true;
        }
    }
    headers.retain(|(name, _)| if *name == BAGGAGE { !has_own_baggage } else { !has_own_trace });
    Ok(headers)
}

/// A header of a mapping by its lower-case name; names in a plain `dict` may have any case.
pub(super) fn get<'py>(
    headers: &Bound<'py, PyAny>,
    name: &'static str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = headers.py();
    if let Ok(dict) = headers.cast_exact::<PyDict>() {
        for (key, value) in dict.iter() {
            if as_text(&key)?.eq_ignore_ascii_case(name) {
                return Ok(Some(value));
            }
        }
        return Ok(None);
    }
    let value = headers.call_method1(intern!(py, "get"), (PyString::intern(py, name),))?;
    Ok((!value.is_none()).then_some(value))
}

/// A header among the lines that `http.client` has ready to send.
pub(super) fn in_lines<'py>(
    lines: &Bound<'py, PyAny>,
    name: &'static str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = lines.py();
    for line in lines.cast::<PyList>()?.iter() {
        let Ok(bytes) = line.cast::<PyBytes>() else { continue };
        let bytes = bytes.as_bytes();
        let is_it =
            bytes.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
                && bytes.get(name.len()) == Some(&b':');
        if is_it {
            let value = bytes.get(name.len() + 1..).unwrap_or_default().trim_ascii();
            return Ok(Some(PyBytes::new(py, value).into_any()));
        }
    }
    Ok(None)
}

/// The attributes of the headers that the user wants recorded: names and tuples of texts.
pub(super) fn recorded<'py>(
    settings: &Settings,
    side: Side,
    headers: &Bound<'py, PyAny>,
) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let py = headers.py();
    let (wanted, prefix) = match side {
        Side::Request => (&settings.request_headers, "http.request.header."),
        Side::Response => (&settings.response_headers, "http.response.header."),
    };
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let wanted = wanted.bind(py).getattr("fullmatch")?;
    let mut attributes: Vec<(String, Vec<Bound<'py, PyAny>>)> = Vec::new();
    for (name, mut values) in items(headers)? {
        if wanted.call1((&name,))?.is_none() {
            continue;
        }
        if let Some(secret) = &settings.secret_headers
            && !secret.bind(py).call_method1("search", (&name,))?.is_none()
        {
            values.fill(PyString::new(py, REDACTED).into_any());
        }
        let key = format!("{prefix}{}", name.to_ascii_lowercase().replace('-', "_"));
        match attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => known.extend(values),
            None => attributes.push((key, values)),
        }
    }
    attributes
        .into_iter()
        .map(|(key, values)| Ok((key, PyTuple::new(py, values)?.into_any())))
        .collect()
}

/// Names and values of a mapping. httpx keeps the values of a name apart.
fn items<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<(String, Vec<Bound<'py, PyAny>>)>> {
    let py = headers.py();
    let mut items = Vec::new();
    if headers.hasattr(intern!(py, "get_list"))? {
        for name in headers.call_method0("keys")?.try_iter()? {
            let name = name?;
            let values: Vec<_> = headers.call_method1("get_list", (&name, true))?.extract()?;
            items.push((as_text(&name)?, values));
        }
        return Ok(items);
    }
    for item in headers.call_method0("items")?.try_iter()? {
        let (name, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item?.extract()?;
        let value = match value.is_instance_of::<PyString>() {
            true => value,
            false => PyString::new(py, &as_text(&value)?).into_any(),
        };
        items.push((as_text(&name)?, vec![value]));
    }
    Ok(items)
}

/// A name or value, which may be a `str`, `bytes` (in Latin-1, RFC 9110 section 5.5) or anything.
pub(super) fn as_text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
        Err(_) => Ok(value.str()?.to_string()),
    }
}
