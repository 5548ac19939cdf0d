//! What a statement does, by its first word.

use crate::capi;
use crate::gil::GilCell;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// First words that are kept as objects; further ones are made anew each time.
const KNOWN_LIMIT: usize = 64;

/// Longer first words are no operations: what a statement without spaces begins with.
const WORD_LIMIT_BYTES: usize = 255;

/// The first word of a statement, comments before it left out; empty where there is none.
#[inline]
pub(super) fn name<'py>(statement: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static KNOWN: GilCell<Vec<(String, Py<PyString>)>> = GilCell::new(Vec::new());
    let py = statement.py();
    let word = first_word(capi::utf8(statement).unwrap_or_default());
    if let Some(mut known) = KNOWN.open(py) {
        if let Some((_, object)) = known.iter().find(|(text, _)| text == word) {
            return Ok(object.bind(py).clone().into_any());
        }
        let object = PyString::new(py, word);
        if known.len() < KNOWN_LIMIT {
            known.push((word.to_owned(), object.clone().unbind()));
        }
        return Ok(object.into_any());
    }
    Ok(PyString::new(py, word).into_any())
}

/// The first word after white space and comments (`/* */` and `--` to the end of the line).
pub(super) fn first_word(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let end = (0..=end.min(WORD_LIMIT_BYTES)).rfind(|end| rest.is_char_boundary(*end)).unwrap_or(0);
    rest.get(..end).unwrap_or_default()
}
