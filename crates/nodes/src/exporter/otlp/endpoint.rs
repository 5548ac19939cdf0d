//! The forms in which people write where to send.

use carafe_telemetry::Signal;
use std::fmt;
use url::{Host, Url};

/// OTLP specification: the port of OTLP over gRPC.
const GRPC_PORT: u16 = 4317;

/// A text that is no endpoint.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("endpoint {text:?}: {reason}")]
pub struct EndpointError {
    text: String,
    reason: String,
}

/// Where an exporter sends. Displays without user name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    /// Whether `/v1/<signal>` is appended.
    base: bool,
}

impl Endpoint {
    /// For gRPC: `host:port`, `host` (port 4317), or a URL with scheme http (plain text) or
    /// https (TLS), whose path is not used. Without a scheme it is TLS unless `insecure`, as
    /// in the official SDKs; with one, the scheme decides.
    pub fn grpc(text: &str, insecure: bool) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.contains("://") {
            return Ok(Self { url: parse(text, text)?, base: false });
        }
        let scheme = if insecure { "http" } else { "https" };
        let mut url = parse(text, &format!("{scheme}://{text}"))?;
        if !has_port(text) {
            // Cannot fail: http and https URLs have a host and may have a port.
            let _ = url.set_port(Some(GRPC_PORT));
        }
        Ok(Self { url, base: false })
    }

    /// For HTTP and all signals (`OTEL_EXPORTER_OTLP_ENDPOINT`): a URL to which
    /// `/v1/<signal>` is appended.
    pub fn http_base(text: &str) -> Result<Self, EndpointError> {
        Ok(Self { url: http_url(text)?, base: true })
    }

    /// For HTTP and one signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`): a URL that is used as
    /// it is.
    pub fn http_exact(text: &str) -> Result<Self, EndpointError> {
        Ok(Self { url: http_url(text)?, base: false })
    }

    /// The URL for an HTTP request with this signal.
    pub fn url_for(&self, signal: Signal) -> Url {
        let mut url = self.url.clone();
        if self.base {
            let path = format!("{}/v1/{signal}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        url
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host name or address, without brackets.
    pub(super) fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(GRPC_PORT)
    }

    /// `scheme://host:port`.
    pub(super) fn origin(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{}://{host}:{}", self.url.scheme(), self.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        f.write_str(self.url.path().trim_end_matches('/'))
    }
}

fn http_url(text: &str) -> Result<Url, EndpointError> {
    let text = text.trim();
    if !text.contains("://") {
        let reason = format!("has no scheme; write http://{text} or https://{text}");
        return Err(EndpointError { text: text.to_owned(), reason });
    }
    parse(text, text)
}

fn parse(text: &str, url: &str) -> Result<Url, EndpointError> {
    let error = |reason: String| EndpointError { text: text.to_owned(), reason };
    let url = Url::parse(url).map_err(|e| error(format!("{e}; write http://host:port")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error(format!("scheme {:?} is neither http nor https", url.scheme())));
    }
    Ok(url)
}

/// Whether `host:port` has the port. Asked of the text, because a parsed URL has lost a port
/// that is its scheme's default.
fn has_port(text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    after_host.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grpc(text: &str, insecure: bool) -> String {
        Endpoint::grpc(text, insecure).unwrap().to_string()
    }

    #[test]
    fn grpc_forms() {
        for (text, insecure, expected) in [
            ("0.0.0.0:4317", true, "http://0.0.0.0:4317"),
            ("localhost:4317", false, "https://localhost:4317"),
            ("localhost", true, "http://localhost:4317"),
            ("localhost:80", true, "http://localhost:80"),
            ("[::1]", true, "http://[::1]:4317"),
            ("[::1]:5000", true, "http://[::1]:5000"),
            ("http://localhost:4317", false, "http://localhost:4317"),
            ("https://localhost:4317", true, "https://localhost:4317"),
            ("https://collector.example", false, "https://collector.example:443"),
            (" http://user:secret@localhost:4317/ ", false, "http://localhost:4317"),
        ] {
            assert_eq!(grpc(text, insecure), expected, "{text}");
        }
        assert_eq!(Endpoint::grpc("[::1]:4317", true).unwrap().host(), "::1");
    }

    #[test]
    fn http_forms() {
        let base = |text| Endpoint::http_base(text).unwrap().url_for(Signal::Traces).to_string();
        assert_eq!(base("http://localhost:4318"), "http://localhost:4318/v1/traces");
        assert_eq!(base("http://localhost:4318/"), "http://localhost:4318/v1/traces");
        assert_eq!(base("https://a.example/otlp/"), "https://a.example/otlp/v1/traces");
        assert_eq!(base("https://a.example/x?key=1"), "https://a.example/x/v1/traces?key=1");
        let exact = |text| Endpoint::http_exact(text).unwrap().url_for(Signal::Logs).to_string();
        assert_eq!(exact("http://localhost:4318/in"), "http://localhost:4318/in");
        assert_eq!(exact("http://localhost:4318"), "http://localhost:4318/");
    }

    #[test]
    fn what_is_no_endpoint() {
        let message = |result: Result<Endpoint, EndpointError>| result.unwrap_err().to_string();
        assert_eq!(
            message(Endpoint::http_base("localhost:4318")),
            "endpoint \"localhost:4318\": has no scheme; write http://localhost:4318 or \
             https://localhost:4318"
        );
        assert_eq!(
            message(Endpoint::grpc("unix:///tmp/sock", true)),
            "endpoint \"unix:///tmp/sock\": scheme \"unix\" is neither http nor https"
        );
        for text in ["", ":4317", "host:port", "a b:1", "localhost:99999"] {
            assert!(message(Endpoint::grpc(text, true)).ends_with("write http://host:port"));
        }
    }
}
