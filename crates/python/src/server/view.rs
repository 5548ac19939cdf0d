//! A request as a server sees it, and the attributes that it gives a span.

use super::convention::{Mode, synthetic_type};
use crate::attributes::Value;
use crate::capi;
use pyo3::prelude::*;
use std::borrow::Cow;

/// A text: the app's object as it is, or one of ours.
#[derive(Debug, Clone)]
pub(crate) enum Text<'py> {
    /// A `str` that has a UTF-8 form.
    Object(Bound<'py, PyAny>),
    Static(&'static str),
    Own(Box<str>),
}

impl<'py> Text<'py> {
    /// Of a `str` that is not empty; `None` for all else.
    #[inline]
    pub(crate) fn of_object(object: Bound<'py, PyAny>) -> Option<Self> {
        capi::utf8(&object).is_some_and(|text| !text.is_empty()).then_some(Self::Object(object))
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Object(object) => capi::utf8(object).unwrap_or_default(),
            Self::Static(text) => text,
            Self::Own(text) => text,
        }
    }

    /// The text without the app's object.
    #[inline]
    pub(crate) fn to_static(&self) -> Cow<'static, str> {
        match self {
            Self::Static(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.as_str().to_owned()),
        }
    }

    /// As the value of an attribute.
    #[inline]
    fn to_value(&self) -> Value {
        match self {
            Self::Object(object) => Value::Object(object.clone().unbind()),
            Self::Static(text) => Value::Static(text),
            Self::Own(text) => Value::Text(text.clone()),
        }
    }
}

/// A request. Texts are never empty; what a server does not say is `None`.
#[derive(Debug, Clone)]
pub(crate) struct RequestView<'py> {
    /// As [`normalised_method`](super::convention::normalised_method) gives it; empty where there
    /// is none (a WebSocket).
    pub(crate) method: Text<'py>,
    /// As the client wrote it, where that differs.
    pub(crate) original_method: Option<Text<'py>>,
    pub(crate) scheme: Option<Text<'py>>,
    /// Old `http.server_name`.
    pub(crate) server_name: Option<Text<'py>>,
    /// Old `http.host`.
    pub(crate) host: Option<Text<'py>>,
    /// Old `net.host.name`.
    pub(crate) net_host_name: Option<Text<'py>>,
    /// Stable `server.address`.
    pub(crate) server_address: Option<Text<'py>>,
    pub(crate) server_port: Option<i64>,
    /// Old `http.target`.
    pub(crate) target: Option<Text<'py>>,
    /// Old `http.url`, without secrets.
    pub(crate) url: Option<Text<'py>>,
    /// Stable `url.path`.
    pub(crate) path: Option<Text<'py>>,
    /// Stable `url.query`.
    pub(crate) query: Option<Text<'py>>,
    pub(crate) peer_address: Option<Text<'py>>,
    pub(crate) peer_port: Option<i64>,
    /// The peer's name, where it is known and not its address.
    pub(crate) peer_name: Option<Text<'py>>,
    pub(crate) user_agent: Option<Text<'py>>,
    /// The protocol's version: `1.1`.
    pub(crate) version: Option<Text<'py>>,
}

impl RequestView<'_> {
    /// Gives all attributes of the request to `put`, each key once.
    #[inline]
    pub(crate) fn attributes(&self, mode: Mode, mut put: impl FnMut(&'static str, Value)) {
        let (old, new) = (mode.is_old(), mode.is_new());
        let mut text = |is_given: bool, key: &'static str, value: &Option<Text<'_>>| {
            if let (true, Some(value)) = (is_given, value) {
                put(key, value.to_value());
            }
        };
        text(new, "http.request.method_original", &self.original_method);
        if !self.method.as_str().is_empty() {
            let method = Some(self.method.clone());
            text(old, "http.method", &method);
            text(new, "http.request.method", &method);
        }
        text(old, "http.server_name", &self.server_name);
        text(old, "http.scheme", &self.scheme);
        text(new, "url.scheme", &self.scheme);
        text(old, "net.host.name", &self.net_host_name);
        text(new, "server.address", &self.server_address);
        text(old, "http.host", &self.host);
        text(old, "http.target", &self.target);
        text(old, "http.url", &self.url);
        text(new, "url.path", &self.path);
        text(new, "url.query", &self.query);
        text(old, "net.peer.ip", &self.peer_address);
        text(old, "net.peer.name", &self.peer_name);
        let client = if self.peer_name.is_some() { &self.peer_name } else { &self.peer_address };
        text(new, "client.address", client);
        text(old, "http.user_agent", &self.user_agent);
        text(new, "user_agent.original", &self.user_agent);
        text(old, "http.flavor", &self.version);
        text(new, "network.protocol.version", &self.version);
        let mut number = |is_given: bool, key: &'static str, value: Option<i64>| {
            // The official packages take 0 for no port.
            if let (true, Some(value @ 1..)) = (is_given, value) {
                put(key, Value::Int(value));
            }
        };
        number(old, "net.host.port", self.server_port);
        number(new, "server.port", self.server_port);
        number(old, "net.peer.port", self.peer_port);
        number(new, "client.port", self.peer_port);
        if let Some(kind) =
            self.user_agent.as_ref().and_then(|user_agent| synthetic_type(user_agent.as_str()))
        {
            put("user_agent.synthetic.type", Value::Static(kind));
        }
    }
}
