//! From an exchange to a span and to measurements, by the HTTP semantic conventions.
//!
//! Names, order and values of attributes follow the official Python instrumentation of WSGI
//! servers and HTTP clients, old and stable conventions alike, so that dashboards keep working.

mod attributes;
mod headers;
mod target;

pub use attributes::Labels;
pub use headers::{CapturedHeaders, HeaderPatterns, PlainPattern};

use crate::clock::Clock;
use crate::exchange::{Exchange, Failure};
use crate::propagation::{self, Propagator, RemoteParent, SAMPLED};
use crate::route::Routes;
use crate::sampling::Sampler;
use attributes::Attributes;
use carafe_http1::parse::{RequestHead, ResponseHead};
use carafe_telemetry::otlp::{Span, Status, span::SpanKind, status::StatusCode};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use carafe_wire::record::Connection;
use rand::RngExt;
use std::borrow::Cow;
use target::Target;

/// Which names attributes and metrics get (`OTEL_SEMCONV_STABILITY_OPT_IN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semconv {
    /// Nothing opted in: the names before stability (`http.method`).
    #[default]
    Old,
    /// `http`: the stable names (`http.request.method`).
    Stable,
    /// `http/dup`: both.
    Both,
}

impl Semconv {
    /// Whether the old names are wanted.
    pub fn has_old(self) -> bool {
        self != Self::Stable
    }

    /// Whether the stable names are wanted.
    pub fn has_stable(self) -> bool {
        self != Self::Old
    }

    /// The schema that the official instrumentation names in each mode.
    pub fn schema_url(self) -> &'static str {
        match self {
            Self::Old => "https://opentelemetry.io/schemas/1.11.0",
            Self::Stable | Self::Both => "https://opentelemetry.io/schemas/1.21.0",
        }
    }
}

/// How exchanges become telemetry.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// Names of attributes.
    pub semconv: Semconv,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Where the parent is looked for, in this order.
    pub propagators: Vec<Propagator>,
    /// Headers that become attributes.
    pub captured_headers: CapturedHeaders,
    /// Longest attribute value, in characters; `None` for no limit.
    pub value_length_limit: Option<usize>,
}

/// The methods that the conventions name; others are `_OTHER`.
const KNOWN_METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// What a request says, decoded.
#[derive(Debug)]
pub struct Request<'a> {
    head: RequestHead<'a>,
    method: Cow<'a, str>,
    target: Target<'a>,
    is_tls: bool,
}

impl<'a> Request<'a> {
    /// Reads a head; `None` where it is none.
    pub fn parse(connection: &Connection, head: &'a [u8]) -> Option<Self> {
        let head = RequestHead::parse(head)?;
        Some(Self {
            method: String::from_utf8_lossy(head.method),
            target: Target::parse(head.target),
            head,
            is_tls: connection.is_tls,
        })
    }

    fn known_method(&self) -> Option<&str> {
        KNOWN_METHODS.into_iter().find(|known| *known == self.method)
    }

    fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.head.find(name).map(String::from_utf8_lossy)
    }

    /// `1.0` or `1.1`.
    fn version(&self) -> String {
        format!("1.{}", self.head.minor_version)
    }

    /// The labels under which the request counts as active.
    pub fn active_labels(&self, connection: &Connection, semconv: Semconv) -> Labels {
        let mut labels = Attributes::labels(semconv);
        attributes::active(&mut labels, self, connection);
        labels.into_labels()
    }
}

/// An exchange as telemetry.
#[derive(Debug)]
pub struct Traced {
    /// The span; `None` where the sampler dropped it.
    pub span: Option<Span>,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Labels of the duration under the old names; `None` where they are not wanted.
    pub old_labels: Option<Labels>,
    /// Labels of the duration under the stable names; `None` where they are not wanted.
    pub stable_labels: Option<Labels>,
    /// Labels under which the request counted as active.
    pub active_labels: Labels,
    /// Whether this process was the server.
    pub is_server: bool,
}

/// Makes telemetry of an exchange; `None` where its head is no request.
pub fn trace(
    exchange: &Exchange,
    options: &HttpOptions,
    routes: &mut Routes,
    clock: &Clock,
) -> Option<Traced> {
    let connection = &*exchange.connection;
    let request = Request::parse(connection, &exchange.request.head)?;
    let response = exchange.response.as_ref().and_then(|half| ResponseHead::parse(&half.head));
    let outcome = Outcome {
        status: response.as_ref().map(|response| response.status),
        failure: exchange.failure,
        is_server: connection.is_server,
    };
    // A path that was not found says nothing about the app's routes.
    let route = (connection.is_server && outcome.status != Some(404))
        .then(|| routes.template(&request.target.path))
        .flatten();
    let labels = |semconv: Semconv| {
        let mut labels = Attributes::labels(semconv);
        attributes::duration(&mut labels, &request, connection, route.as_deref(), &outcome);
        labels.into_labels()
    };
    Some(Traced {
        span: span(exchange, &request, response, route.as_deref(), &outcome, options, clock),
        duration_ns: exchange.ended_ns.saturating_sub(exchange.request.started_ns),
        old_labels: options.semconv.has_old().then(|| labels(Semconv::Old)),
        stable_labels: options.semconv.has_stable().then(|| labels(Semconv::Stable)),
        active_labels: request.active_labels(connection, options.semconv),
        is_server: connection.is_server,
    })
}

/// How an exchange ended, as far as attributes and status are concerned.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    status: Option<u16>,
    failure: Option<Failure>,
    is_server: bool,
}

impl Outcome {
    /// Status codes that are errors: for a server its own faults, for a client its own too.
    fn is_error_status(&self) -> bool {
        let first_error = if self.is_server { 500 } else { 400 };
        self.status.is_some_and(|status| status >= first_error)
    }

    fn is_error(&self) -> bool {
        self.is_error_status() || self.failure.is_some_and(|failure| failure != Failure::Lost)
    }

    /// The value of `error.type`.
    fn error_type(&self) -> Option<Cow<'static, str>> {
        match self.failure {
            _ if self.is_error_status() => Some(self.status?.to_string().into()),
            Some(Failure::ConnectionClosed) => Some("connection_closed".into()),
            Some(Failure::ProcessEnded) => Some("process_ended".into()),
            Some(Failure::Lost) | None => None,
        }
    }

    fn status(&self) -> Status {
        let message = match self.failure {
            Some(Failure::ConnectionClosed) => "connection closed before the response was complete",
            Some(Failure::ProcessEnded) => "process ended before the response was complete",
            Some(Failure::Lost) | None => "",
        };
        let code = if self.is_error() { StatusCode::Error } else { StatusCode::Unset };
        Status { code: code.into(), message: message.to_owned() }
    }
}

fn span(
    exchange: &Exchange,
    request: &Request<'_>,
    response: Option<ResponseHead<'_>>,
    route: Option<&str>,
    outcome: &Outcome,
    options: &HttpOptions,
    clock: &Clock,
) -> Option<Span> {
    let connection = &*exchange.connection;
    // Whose context a client's request carries, only the app knows: it is not the span's parent.
    let parent = if connection.is_server {
        propagation::extract(&options.propagators, |name| request.head.find(name))
    } else {
        None
    };
    let mut rng = rand::rng();
    let trace_id = match &parent {
        Some(parent) => parent.trace_id,
        None => TraceId(rng.random()),
    };
    if !options.sampler.is_sampled(trace_id, parent.as_ref()) {
        return None;
    }
    let mut attributes = Attributes::span(options.semconv, options.value_length_limit);
    attributes::span(&mut attributes, request, connection, route, outcome);
    attributes::headers(&mut attributes, request, response, connection, &options.captured_headers);
    let UnixNanos(start_time_unix_nano) = clock.unix(exchange.request.started_ns);
    let UnixNanos(end_time_unix_nano) = clock.unix(exchange.ended_ns);
    let kind = if connection.is_server { SpanKind::Server } else { SpanKind::Client };
    Some(Span {
        trace_id: trace_id.0.to_vec(),
        span_id: SpanId(rng.random()).0.to_vec(),
        trace_state: parent.as_ref().map(|p| p.trace_state.clone()).unwrap_or_default(),
        parent_span_id: parent.as_ref().map(|p| p.span_id.0.to_vec()).unwrap_or_default(),
        flags: flags(parent.as_ref()),
        name: name(request, route, connection.is_server),
        kind: kind.into(),
        start_time_unix_nano,
        end_time_unix_nano,
        attributes: attributes.into_key_values(),
        status: Some(outcome.status()),
        ..Default::default()
    })
}

/// OTLP's span flags: the trace flags, and whether the parent is remote.
fn flags(parent: Option<&RemoteParent>) -> u32 {
    /// Our own ids are random (W3C Trace Context level 2).
    const RANDOM: u8 = 2;
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    match parent {
        Some(parent) => u32::from(parent.flags) | HAS_IS_REMOTE | IS_REMOTE,
        None => u32::from(SAMPLED | RANDOM) | HAS_IS_REMOTE,
    }
}

/// `GET /route` for servers, `GET` where the route is not known and for clients; `HTTP` instead
/// of methods that nobody knows.
fn name(request: &Request<'_>, route: Option<&str>, is_server: bool) -> String {
    let method = request.known_method().unwrap_or("HTTP");
    match route {
        Some(route) if is_server => format!("{method} {route}"),
        _ => method.to_owned(),
    }
}

#[cfg(test)]
mod tests;
