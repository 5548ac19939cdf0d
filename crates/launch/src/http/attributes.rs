//! Attribute names and values of HTTP spans and metrics.

use super::target::host_and_port;
use super::{CapturedHeaders, HeaderPatterns, Outcome, Request, Semconv};
use carafe_http1::parse::{Headers, ResponseHead};
use carafe_telemetry::otlp::{self, AnyValue, ArrayValue, KeyValue, any_value::Value};
use carafe_wire::record::Connection;

/// Attributes of a data point, in order; what data points are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(&'static str, Label)>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Label {
    Text(String),
    Number(i64),
    Truth(bool),
}

impl Labels {
    /// What stands for all labels beyond the cardinality limit (metrics SDK specification,
    /// "Cardinality limits").
    pub fn overflow() -> Self {
        Self(vec![("otel.metric.overflow", Label::Truth(true))])
    }

    /// As OTLP has them.
    pub fn to_key_values(&self) -> Vec<KeyValue> {
        self.0
            .iter()
            .map(|(key, label)| match label {
                Label::Text(text) => otlp::string(key, text.as_str()),
                Label::Number(number) => otlp::int(key, *number),
                Label::Truth(truth) => otlp::bool(key, *truth),
            })
            .collect()
    }
}

/// Collects attributes under the names that are wanted.
pub(super) struct Attributes {
    semconv: Semconv,
    value_length_limit: Option<usize>,
    entries: Vec<(&'static str, Label)>,
    lists: Vec<KeyValue>,
}

impl Attributes {
    pub(super) fn span(semconv: Semconv, value_length_limit: Option<usize>) -> Self {
        Self { semconv, value_length_limit, entries: Vec::with_capacity(14), lists: Vec::new() }
    }

    pub(super) fn labels(semconv: Semconv) -> Self {
        Self::span(semconv, None)
    }

    pub(super) fn into_labels(self) -> Labels {
        Labels(self.entries)
    }

    pub(super) fn into_key_values(self) -> Vec<KeyValue> {
        let mut attributes = Labels(self.entries).to_key_values();
        attributes.extend(self.lists);
        attributes
    }

    /// A text under its old and its stable name, each where it has one and it is wanted.
    fn text(&mut self, old: Option<&'static str>, stable: Option<&'static str>, value: &str) {
        self.put(old, stable, &Label::Text(self.cut(value)));
    }

    /// A value within the limit.
    fn cut(&self, value: &str) -> String {
        match self.value_length_limit {
            Some(limit) => value.chars().take(limit).collect(),
            None => value.to_owned(),
        }
    }

    fn number(&mut self, old: Option<&'static str>, stable: Option<&'static str>, value: i64) {
        self.put(old, stable, &Label::Number(value));
    }

    fn put(&mut self, old: Option<&'static str>, stable: Option<&'static str>, value: &Label) {
        if let Some(key) = old.filter(|_| self.semconv.has_old()) {
            self.entries.push((key, value.clone()));
        }
        let is_new = |key: &&str| Some(*key) != old || !self.semconv.has_old();
        if let Some(key) = stable.filter(|key| self.semconv.has_stable() && is_new(key)) {
            self.entries.push((key, value.clone()));
        }
    }
}

/// The attributes of a span.
pub(super) fn span(
    attributes: &mut Attributes,
    request: &Request<'_>,
    connection: &Connection,
    route: Option<&str>,
    outcome: &Outcome,
) {
    if connection.is_server {
        server_request(attributes, request, connection);
        if let Some(route) = route {
            attributes.text(Some("http.route"), Some("http.route"), route);
        }
    } else {
        client_request(attributes, request, connection);
    }
    status(attributes, outcome);
}

fn method(attributes: &mut Attributes, request: &Request<'_>) {
    let known = request.known_method();
    attributes.text(Some("http.method"), Some("http.request.method"), known.unwrap_or("_OTHER"));
    if known.is_none() {
        attributes.text(None, Some("http.request.method_original"), &request.method);
    }
}

fn status(attributes: &mut Attributes, outcome: &Outcome) {
    if let Some(status) = outcome.status {
        let (old, stable) = ("http.status_code", "http.response.status_code");
        attributes.number(Some(old), Some(stable), status.into());
    }
    if let Some(error) = outcome.error_type() {
        attributes.text(None, Some("error.type"), &error);
    }
}

fn server_request(attributes: &mut Attributes, request: &Request<'_>, connection: &Connection) {
    let host = request.target.authority.clone().or_else(|| request.header("host").map(Into::into));
    method(attributes, request);
    if let Some(local) = connection.local {
        attributes.text(Some("http.server_name"), None, &local.ip().to_string());
    }
    attributes.text(Some("http.scheme"), Some("url.scheme"), request.scheme());
    if let Some(host) = &host {
        attributes.text(Some("net.host.name"), Some("server.address"), host);
        attributes.text(Some("http.host"), None, host);
    }
    if let Some(local) = connection.local {
        attributes.number(Some("net.host.port"), Some("server.port"), local.port().into());
    }
    attributes.text(Some("http.target"), None, &request.target.path_and_query());
    attributes.text(None, Some("url.path"), &request.target.path);
    if let Some(query) = &request.target.query {
        attributes.text(None, Some("url.query"), query);
    }
    if let Some(peer) = connection.peer {
        attributes.text(Some("net.peer.ip"), Some("client.address"), &peer.ip().to_string());
        attributes.number(Some("net.peer.port"), Some("client.port"), peer.port().into());
    }
    if let Some(agent) = request.header("user-agent") {
        attributes.text(Some("http.user_agent"), Some("user_agent.original"), &agent);
    }
    attributes.text(Some("http.flavor"), Some("network.protocol.version"), &request.version());
}

/// The server that a client's request goes to, as the client named it.
struct Destination {
    host: String,
    port: u16,
    /// As in the URL: without the scheme's own port.
    authority: String,
}

fn destination(request: &Request<'_>, connection: &Connection) -> Option<Destination> {
    let authority = (request.target.authority.clone())
        .or_else(|| request.header("host").map(Into::into))
        .or_else(|| connection.peer.map(|peer| peer.to_string()))?;
    let (host, port) = host_and_port(&authority);
    let default_port = if request.is_tls { 443 } else { 80 };
    Some(Destination { host: host.to_owned(), port: port.unwrap_or(default_port), authority })
}

fn client_request(attributes: &mut Attributes, request: &Request<'_>, connection: &Connection) {
    method(attributes, request);
    let destination = destination(request, connection);
    if let Some(destination) = &destination {
        let url = format!(
            "{}://{}{}",
            request.scheme(),
            destination.authority,
            request.target.path_and_query()
        );
        attributes.text(Some("http.url"), Some("url.full"), &url);
        attributes.text(None, Some("server.address"), &destination.host);
        attributes.number(None, Some("server.port"), destination.port.into());
    }
    if let Some(peer) = connection.peer {
        attributes.text(None, Some("network.peer.address"), &peer.ip().to_string());
        attributes.number(None, Some("network.peer.port"), peer.port().into());
    }
    attributes.text(None, Some("network.protocol.version"), &request.version());
}

/// The labels of `http.server.active_requests`.
pub(super) fn active(labels: &mut Attributes, request: &Request<'_>, connection: &Connection) {
    method(labels, request);
    if let Some(local) = connection.local {
        labels.text(Some("http.server_name"), None, &local.ip().to_string());
    }
    labels.text(Some("http.scheme"), Some("url.scheme"), request.scheme());
    if let Some(host) = request.header("host") {
        labels.text(Some("http.host"), None, &host);
    }
    labels.text(Some("http.flavor"), None, &request.version());
}

/// The labels of the duration histograms.
pub(super) fn duration(
    labels: &mut Attributes,
    request: &Request<'_>,
    connection: &Connection,
    route: Option<&str>,
    outcome: &Outcome,
) {
    method(labels, request);
    if connection.is_server {
        server_duration(labels, request, connection);
    } else {
        client_duration(labels, request, connection);
    }
    let (old, stable) = ("http.flavor", "network.protocol.version");
    labels.text(Some(old), Some(stable), &request.version());
    status(labels, outcome);
    if let Some(route) = route {
        labels.text(Some("http.target"), Some("http.route"), route);
    }
}

fn server_duration(labels: &mut Attributes, request: &Request<'_>, connection: &Connection) {
    if let Some(local) = connection.local {
        labels.text(Some("http.server_name"), None, &local.ip().to_string());
    }
    labels.text(Some("http.scheme"), Some("url.scheme"), request.scheme());
    if let Some(host) = request.header("host") {
        labels.text(Some("net.host.name"), None, &host);
        labels.text(Some("http.host"), None, &host);
    }
    if let Some(local) = connection.local {
        labels.number(Some("net.host.port"), None, local.port().into());
    }
}

fn client_duration(labels: &mut Attributes, request: &Request<'_>, connection: &Connection) {
    labels.text(Some("http.scheme"), None, request.scheme());
    if let Some(destination) = destination(request, connection) {
        labels.text(Some("http.host"), None, &destination.host);
        labels.text(Some("net.peer.name"), Some("server.address"), &destination.host);
        labels.number(Some("net.peer.port"), Some("server.port"), destination.port.into());
    }
}

/// Headers that the user wants as attributes: `http.request.header.<name>`, dashes as
/// underscores, each a list of its values.
pub(super) fn headers(
    attributes: &mut Attributes,
    request: &Request<'_>,
    response: Option<ResponseHead<'_>>,
    connection: &Connection,
    captured: &CapturedHeaders,
) {
    let (of_request, of_response) = if connection.is_server {
        (&captured.server_request, &captured.server_response)
    } else {
        (&captured.client_request, &captured.client_response)
    };
    capture(attributes, "http.request.header", of_request, captured, || request.head.headers());
    if let Some(response) = response {
        capture(attributes, "http.response.header", of_response, captured, || response.headers());
    }
}

fn capture<'a>(
    attributes: &mut Attributes,
    prefix: &str,
    wanted: &HeaderPatterns,
    captured: &CapturedHeaders,
    headers: impl Fn() -> Headers<'a>,
) {
    if wanted.is_empty() {
        return;
    }
    let mut lists: Vec<(String, Vec<AnyValue>)> = Vec::new();
    for (name, value) in headers() {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !wanted.matches(&name) {
            continue;
        }
        let value = if captured.sanitized.matches(&name) {
            "[REDACTED]".to_owned()
        } else {
            attributes.cut(&String::from_utf8_lossy(value))
        };
        let value = AnyValue { value: Some(Value::StringValue(value)) };
        match lists.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => lists.push((name, vec![value])),
        }
    }
    attributes.lists.extend(lists.into_iter().map(|(name, values)| KeyValue {
        key: format!("{prefix}.{}", name.replace('-', "_")),
        value: Some(AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }),
        ..Default::default()
    }));
}
