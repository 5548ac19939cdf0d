//! The semantic conventions of HTTP server telemetry, as the official packages read them.

use crate::environment;
use std::borrow::Cow;
use std::sync::OnceLock;

/// Which names attributes and metrics have (`OTEL_SEMCONV_STABILITY_OPT_IN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The names from before 1.21, the default.
    Old,
    /// `http`: the stable names.
    New,
    /// `http/dup`: both.
    Both,
}

impl Mode {
    /// What the variable says, read once.
    pub(crate) fn of_process() -> Self {
        static MODE: OnceLock<Mode> = OnceLock::new();
        *MODE.get_or_init(|| {
            Self::from_opt_in(
                environment::text("OTEL_SEMCONV_STABILITY_OPT_IN").as_deref().unwrap_or_default(),
            )
        })
    }

    /// `http/dup` wins over `http`.
    fn from_opt_in(list: &str) -> Self {
        let has = |wanted: &str| list.split(',').any(|name| name.trim() == wanted);
        if has("http/dup") {
            Self::Both
        } else if has("http") {
            Self::New
        } else {
            Self::Old
        }
    }

    /// Whether the old names are given.
    #[inline]
    pub(crate) fn is_old(self) -> bool {
        self != Self::New
    }

    /// Whether the stable names are given.
    #[inline]
    pub(crate) fn is_new(self) -> bool {
        self != Self::Old
    }

    /// The schema URL of the scopes.
    pub(crate) fn schema_url(self) -> &'static str {
        match self {
            Self::Old => "https://opentelemetry.io/schemas/1.11.0",
            Self::New | Self::Both => "https://opentelemetry.io/schemas/1.21.0",
        }
    }
}

/// The method of requests whose own is not known.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// The methods of RFC 9110, RFC 5789 and RFC 10008.
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// The method as telemetry gives it: a known one in capitals, else [`OTHER_METHOD`]; any with
/// `OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS`.
#[inline]
pub(crate) fn normalised_method(method: &str) -> Cow<'static, str> {
    if let Some(known) = METHODS.iter().find(|known| known.eq_ignore_ascii_case(method)) {
        return Cow::Borrowed(known);
    }
    static ALL: OnceLock<bool> = OnceLock::new();
    let takes_all = *ALL.get_or_init(|| {
        environment::text("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS").is_some()
    });
    if takes_all { Cow::Owned(method.to_uppercase()) } else { Cow::Borrowed(OTHER_METHOD) }
}

/// The method in a span's name.
#[inline]
pub(crate) fn name_of_method(method: &str) -> &str {
    if method == OTHER_METHOD { "HTTP" } else { method }
}

/// What a response said of its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// A code.
    Code(u16),
    /// What stood in the code's place.
    Unreadable(Box<str>),
}

impl Status {
    /// Of a WSGI status line: the code is all before the first space.
    #[inline]
    pub(crate) fn from_line(line: &str) -> Self {
        let code = line.split(' ').next().unwrap_or_default();
        code.parse().map_or_else(|_| Self::Unreadable(code.into()), Self::Code)
    }

    /// The code, or what stood in its place.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Code(code) => code.to_string(),
            Self::Unreadable(text) => text.to_string(),
        }
    }

    /// Whether a server's span has failed with it: 4xx is the client's fault.
    #[inline]
    pub(crate) fn is_error(&self) -> bool {
        match self {
            Self::Code(code) => !(100..500).contains(code),
            Self::Unreadable(_) => true,
        }
    }
}

const BOTS: [&str; 2] = ["googlebot", "bingbot"];
const TESTS: [&str; 1] = ["alwayson"];

/// `user_agent.synthetic.type`, where the user agent is known to be no person's.
#[inline]
pub(crate) fn synthetic_type(user_agent: &str) -> Option<&'static str> {
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| contains(user_agent, pattern));
    if has(&TESTS) {
        Some("test")
    } else if has(&BOTS) {
        Some("bot")
    } else {
        None
    }
}

/// Whether `text` contains a pattern of lower-case letters, in any case.
fn contains(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    text.len() >= pattern.len()
        && text
            .windows(pattern.len())
            .any(|window| window[0] | 0x20 == pattern[0] && window.eq_ignore_ascii_case(pattern))
}

/// Buckets of `http.server.request.duration`, in seconds.
pub(crate) const DURATION_BOUNDARIES_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
