//! A request as ASGI gives it (ASGI specification, "HTTP & WebSocket connection scope").

use super::headers::{Headers, decoded};
use crate::capi;
use crate::server::convention::{Mode, OTHER_METHOD, normalised_method};
use crate::server::url;
use crate::server::view::{RequestView, Text};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::borrow::Cow;

/// What a scope is of; others (lifespan) are none of our business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    WebSocket,
}

impl Kind {
    /// The scope's `type`, as it stands in the names of spans.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
        }
    }
}

/// A scope of a request.
pub(crate) struct Scope<'a, 'py> {
    dictionary: &'a Bound<'py, PyDict>,
    pub(crate) kind: Kind,
    pub(crate) headers: Headers<'py>,
}

/// A server's address where the scope gives none, as the official package assumes.
const UNKNOWN_SERVER: (&str, i64) = ("0.0.0.0", 80);

impl<'a, 'py> Scope<'a, 'py> {
    /// `None` for scopes of other types.
    #[inline]
    pub(crate) fn of(dictionary: &'a Bound<'py, PyDict>) -> Option<Self> {
        let py = dictionary.py();
        let kind = dictionary.get_item(intern!(py, "type")).ok()??;
        let kind = match capi::utf8(&kind)? {
            "http" => Kind::Http,
            "websocket" => Kind::WebSocket,
            _ => return None,
        };
        Some(Self { dictionary, kind, headers: Headers::of(dictionary) })
    }

    #[inline]
    fn get(&self, key: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        self.dictionary.get_item(key).ok().flatten()
    }

    #[inline]
    fn text(&self, key: &Bound<'py, PyString>) -> Option<Text<'py>> {
        self.get(key).and_then(Text::of_object)
    }

    /// Address and port of `server` or `client`; nothing where the scope has none.
    fn endpoint(&self, key: &Bound<'py, PyString>) -> Option<(Option<Text<'py>>, Option<i64>)> {
        let endpoint = self.get(key)?;
        let item = |index| match endpoint.cast::<PyTuple>() {
            Ok(tuple) => tuple.get_item(index).ok(),
            Err(_) => endpoint.cast::<PyList>().ok()?.get_item(index).ok(),
        };
        let (address, port) = (item(0)?, item(1)?);
        // Some servers write it as text.
        let port = match capi::utf8(&port) {
            Some(text) => text.trim().parse().ok(),
            None => port.extract().ok(),
        };
        Some((Text::of_object(address), port))
    }

    /// The request.
    pub(crate) fn view(&self, mode: Mode) -> RequestView<'py> {
        let py = self.dictionary.py();
        let (server, port) = self.server();
        let server_host = Text::Own(
            match port {
                Some(80) | None => server.as_str().to_owned(),
                Some(port) => format!("{}:{port}", server.as_str()),
            }
            .into(),
        );
        let (method, original_method) = self.method(mode);
        let server_name = self.headers.joined("host");
        let path = self.text(intern!(py, "path"));
        let query = if mode.is_new() { self.query() } else { String::new() };
        let (peer_address, peer_port) =
            self.endpoint(intern!(py, "client")).unwrap_or((None, None));
        let user_agent = self.headers.first("user-agent").filter(|agent| !agent.is_empty());
        RequestView {
            method,
            original_method,
            scheme: self.text(intern!(py, "scheme")),
            server_name: (!server_name.is_empty()).then(|| Text::Own(server_name.into())),
            host: Some(server_host.clone()),
            net_host_name: None,
            server_address: Some(server_host),
            server_port: port,
            target: path.clone(),
            url: None,
            path,
            query: (!query.is_empty()).then(|| Text::Own(query.into())),
            peer_address,
            peer_port,
            peer_name: None,
            user_agent: user_agent.map(|agent| Text::Own(agent.into())),
            version: self.text(intern!(py, "http_version")),
        }
    }

    /// The URL with its query, without secrets.
    pub(crate) fn whole_url(&self) -> Text<'py> {
        let mut url = self.url();
        let query = self.query();
        if !query.is_empty() {
            url.push('?');
            url.push_str(&unquoted(&query));
        }
        // Secrets are before an `@` or behind a `?`.
        let may_have_secrets = url.bytes().any(|byte| byte == b'@' || byte == b'?');
        Text::Own(if may_have_secrets { url::redacted(&url) } else { url }.into())
    }

    fn server(&self) -> (Text<'py>, Option<i64>) {
        let (address, port) = UNKNOWN_SERVER;
        match self.endpoint(intern!(self.dictionary.py(), "server")) {
            Some((Some(address), port)) => (address, port),
            _ => (Text::Static(address), Some(port)),
        }
    }

    /// The method, empty for WebSockets, and what the client wrote where that differs.
    #[inline]
    fn method(&self, mode: Mode) -> (Text<'py>, Option<Text<'py>>) {
        let object = self.get(intern!(self.dictionary.py(), "method"));
        let original = object.as_ref().and_then(capi::utf8).unwrap_or_default().trim();
        if original.is_empty() {
            return (Text::Static(""), None);
        }
        let method = normalised_method(original);
        let original_method =
            (mode.is_new() && *original != *method).then(|| Text::Own(original.into()));
        let method = match method {
            Cow::Borrowed(known) => Text::Static(known),
            Cow::Owned(other) => Text::Own(other.into()),
        };
        (method, original_method)
    }

    /// The method as it is in the scope.
    pub(crate) fn raw_method(&self) -> String {
        let object = self.get(intern!(self.dictionary.py(), "method"));
        object.as_ref().and_then(capi::utf8).unwrap_or_default().to_owned()
    }

    fn query(&self) -> String {
        let Some(query) = self.get(intern!(self.dictionary.py(), "query_string")) else {
            return String::new();
        };
        match query.cast::<PyBytes>() {
            Ok(bytes) => decoded(bytes.as_bytes()).into_owned(),
            Err(_) => capi::utf8(&query).unwrap_or_default().to_owned(),
        }
    }

    /// The URL without its query: patterns of excluded URLs are matched with it.
    pub(crate) fn url(&self) -> String {
        let py = self.dictionary.py();
        let scheme = self.text(intern!(py, "scheme")).unwrap_or(Text::Static("http"));
        let mut url = format!("{}://", scheme.as_str());
        match self.headers.first("host") {
            Some(host) => url.push_str(&host),
            None => {
                let (server, port) = self.server();
                url.push_str(server.as_str());
                if let Some(port) = port.filter(|port| *port != 80) {
                    url.push_str(&format!(":{port}"));
                }
            }
        }
        if let Some(path) = self.text(intern!(py, "path")) {
            url.push_str(path.as_str());
        }
        url
    }

    /// The name of a span for which no route is known: the method and the path.
    pub(crate) fn path_name(&self) -> String {
        let method = self.raw_method();
        let method = normalised_method(method.trim());
        let method = if method == OTHER_METHOD { "HTTP" } else { &method };
        let path = self.text(intern!(self.dictionary.py(), "path"));
        match path.as_ref().map(|path| path.as_str().trim()) {
            Some(path) if !path.is_empty() => format!("{method} {path}"),
            _ => method.to_owned(),
        }
    }
}

/// Decodes the percent-encoded bytes of a text; what is then no UTF-8 is replaced.
fn unquoted(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).map(|digit| digit as u8)
}
