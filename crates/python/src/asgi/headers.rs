//! Headers of ASGI scopes and messages: lists of pairs of bytes.

use crate::server::headers::Capture;
use crate::server::response::put_header;
use crate::span::Span;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::borrow::Cow;

/// The headers of a scope or message; empty where they are no list or tuple, as an iterator could
/// only be read once.
pub(crate) struct Headers<'py>(Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>);

impl<'py> Headers<'py> {
    /// Of the dictionary of a scope or message.
    pub(crate) fn of(dictionary: &Bound<'py, PyDict>) -> Self {
        let py = dictionary.py();
        let Ok(Some(headers)) = dictionary.get_item(intern!(py, "headers")) else {
            return Self(Vec::new());
        };
        let mut pairs = Vec::new();
        if let Ok(list) = headers.cast::<PyList>() {
            pairs.reserve(list.len());
            pairs.extend(list.iter().filter_map(|header| pair(&header)));
        } else if let Ok(tuple) = headers.cast::<PyTuple>() {
            pairs.extend(tuple.iter().filter_map(|header| pair(&header)));
        }
        Self(pairs)
    }

    /// The values of the headers of that lower-case name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.iter().filter_map(move |(key, value)| {
            let key = key.as_bytes();
            (key.len() == name.len() && key.eq_ignore_ascii_case(name.as_bytes()))
                .then(|| decoded(value.as_bytes()))
        })
    }

    /// The first of these.
    #[inline]
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// All of these, separated by commas.
    pub(super) fn joined(&self, name: &str) -> String {
        let mut values = self.all(name);
        let mut joined = values.next().map(Cow::into_owned).unwrap_or_default();
        for value in values {
            joined.push(',');
            joined.push_str(&value);
        }
        joined
    }

    /// `content-length`, where it is a number.
    pub(crate) fn content_length(&self) -> Option<i64> {
        self.first("content-length")?.trim().parse().ok()
    }

    /// Puts those that the user wants on the span.
    pub(crate) fn capture(&self, span: &Bound<'py, Span>, capture: &Capture) -> PyResult<()> {
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        for (name, _) in &self.0 {
            let name = decoded(name.as_bytes());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            let values = self.all(&name).map(Cow::into_owned).collect();
            put_header(span, capture, &name, values)?;
        }
        Ok(())
    }
}

#[inline]
fn pair<'py>(header: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (name, value) = match header.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => (pair.get_item(0).ok()?, pair.get_item(1).ok()?),
        Ok(_) => return None,
        Err(_) => {
            let pair = header.cast::<PyList>().ok().filter(|pair| pair.len() == 2)?;
            (pair.get_item(0).ok()?, pair.get_item(1).ok()?)
        }
    };
    Some((name.cast_into().ok()?, value.cast_into().ok()?))
}

/// UTF-8, or else ISO 8859-1.
pub(crate) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}
