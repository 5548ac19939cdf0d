//! What is recorded of HTTP, and under which names.

use crate::reader::Reader;

/// Which names HTTP attributes and metrics have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpSemconv {
    /// The ones before the semantic conventions were stable; the default.
    Old,
    /// The stable ones.
    Stable,
    /// Both.
    Both,
}

/// Everything opted in to, sorted, and what it means for HTTP.
pub(super) fn semconv(reader: &Reader<'_>) -> (Vec<String>, HttpSemconv) {
    let mut names = reader.list("OTEL_SEMCONV_STABILITY_OPT_IN");
    names.sort();
    names.dedup();
    let has = |name: &str| names.iter().any(|known| known == name);
    // With both named, /dup counts.
    let http = match (has("http/dup"), has("http")) {
        (true, _) => HttpSemconv::Both,
        (false, true) => HttpSemconv::Stable,
        (false, false) => HttpSemconv::Old,
    };
    (names, http)
}

/// Headers that become span attributes: names or regular expressions over whole
/// names, in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturedHeaders {
    /// Of received requests.
    pub server_request: Vec<String>,
    /// Of sent responses.
    pub server_response: Vec<String>,
    /// Of sent requests.
    pub client_request: Vec<String>,
    /// Of received responses.
    pub client_response: Vec<String>,
    /// Those whose values are not shown: regular expressions found anywhere in the
    /// name, in any case.
    pub sanitize: Vec<String>,
}

impl CapturedHeaders {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        let list = |what| reader.list(&format!("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{what}"));
        Self {
            server_request: list("SERVER_REQUEST"),
            server_response: list("SERVER_RESPONSE"),
            client_request: list("CLIENT_REQUEST"),
            client_response: list("CLIENT_RESPONSE"),
            sanitize: list("SANITIZE_FIELDS"),
        }
    }
}

/// Requests that are left out: regular expressions found anywhere in the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExcludedUrls {
    /// For all libraries without a list of their own.
    pub general: Vec<String>,
    /// For these libraries, by the name in the variable, in lower case.
    pub by_library: Vec<(&'static str, Vec<String>)>,
}

/// The libraries whose official instrumentation has such a list.
const LIBRARIES: &[(&str, &str)] = &[
    ("aiohttp_client", "OTEL_PYTHON_AIOHTTP_CLIENT_EXCLUDED_URLS"),
    ("aiohttp_server", "OTEL_PYTHON_AIOHTTP_SERVER_EXCLUDED_URLS"),
    ("asgi", "OTEL_PYTHON_ASGI_EXCLUDED_URLS"),
    ("django", "OTEL_PYTHON_DJANGO_EXCLUDED_URLS"),
    ("falcon", "OTEL_PYTHON_FALCON_EXCLUDED_URLS"),
    ("fastapi", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"),
    ("flask", "OTEL_PYTHON_FLASK_EXCLUDED_URLS"),
    ("httpx", "OTEL_PYTHON_HTTPX_EXCLUDED_URLS"),
    ("pyramid", "OTEL_PYTHON_PYRAMID_EXCLUDED_URLS"),
    ("requests", "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS"),
    ("starlette", "OTEL_PYTHON_STARLETTE_EXCLUDED_URLS"),
    ("tornado", "OTEL_PYTHON_TORNADO_EXCLUDED_URLS"),
    ("urllib", "OTEL_PYTHON_URLLIB_EXCLUDED_URLS"),
    ("urllib3", "OTEL_PYTHON_URLLIB3_EXCLUDED_URLS"),
    ("wsgi", "OTEL_PYTHON_WSGI_EXCLUDED_URLS"),
];

impl ExcludedUrls {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            general: reader.list("OTEL_PYTHON_EXCLUDED_URLS"),
            by_library: LIBRARIES
                .iter()
                .map(|(library, variable)| (*library, reader.list(variable)))
                .filter(|(_, urls)| !urls.is_empty())
                .collect(),
        }
    }
}
