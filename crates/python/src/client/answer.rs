//! What each library's function gives or raises, as the end of a call.

use super::headers::get;
use super::library::Library;
use crate::capi;
use pyo3::intern;
use pyo3::prelude::*;

/// A response, as far as a call's end needs it.
#[derive(Debug, Default)]
pub(super) struct Answer<'py> {
    pub(super) status: Option<i64>,
    pub(super) version: Option<&'static str>,
    /// A mapping.
    pub(super) headers: Option<Bound<'py, PyAny>>,
    /// What `Content-Length` says; 0 without it.
    pub(super) body_bytes: Option<u64>,
}

impl<'py> Answer<'py> {
    /// Of the library's response.
    pub(super) fn of(library: Library, response: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = response.py();
        let status = match library {
            Library::Requests | Library::Httpx => response.getattr(intern!(py, "status_code"))?,
            Library::Urllib3 | Library::HttpClient => response.getattr(intern!(py, "status"))?,
            Library::Urllib => response.call_method0(intern!(py, "getcode"))?,
        };
        let version = match library {
            Library::Requests => {
                let raw = response.getattr(intern!(py, "raw"))?;
                raw.getattr_opt(intern!(py, "version"))?.and_then(|version| numbered(&version))
            }
            Library::Httpx => named(&response.getattr(intern!(py, "http_version"))?),
            Library::Urllib3 | Library::Urllib | Library::HttpClient => {
                response.getattr_opt(intern!(py, "version"))?.and_then(|version| numbered(&version))
            }
        };
        let headers = response.getattr(intern!(py, "headers"))?;
        Self::made_of(library, &status, version, headers)
    }

    /// Of the response that an exception carries.
    pub(super) fn of_error(library: Library, error: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = error.py();
        match library {
            Library::Requests => match error.getattr_opt(intern!(py, "response"))? {
                Some(response) if !response.is_none() => Self::of(library, &response).map(Some),
                _ => Ok(None),
            },
            Library::Urllib => {
                // `urllib.error.HTTPError` is a response itself.
                let (Some(status), Some(headers)) = (
                    error.getattr_opt(intern!(py, "code"))?,
                    error.getattr_opt(intern!(py, "headers"))?,
                ) else {
                    return Ok(None);
                };
                let version = match error.getattr_opt(intern!(py, "fp"))? {
                    Some(response) => response.getattr_opt(intern!(py, "version"))?,
                    None => None,
                };
                let version = version.and_then(|version| numbered(&version));
                Self::made_of(library, &status, version, headers).map(Some)
            }
            Library::Urllib3 | Library::Httpx | Library::HttpClient => Ok(None),
        }
    }

    fn made_of(
        library: Library,
        status: &Bound<'py, PyAny>,
        version: Option<&'static str>,
        headers: Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let headers = (!headers.is_none()).then_some(headers);
        let is_sized = matches!(library, Library::Urllib | Library::Urllib3);
        let length = match headers.as_ref().filter(|_| is_sized) {
            Some(headers) => get(headers, "content-length")?,
            None => None,
        };
        let length =
            length.and_then(|length| capi::utf8(&length).and_then(|text| text.trim().parse().ok()));
        Ok(Self {
            status: status.extract().ok(),
            version,
            headers,
            body_bytes: Some(length.unwrap_or(0)),
        })
    }
}

/// `http.client`'s number of a version.
fn numbered(version: &Bound<'_, PyAny>) -> Option<&'static str> {
    match version.extract::<u8>().ok()? {
        10 => Some("1.0"),
        11 => Some("1.1"),
        20 => Some("2"),
        30 => Some("3"),
        _ => None,
    }
}

/// A version as it is in a status line.
fn named(version: &Bound<'_, PyAny>) -> Option<&'static str> {
    match capi::utf8(version)? {
        "HTTP/1.0" => Some("1.0"),
        "HTTP/1.1" => Some("1.1"),
        "HTTP/2" => Some("2"),
        "HTTP/3" => Some("3"),
        _ => None,
    }
}
