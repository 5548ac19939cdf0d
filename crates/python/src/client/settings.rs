//! What the user's variables say of HTTP clients.

use crate::environment::text;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Which generation of names is written (`OTEL_SEMCONV_STABILITY_OPT_IN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) old: bool,
    pub(super) new: bool,
}

impl Names {
    fn from_variable(value: Option<&str>) -> Self {
        let wants = |name: &str| {
            value.is_some_and(|list| list.split(',').any(|wanted| wanted.trim() == name))
        };
        if wants("http/dup") {
            Self { old: true, new: true }
        } else if wants("http") {
            Self { old: false, new: true }
        } else {
            Self { old: true, new: false }
        }
    }

    /// Both: whoever asked for the new ones alone asked for fewer attributes.
    pub(super) fn are_both(self) -> bool {
        self.old && self.new
    }

    pub(super) fn schema_url(self) -> &'static str {
        if self.new {
            "https://opentelemetry.io/schemas/1.21.0"
        } else {
            "https://opentelemetry.io/schemas/1.11.0"
        }
    }
}

/// The settings of one library.
pub(super) struct Settings {
    pub(super) names: Names,
    /// Any method is recorded as it is, also unknown ones.
    pub(super) takes_any_method: bool,
    /// URLs that are left alone.
    excluded: Option<Py<PyAny>>,
    /// Headers of requests to record.
    pub(super) request_headers: Option<Py<PyAny>>,
    /// Headers of responses to record.
    pub(super) response_headers: Option<Py<PyAny>>,
    /// Headers whose values are secrets.
    pub(super) secret_headers: Option<Py<PyAny>>,
}

impl Settings {
    /// Reads the variables. `name` is the library's in `OTEL_PYTHON_<name>_EXCLUDED_URLS`.
    ///
    /// # Errors
    /// A pattern is no regular expression.
    pub(super) fn read(py: Python<'_>, name: &str) -> PyResult<Self> {
        let excluded = std::env::var(format!("OTEL_PYTHON_{name}_EXCLUDED_URLS"))
            .ok()
            .or_else(|| text("OTEL_PYTHON_EXCLUDED_URLS"));
        let headers = |which: &str| {
            let name = format!("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{which}");
            patterns(py, text(&name), true)
        };
        Ok(Self {
            names: Names::from_variable(text("OTEL_SEMCONV_STABILITY_OPT_IN").as_deref()),
            takes_any_method: text("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS")
                .is_some(),
            excluded: patterns(py, excluded, false)?,
            request_headers: headers("CLIENT_REQUEST")?,
            response_headers: headers("CLIENT_RESPONSE")?,
            secret_headers: headers("SANITIZE_FIELDS")?,
        })
    }

    /// Whether calls of that URL are left alone.
    #[inline]
    pub(super) fn excludes(&self, py: Python<'_>, url: &str) -> PyResult<bool> {
        match &self.excluded {
            Some(pattern) => Ok(!pattern.bind(py).call_method1("search", (url,))?.is_none()),
            None => Ok(false),
        }
    }
}

/// One compiled pattern of a list of regular expressions; `None` where the list is empty.
fn patterns(
    py: Python<'_>,
    list: Option<String>,
    ignores_case: bool,
) -> PyResult<Option<Py<PyAny>>> {
    let Some(list) = list.filter(|list| !list.trim().is_empty()) else { return Ok(None) };
    let pattern = list.split(',').map(str::trim).collect::<Vec<_>>().join("|");
    let re = py.import("re")?;
    let options = PyDict::new(py);
    if ignores_case {
        options.set_item("flags", re.getattr("IGNORECASE")?)?;
    }
    Ok(Some(re.call_method("compile", (pattern,), Some(&options))?.unbind()))
}
