//! Request targets (RFC 9112 section 3.2).

use std::borrow::Cow;

/// A request target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// As it was sent.
    pub(super) raw: Cow<'a, str>,
    /// `host[:port]` of an absolute target, as proxies get it.
    pub(super) authority: Option<String>,
    /// The path; `*` and the authority of CONNECT as they are.
    pub(super) path: String,
    /// What follows the `?`.
    pub(super) query: Option<String>,
}

impl<'a> Target<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Self {
        let raw = String::from_utf8_lossy(bytes);
        let (authority, rest) = match raw.split_once("://") {
            Some((scheme, rest))
                if !scheme.is_empty()
                    && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                (Some(without_credentials(authority).to_owned()), rest)
            }
            _ => (None, &*raw),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Self { authority, path, query, raw }
    }

    /// Path and query, as a server's own target has them.
    pub(super) fn path_and_query(&self) -> Cow<'_, str> {
        match (&self.authority, &self.query) {
            (None, _) => Cow::Borrowed(&self.raw),
            (Some(_), None) => Cow::Borrowed(&self.path),
            (Some(_), Some(query)) => format!("{}?{query}", self.path).into(),
        }
    }
}

/// An authority without `user:password@`.
fn without_credentials(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Host and port of an authority; IPv6 hosts lose their brackets.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.contains(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<String>, String) {
        let target = Target::parse(text.as_bytes());
        let path_and_query = target.path_and_query().into_owned();
        (target.authority, target.path, target.query, path_and_query)
    }

    #[test]
    fn takes_targets_apart() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("/a?b=c?d"), (None, "/a".into(), some("b=c?d"), "/a?b=c?d".into()));
        assert_eq!(parts("*"), (None, "*".into(), None, "*".into()));
        assert_eq!(
            parts("http://user:secret@host:8080/a?b"),
            (some("host:8080"), "/a".into(), some("b"), "/a?b".into())
        );
        assert_eq!(parts("http://host"), (some("host"), "/".into(), None, "/".into()));
        assert_eq!(
            parts("/go?to=http://x/"),
            (None, "/go".into(), some("to=http://x/"), "/go?to=http://x/".into())
        );
    }

    #[test]
    fn splits_authorities() {
        assert_eq!(host_and_port("localhost:5000"), ("localhost", Some(5000)));
        assert_eq!(host_and_port("localhost"), ("localhost", None));
        assert_eq!(host_and_port("[::1]:80"), ("::1", Some(80)));
        assert_eq!(host_and_port("[::1]"), ("::1", None));
        assert_eq!(host_and_port("a:b"), ("a:b", None));
    }
}
