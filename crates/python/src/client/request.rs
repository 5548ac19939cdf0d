//! A request that is about to be sent, as attributes.

use super::headers::{Side, as_text, get, recorded};
use super::library::{Address, Profile};
use super::settings::Settings;
use super::url::{Parts, redact};
use crate::attributes::{Attributes, Bounds, Value};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::borrow::Cow;

/// Methods that are known (RFC 9110, RFC 5789, RFC 10008); others are one.
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// What stands for methods that are not known.
const OTHER_METHOD: &str = "_OTHER";

/// A request's method, for attributes of low cardinality.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Method(Cow<'static, str>);

impl Method {
    pub(super) fn of(original: &str, settings: &Settings) -> Self {
        let original = original.trim();
        let known = METHODS.iter().find(|known| known.eq_ignore_ascii_case(original));
        Self(match known {
            Some(known) => Cow::Borrowed(known),
            None if settings.takes_any_method => Cow::Owned(original.to_uppercase()),
            None => Cow::Borrowed(OTHER_METHOD),
        })
    }

    /// No method at all.
    pub(super) fn none() -> Self {
        Self(Cow::Borrowed(""))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn value(&self) -> Value {
        match &self.0 {
            Cow::Borrowed(text) => Value::Static(text),
            Cow::Owned(text) => Value::Text(text.as_str().into()),
        }
    }

    /// The name of the span.
    pub(super) fn span_name<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let name = if self.0 == OTHER_METHOD { "HTTP" } else { self.as_str() };
        PyString::intern(py, name).into_any()
    }
}

/// The server that a request goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) scheme: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// A request that is about to be sent.
pub(super) struct Request<'a, 'py> {
    /// As the app has written it.
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    /// The `str` with just that URL, where there is one.
    pub(super) url_object: Option<&'a Bound<'py, PyAny>>,
    /// Where the library knows it: else it is as the URL says.
    pub(super) server: Option<Server>,
    /// A mapping.
    pub(super) headers: Option<&'a Bound<'py, PyAny>>,
}

/// What its end needs to know of a request.
pub(super) struct Described {
    pub(super) method: Method,
    pub(super) server: Server,
    /// Redacted; empty where no metric wants it.
    pub(super) url: String,
    pub(super) attributes: Attributes,
}

impl Request<'_, '_> {
    /// The request as attributes of its span.
    pub(super) fn describe(
        self,
        py: Python<'_>,
        profile: &Profile,
        settings: &Settings,
        bounds: Bounds,
    ) -> PyResult<Described> {
        let names = settings.names;
        let mut attributes = Attributes::with_capacity(if names.new { 12 } else { 6 });
        let mut put = |key, value| attributes.put(py, key, value, bounds);
        let method = Method::of(self.method, settings);
        let original = self.method.trim();
        if names.old {
            put("http.method", method.value());
        }
        if names.new {
            put("http.request.method", method.value());
            if original != method.as_str() {
                put("http.request.method_original", Value::Text(original.into()));
            }
        }
        let parts = Parts::of(self.url);
        let url = redact(py, self.url, &parts)?;
        let url_value = || match (&url, self.url_object) {
            (Cow::Borrowed(_), Some(object)) if bounds.length.is_none() => {
                Value::Object(object.clone().unbind())
            }
            (url, _) => Value::Text(url.as_ref().into()),
        };
        if names.old {
            put("http.url", url_value());
        }
        if names.new {
            put("url.full", url_value());
        }
        let server = self.server.unwrap_or_else(|| Server {
            scheme: parts.scheme.map(str::to_owned),
            host: parts.host.map(str::to_ascii_lowercase),
            port: parts.port,
        });
        if names.new && profile.address != Address::None {
            put_address(&mut put, &server, profile, settings);
        }
        if let Some(headers) = self.headers {
            if profile.has_user_agent {
                put_user_agent(&mut put, headers)?;
            }
            for (key, value) in recorded(settings, Side::Request, headers)? {
                attributes.set(&PyString::new(py, &key), &value, bounds)?;
            }
        }
        let url = if profile.old_metric.url { url.into_owned() } else { String::new() };
        Ok(Described { method, server, url, attributes })
    }
}

fn put_address(
    put: &mut impl FnMut(&'static str, Value),
    server: &Server,
    profile: &Profile,
    settings: &Settings,
) {
    let is_peer = profile.address == Address::ServerAndPeer;
    let is_old = settings.names.old && is_peer;
    if let Some(host) = server.host.as_deref() {
        let keys =
            [("server.address", true), ("network.peer.address", is_peer), ("http.host", is_old)];
        for (key, _) in keys.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            put(key, Value::Text(host.into()));
        }
    }
    if let Some(port) = server.port {
        let keys =
            [("server.port", true), ("network.peer.port", is_peer), ("net.peer.port", is_old)];
        for (key, _) in keys.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            put(key, Value::Int(port.into()));
        }
    }
}

/// `user_agent.*`; test traffic and bots are told apart by what they say of themselves.
fn put_user_agent(
    put: &mut impl FnMut(&'static str, Value),
    headers: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let Some(user_agent) = get(headers, "user-agent")? else { return Ok(()) };
    let text = as_text(&user_agent)?;
    if text.is_empty() {
        return Ok(());
    }
    let lower_case = text.to_lowercase();
    if lower_case.contains("alwayson") {
        put("user_agent.synthetic.type", Value::Static("test"));
    } else if lower_case.contains("googlebot") || lower_case.contains("bingbot") {
        put("user_agent.synthetic.type", Value::Static("bot"));
    }
    put("user_agent.original", Value::Text(text.into()));
    Ok(())
}
