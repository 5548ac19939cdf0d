//! Finding spans by the address that was requested.

use crate::glob::Glob;
use crate::record::SpanRecord;
use crate::value;
use std::borrow::Cow;

/// Attributes that hold a whole URL.
const FULL: &[&str] = &["http.url", "url.full"];
/// Attributes that hold a path, with or without a query, or a route.
const PATH: &[&str] = &["http.target", "http.route", "url.path"];
/// Attributes that hold a host, with or without a port.
const HOST: &[&str] = &["http.host", "server.address", "net.host.name", "net.peer.name"];
/// Attributes that hold the port of the host.
const PORT: &[&str] = &["server.port", "net.host.port", "net.peer.port"];

/// A full URL, a host, a path, or any of them with `*` in it; found in whichever of the old
/// and stable HTTP attributes a span has.
///
/// A path without a query finds requests with any query, a host without a port any port.
#[derive(Clone, Debug)]
pub struct UrlPattern {
    full: Glob,
    host: Option<HostPattern>,
    path: Option<PathPattern>,
}

#[derive(Clone, Debug)]
struct HostPattern {
    glob: Glob,
    has_port: bool,
}

#[derive(Clone, Debug)]
struct PathPattern {
    glob: Glob,
    has_query: bool,
}

impl UrlPattern {
    /// Every text is a pattern.
    pub fn new(pattern: &str) -> Self {
        let (host, path) = split(pattern);
        Self {
            full: Glob::new(pattern),
            host: host.map(|host| HostPattern {
                glob: Glob::new(&host.to_ascii_lowercase()),
                has_port: port_of(host).is_some(),
            }),
            path: path
                .map(|path| PathPattern { glob: Glob::new(path), has_query: path.contains('?') }),
        }
    }

    /// Whether the span has such an address.
    pub fn matches(&self, span: &SpanRecord) -> bool {
        let attribute = |key: &str| {
            let kv = span.span.attributes.iter().find(|kv| kv.key == key)?;
            kv.value.as_ref().map(value::text)
        };
        let texts = |keys: &'static [&str]| keys.iter().filter_map(|key| attribute(key));
        if [FULL, PATH, HOST].into_iter().any(|keys| texts(keys).any(|t| self.full.matches(&t))) {
            return true;
        }
        let host = self.host.as_ref().is_none_or(|host| {
            texts(HOST).any(|text| host.matches(&text))
                || texts(FULL).any(|url| split_url(&url).0.is_some_and(|h| host.matches(h)))
                || with_ports(&attribute).iter().any(|text| host.matches(text))
        });
        let path = self.path.as_ref().is_none_or(|path| {
            texts(PATH).any(|text| path.matches(&text))
                || texts(FULL).any(|url| split_url(&url).1.is_some_and(|p| path.matches(p)))
        });
        (self.host.is_some() || self.path.is_some()) && host && path
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.glob.matches(&host) || (!self.has_port && self.glob.matches(without_port(&host)))
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        let bare = path.split(['?', '#']).next().unwrap_or(path);
        self.glob.matches(path) || (!self.has_query && self.glob.matches(bare))
    }
}

/// `host:port` of spans that have the two apart.
fn with_ports<'a>(attribute: &impl Fn(&str) -> Option<Cow<'a, str>>) -> Vec<String> {
    let hosts = HOST.iter().filter_map(|key| attribute(key));
    hosts
        .flat_map(|host| {
            let ports = PORT.iter().filter_map(|key| attribute(key));
            ports.map(move |port| format!("{host}:{port}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Host and path of a pattern: `scheme://host/path`, `host`, `host/path` or `/path`. A star
/// before the first slash may stand for anything, so such a pattern only counts as a whole.
fn split(pattern: &str) -> (Option<&str>, Option<&str>) {
    if pattern.contains("://") {
        return split_url(pattern);
    }
    match pattern.find('/') {
        Some(0) => (None, Some(pattern)),
        Some(at) if pattern[..at].contains('*') => (None, None),
        Some(at) => (Some(&pattern[..at]), Some(&pattern[at..])),
        None if pattern.is_empty() => (None, None),
        None => (Some(pattern), None),
    }
}

/// Host and path of an absolute URL; a URL without a path has the path `/`.
fn split_url(url: &str) -> (Option<&str>, Option<&str>) {
    let Some((_, rest)) = url.split_once("://") else { return (None, None) };
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..at];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (Some(host), Some(if at == rest.len() { "/" } else { &rest[at..] }))
}

fn port_of(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    // A colon inside brackets belongs to an IPv6 address.
    (!port.is_empty() && !port.contains(']')).then_some(port)
}

fn without_port(host: &str) -> &str {
    match port_of(host) {
        Some(port) => &host[..host.len() - port.len() - 1],
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ResourceRecord, ScopeRecord};
    use carafe_telemetry::otlp::{self, KeyValue};
    use carafe_telemetry::{SpanId, TraceId, UnixNanos};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn span(attributes: Vec<KeyValue>) -> SpanRecord {
        SpanRecord {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([1; 8]),
            parent_span_id: None,
            start: UnixNanos(1),
            end: UnixNanos(2),
            resource: Arc::new(ResourceRecord::new(otlp::Resource::default(), String::new())),
            scope: Arc::new(ScopeRecord::default()),
            span: Arc::new(otlp::Span { attributes, ..Default::default() }),
        }
    }

    fn old() -> SpanRecord {
        span(vec![
            otlp::string("http.host", "localhost:5000"),
            otlp::string("http.target", "/add?x=1"),
            otlp::string("http.scheme", "http"),
        ])
    }

    fn stable() -> SpanRecord {
        span(vec![
            otlp::string("server.address", "localhost"),
            otlp::int("server.port", 5000),
            otlp::string("url.path", "/add"),
        ])
    }

    fn client() -> SpanRecord {
        span(vec![otlp::string("url.full", "http://localhost:5000/add?x=1")])
    }

    #[test]
    fn finds_old_and_stable_attributes_alike() {
        for pattern in [
            "/add",
            "/a*",
            "localhost",
            "LocalHost:5000",
            "local*",
            "http://localhost:5000/add",
            "http://localhost/add",
            "localhost:5000/add",
            "*/add*",
            "http://localhost:5000/*",
        ] {
            for (name, span) in [("old", old()), ("stable", stable()), ("client", client())] {
                assert!(UrlPattern::new(pattern).matches(&span), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn does_not_find_others() {
        for pattern in
            ["/ad", "/other", "otherhost", "localhost:5001", "http://localhost:5000/other", ""]
        {
            for (name, span) in [("old", old()), ("stable", stable()), ("client", client())] {
                assert!(!UrlPattern::new(pattern).matches(&span), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn a_query_in_the_pattern_counts() {
        assert!(UrlPattern::new("/add?x=1").matches(&old()));
        assert!(!UrlPattern::new("/add?x=2").matches(&old()));
    }

    proptest! {
        #[test]
        fn takes_any_text(pattern in ".{0,60}", url in ".{0,60}") {
            let _ = UrlPattern::new(&pattern).matches(&span(vec![otlp::string("url.full", url)]));
        }
    }
}
