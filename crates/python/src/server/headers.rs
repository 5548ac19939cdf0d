//! Headers that the user wants on spans (`OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_*`).

use super::patterns::Patterns;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Which headers are kept, and which values of them are hidden.
pub(crate) struct Capture {
    wanted: Patterns,
    sensitive: Patterns,
    /// What a header's attribute starts with.
    prefix: &'static str,
}

/// What stands for a value that is hidden.
const HIDDEN: &str = "[REDACTED]";

impl Capture {
    fn of_variable(py: Python<'_>, variable: &str, prefix: &'static str) -> Self {
        let sensitive = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS";
        let wanted = Patterns::of_variable(py, &[variable], true);
        let sensitive = if wanted.is_empty() {
            Patterns::NONE
        } else {
            Patterns::of_variable(py, &[sensitive], true)
        };
        Self { wanted, sensitive, prefix }
    }

    /// Of the requests that a server gets.
    pub(crate) fn of_server_requests(py: Python<'_>) -> &Self {
        static CAPTURE: PyOnceLock<Capture> = PyOnceLock::new();
        CAPTURE.get_or_init(py, || {
            let variable = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST";
            Self::of_variable(py, variable, "http.request.header.")
        })
    }

    /// Of the responses that a server gives.
    pub(crate) fn of_server_responses(py: Python<'_>) -> &Self {
        static CAPTURE: PyOnceLock<Capture> = PyOnceLock::new();
        CAPTURE.get_or_init(py, || {
            let variable = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE";
            Self::of_variable(py, variable, "http.response.header.")
        })
    }

    /// Whether no header is wanted.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The attribute for a header and what its values become; `None` where it is not wanted.
    pub(crate) fn attribute(
        &self,
        py: Python<'_>,
        name: &str,
        values: Vec<String>,
    ) -> Option<(String, Vec<String>)> {
        let is_wanted = match self.wanted.names() {
            Some(names) => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
            None => self.wanted.full_match(py, name),
        };
        if !is_wanted {
            return None;
        }
        let is_hidden = !self.sensitive.is_empty() && self.sensitive.search(py, name);
        let values =
            if is_hidden { values.iter().map(|_| HIDDEN.to_owned()).collect() } else { values };
        let key = name.to_lowercase().replace('-', "_");
        Some((format!("{}{key}", self.prefix), values))
    }
}
