//! Regular expressions of the user's, which are Python's: compiled by Python's `re`, and only
//! where a variable has some.

use crate::environment;
use pyo3::intern;
use pyo3::prelude::*;

/// A list of expressions, separated by commas.
pub(crate) struct Patterns {
    /// The expression that matches where any of the list does.
    compiled: Option<Py<PyAny>>,
    /// The list's members where all are plain names, in lower case.
    names: Option<Vec<String>>,
}

impl Patterns {
    /// No expression.
    pub(crate) const NONE: Self = Self { compiled: None, names: None };

    /// The first of the variables that is set; an expression that Python refuses is told in the
    /// start report and counts for none.
    pub(crate) fn of_variable(py: Python<'_>, variables: &[&str], ignore_case: bool) -> Self {
        let Some((variable, list)) =
            variables.iter().find_map(|variable| Some((*variable, environment::text(variable)?)))
        else {
            return Self::NONE;
        };
        let members: Vec<&str> = list.split(',').map(str::trim).collect();
        match compile(py, &members.join("|"), ignore_case) {
            Ok(compiled) => {
                let is_plain = members.iter().all(|member| is_plain(member));
                let names =
                    is_plain.then(|| members.iter().map(|name| name.to_lowercase()).collect());
                Self { compiled: Some(compiled), names }
            }
            Err(error) => {
                let reason = format!("{variable} is ignored: {error}");
                crate::engine::problem(py, variable, &reason);
                Self::NONE
            }
        }
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.compiled.is_none()
    }

    /// The members, in lower case, where all are plain names of letters, digits, `-` and `_`.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// Whether one matches somewhere in the text.
    pub(crate) fn search(&self, py: Python<'_>, text: &str) -> bool {
        self.matches(py, "search", text)
    }

    /// Whether one matches the whole text.
    pub(crate) fn full_match(&self, py: Python<'_>, text: &str) -> bool {
        self.matches(py, "fullmatch", text)
    }

    fn matches(&self, py: Python<'_>, method: &str, text: &str) -> bool {
        self.compiled.as_ref().is_some_and(|compiled| {
            compiled.bind(py).call_method1(method, (text,)).is_ok_and(|found| !found.is_none())
        })
    }
}

fn compile(py: Python<'_>, expression: &str, ignore_case: bool) -> PyResult<Py<PyAny>> {
    let re = py.import(intern!(py, "re"))?;
    let flags = if ignore_case { re.getattr("IGNORECASE")?.extract::<u32>()? } else { 0 };
    Ok(re.call_method1("compile", (expression, flags))?.unbind())
}

fn is_plain(member: &str) -> bool {
    !member.is_empty()
        && member.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// `OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS`, or else `OTEL_PYTHON_EXCLUDED_URLS`.
pub(crate) fn excluded_urls(py: Python<'_>, library: &str) -> Patterns {
    let own = format!("OTEL_PYTHON_{library}_EXCLUDED_URLS");
    Patterns::of_variable(py, &[&own, "OTEL_PYTHON_EXCLUDED_URLS"], false)
}
