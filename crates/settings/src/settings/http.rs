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

/// Headers that become span attributes: regular expressions for their names, in any case.
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
    /// Those whose values are not shown.
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
