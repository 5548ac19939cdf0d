//! A request as WSGI gives it (PEP 3333).

use super::convention::{Mode, OTHER_METHOD, normalised_method};
use super::url::{self, Parts};
use super::view::{RequestView, Text};
use crate::capi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::borrow::Cow;

/// The environment of a request.
#[derive(Clone, Copy)]
pub(crate) struct Environ<'a, 'py>(&'a Bound<'py, PyDict>);

impl<'a, 'py> Environ<'a, 'py> {
    /// PEP 3333 wants a dictionary, and no subclass of it; with anything else, nothing is read.
    #[inline]
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> Option<Self> {
        object.cast::<PyDict>().ok().map(Self)
    }

    #[inline]
    pub(crate) fn get(self, key: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        self.0.get_item(key).ok().flatten()
    }

    #[inline]
    fn text(self, key: &Bound<'py, PyString>) -> Option<Text<'py>> {
        self.get(key).and_then(Text::of_object)
    }

    /// All headers, by their names in capitals (`X-CUSTOM`).
    pub(crate) fn headers(self) -> impl Iterator<Item = (String, Bound<'py, PyAny>)> {
        self.0.iter().filter_map(|(key, value)| {
            let name = capi::utf8(&key)?.strip_prefix("HTTP_")?.replace('_', "-");
            Some((name, value))
        })
    }

    /// A header of those that carry a trace, by its lower-case name.
    pub(crate) fn propagation_header(self, name: &'static str) -> Option<String> {
        let py = self.0.py();
        let key = match name {
            "traceparent" => intern!(py, "HTTP_TRACEPARENT").clone(),
            "tracestate" => intern!(py, "HTTP_TRACESTATE").clone(),
            "baggage" => intern!(py, "HTTP_BAGGAGE").clone(),
            "b3" => intern!(py, "HTTP_B3").clone(),
            other => PyString::new(py, &format!("HTTP_{}", other.to_uppercase().replace('-', "_"))),
        };
        self.get(&key).as_ref().and_then(capi::utf8).map(str::to_owned)
    }

    /// The request.
    #[inline]
    pub(crate) fn view(self, mode: Mode) -> RequestView<'py> {
        let py = self.0.py();
        let (method, original_method) = self.method(mode);
        let host = self.text(intern!(py, "HTTP_HOST"));
        let target = match self.get(intern!(py, "RAW_URI")).filter(|target| !target.is_none()) {
            Some(target) => Text::of_object(target),
            None => self.text(intern!(py, "REQUEST_URI")),
        };
        let needs_url = mode.is_old() && target.is_none();
        let (path, query) = match mode {
            Mode::Old => (None, None),
            _ => (self.text(intern!(py, "PATH_INFO")), self.text(intern!(py, "QUERY_STRING"))),
        };
        let peer_address = self.text(intern!(py, "REMOTE_ADDR"));
        let peer_name = self.text(intern!(py, "REMOTE_HOST")).filter(|name| {
            peer_address.as_ref().is_none_or(|address| address.as_str() != name.as_str())
        });
        RequestView {
            method,
            original_method,
            scheme: self.text(intern!(py, "wsgi.url_scheme")),
            server_name: self.text(intern!(py, "SERVER_NAME")),
            net_host_name: host.clone(),
            server_address: host.clone(),
            host,
            server_port: self.number(intern!(py, "SERVER_PORT")),
            target,
            url: needs_url.then(|| Text::Own(self.url().into())),
            path,
            query,
            peer_address,
            peer_port: self.number(intern!(py, "REMOTE_PORT")),
            peer_name,
            user_agent: self.user_agent(),
            version: self.version(),
        }
    }

    #[inline]
    fn method(self, mode: Mode) -> (Text<'py>, Option<Text<'py>>) {
        let py = self.0.py();
        let object = self.get(intern!(py, "REQUEST_METHOD"));
        let original = object.as_ref().and_then(capi::utf8).unwrap_or_default().trim();
        let method = normalised_method(original);
        let original_method = (mode.is_new() && *original != *method && !original.is_empty())
            .then(|| Text::Own(original.into()));
        let method = match method {
            Cow::Borrowed(known) => Text::Static(known),
            Cow::Owned(other) => Text::Own(other.into()),
        };
        (method, original_method)
    }

    /// A number, as a `str` or an `int`.
    #[inline]
    fn number(self, key: &Bound<'py, PyString>) -> Option<i64> {
        let value = self.get(key)?;
        match capi::utf8(&value) {
            Some(text) => text.trim().parse().ok(),
            None => value.extract().ok(),
        }
    }

    fn user_agent(self) -> Option<Text<'py>> {
        self.text(intern!(self.0.py(), "HTTP_USER_AGENT"))
    }

    /// What follows `HTTP/` in the protocol's name, or the whole name.
    #[inline]
    fn version(self) -> Option<Text<'py>> {
        let protocol = self.get(intern!(self.0.py(), "SERVER_PROTOCOL"))?;
        let name = capi::utf8(&protocol)?;
        match name {
            "" => None,
            "HTTP/1.1" => Some(Text::Static("1.1")),
            "HTTP/1.0" => Some(Text::Static("1.0")),
            "HTTP/2.0" => Some(Text::Static("2.0")),
            _ => {
                let has_prefix =
                    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("HTTP/"));
                let version = if has_prefix { &name[5..] } else { name };
                (!version.is_empty()).then(|| Text::Own(version.into()))
            }
        }
    }

    fn with_parts<R>(self, use_parts: impl FnOnce(Parts<'_>) -> R) -> R {
        let py = self.0.py();
        let [scheme, host, server_name, server_port, script_name, path, query] = [
            intern!(py, "wsgi.url_scheme"),
            intern!(py, "HTTP_HOST"),
            intern!(py, "SERVER_NAME"),
            intern!(py, "SERVER_PORT"),
            intern!(py, "SCRIPT_NAME"),
            intern!(py, "PATH_INFO"),
            intern!(py, "QUERY_STRING"),
        ]
        .map(|key| self.get(key));
        let text = |object: &'_ Option<Bound<'py, PyAny>>| -> String {
            object.as_ref().and_then(capi::utf8).unwrap_or_default().to_owned()
        };
        use_parts(Parts {
            scheme: &text(&scheme),
            host: &text(&host),
            server_name: &text(&server_name),
            server_port: &text(&server_port),
            script_name: &text(&script_name),
            path: &text(&path),
            query: &text(&query),
        })
    }

    fn url(self) -> String {
        self.with_parts(|parts| url::redacted(&parts.request_uri()))
    }

    /// The URL that patterns of excluded URLs are matched with.
    pub(crate) fn readable_url(self) -> String {
        self.with_parts(|parts| parts.readable())
    }

    /// The name of a span for which no route is known: the method and the path.
    pub(crate) fn path_name(self, method: &str) -> String {
        let path = self.get(intern!(self.0.py(), "PATH_INFO"));
        let path = path.as_ref().and_then(capi::utf8).unwrap_or_default().trim();
        match method {
            OTHER_METHOD => "HTTP".to_owned(),
            method if path.is_empty() => method.to_owned(),
            method => format!("{method} {path}"),
        }
    }
}
