//! The libraries, and what their spans and metrics hold, which is not the same in all of them.

/// A library that sends requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    Requests,
    Urllib3,
    Urllib,
    Httpx,
    HttpClient,
}

/// How much of the server's address is on a span, where the new names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    None,
    Server,
    /// Also as `network.peer.*`.
    ServerAndPeer,
}

/// Which attributes of a request its metrics have under the old names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OldMetric {
    pub(super) scheme: bool,
    /// The server and the version of HTTP, without the new names beside them.
    pub(super) server: bool,
    pub(super) version: bool,
    pub(super) url: bool,
}

/// What is particular about a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) scope: &'static str,
    /// In `OTEL_PYTHON_<name>_EXCLUDED_URLS`.
    pub(super) variable: &'static str,
    /// `user_agent.*` of requests.
    pub(super) has_user_agent: bool,
    pub(super) address: Address,
    /// The version of HTTP on spans, where the new names are written.
    pub(super) has_version: bool,
    /// `error.type` of calls that raise, where the new names are written.
    pub(super) has_exception_type: bool,
    /// Calls that raise are measured, too.
    pub(super) measures_failures: bool,
    pub(super) measures_sizes: bool,
    /// Whether the server is in metrics under the new names.
    pub(super) measures_server: bool,
    pub(super) old_metric: OldMetric,
    /// The description and the advised boundaries of `http.client.duration`.
    pub(super) old_duration: (&'static str, bool),
}

const LOWER_CASE_DURATION: &str = "measures the duration of the outbound HTTP request";
const DURATION: &str = "Measures the duration of the outbound HTTP request";

impl Library {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "requests" => Self::Requests,
            "urllib3" => Self::Urllib3,
            "urllib" => Self::Urllib,
            "httpx" => Self::Httpx,
            "http_client" => Self::HttpClient,
            _ => return None,
        })
    }

    /// As the official packages of release 0.66b1 do it.
    pub(super) fn profile(self) -> Profile {
        match self {
            Self::Requests => Profile {
                scope: "opentelemetry.instrumentation.requests",
                variable: "REQUESTS",
                has_user_agent: true,
                address: Address::ServerAndPeer,
                has_version: true,
                has_exception_type: true,
                measures_failures: true,
                measures_sizes: false,
                measures_server: true,
                old_metric: OldMetric { scheme: true, server: true, version: true, url: false },
                old_duration: (LOWER_CASE_DURATION, true),
            },
            Self::Urllib3 => Profile {
                scope: "opentelemetry.instrumentation.urllib3",
                variable: "URLLIB3",
                has_user_agent: false,
                address: Address::None,
                has_version: false,
                has_exception_type: false,
                measures_failures: false,
                measures_sizes: true,
                measures_server: true,
                old_metric: OldMetric { scheme: true, server: true, version: true, url: false },
                old_duration: (DURATION, false),
            },
            Self::Urllib => Profile {
                scope: "opentelemetry.instrumentation.urllib",
                variable: "URLLIB",
                has_user_agent: false,
                address: Address::None,
                has_version: false,
                has_exception_type: true,
                measures_failures: true,
                measures_sizes: true,
                measures_server: false,
                old_metric: OldMetric { scheme: false, server: false, version: true, url: true },
                old_duration: (DURATION, false),
            },
            Self::Httpx => Profile {
                scope: "opentelemetry.instrumentation.httpx",
                variable: "HTTPX",
                has_user_agent: false,
                address: Address::ServerAndPeer,
                has_version: true,
                has_exception_type: true,
                measures_failures: false,
                measures_sizes: false,
                measures_server: true,
                old_metric: OldMetric { scheme: true, server: false, version: false, url: false },
                old_duration: (LOWER_CASE_DURATION, true),
            },
            // There is no official package for it; it does as the one for urllib3, and what the
            // semantic conventions want besides.
            Self::HttpClient => Profile {
                scope: "carafe.instrumentation.http_client",
                variable: "HTTP_CLIENT",
                has_user_agent: false,
                address: Address::Server,
                has_version: true,
                has_exception_type: true,
                measures_failures: true,
                measures_sizes: false,
                measures_server: true,
                old_metric: OldMetric { scheme: true, server: true, version: true, url: false },
                old_duration: (DURATION, false),
            },
        }
    }
}
