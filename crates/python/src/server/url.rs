//! URLs of requests, without what must not be kept.

use std::fmt::Write;

/// Parameters whose values are credentials.
const SECRET_PARAMETERS: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// The URL without its credentials and without the values of secret parameters.
pub(crate) fn redacted(url: &str) -> String {
    redacted_query(&redacted_credentials(url))
}

/// The URL with `REDACTED:REDACTED` for user and password.
pub(crate) fn redacted_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://REDACTED:REDACTED@{host}{tail}"),
        None => url.to_owned(),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other))
}

/// The URL with `REDACTED` for the values of secret parameters; where there is one, the whole
/// query is written anew, as the official packages do.
pub(crate) fn redacted_query(url: &str) -> String {
    let (before, fragment) = match url.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (url, None),
    };
    let Some((path, query)) = before.split_once('?') else { return url.to_owned() };
    let parameters = parsed(query);
    let is_secret = |name: &str| SECRET_PARAMETERS.contains(&name);
    if !parameters.iter().any(|(name, _)| is_secret(name)) {
        return url.to_owned();
    }
    let mut redacted = format!("{path}?");
    let mut separator = "";
    for (name, values) in &parameters {
        let values: &[String] =
            if is_secret(name) { &["REDACTED".to_owned()] } else { values.as_slice() };
        for value in values {
            redacted.push_str(separator);
            quote(&mut redacted, name.as_bytes(), b"", true);
            redacted.push('=');
            quote(&mut redacted, value.as_bytes(), b"", true);
            separator = "&";
        }
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        redacted.push('#');
        redacted.push_str(fragment);
    }
    redacted
}

/// The parameters that have values, in the order of their first places.
fn parsed(query: &str) -> Vec<(String, Vec<String>)> {
    let mut parameters: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if value.is_empty() {
            continue;
        }
        let (name, value) = (unquoted(name), unquoted(value));
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => parameters.push((name, vec![value])),
        }
    }
    parameters
}

/// Decodes a part of a query: plus signs are spaces.
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        _ => (character | 0x20) - b'a' + 10,
    }
}

/// Appends bytes, those that are neither unreserved (RFC 3986, section 2.3) nor `safe` encoded.
fn quote(text: &mut String, bytes: &[u8], safe: &[u8], plus_for_space: bool) {
    for byte in bytes {
        match byte {
            b' ' if plus_for_space => text.push('+'),
            byte if byte.is_ascii_alphanumeric()
                || b"_.-~".contains(byte)
                || safe.contains(byte) =>
            {
                text.push(char::from(*byte));
            }
            byte => {
                // Writing to a String does not fail.
                let _infallible = write!(text, "%{byte:02X}");
            }
        }
    }
}

/// The bytes behind a text of WSGI, where each character is one byte (PEP 3333, "Unicode Issues").
pub(crate) fn wsgi_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

/// What a URL is made of in WSGI (PEP 3333, "URL Reconstruction").
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) scheme: &'a str,
    /// The `Host` header.
    pub(crate) host: &'a str,
    pub(crate) server_name: &'a str,
    pub(crate) server_port: &'a str,
    pub(crate) script_name: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
}

impl Parts<'_> {
    /// Scheme and host.
    fn origin(&self) -> String {
        let mut url = format!("{}://", self.scheme);
        if !self.host.is_empty() {
            url.push_str(self.host);
            return url;
        }
        url.push_str(self.server_name);
        let default = if self.scheme == "https" { "443" } else { "80" };
        if self.server_port != default {
            url.push(':');
            url.push_str(self.server_port);
        }
        url
    }

    /// The URL as the client wrote it, as far as WSGI tells.
    pub(crate) fn request_uri(&self) -> String {
        let mut url = self.origin();
        let script = if self.script_name.is_empty() { "/" } else { self.script_name };
        quote(&mut url, &wsgi_bytes(script), b"/", false);
        let path = wsgi_bytes(self.path);
        let path = match path.split_first() {
            Some((_, rest)) if self.script_name.is_empty() => rest,
            _ => &path,
        };
        quote(&mut url, path, b"/;=,", false);
        if !self.query.is_empty() {
            url.push('?');
            url.push_str(self.query);
        }
        url
    }

    /// The URL as people read it, which patterns of excluded URLs are matched with.
    pub(crate) fn readable(&self) -> String {
        let mut url = self.origin();
        let script = self.script_name.trim_end_matches('/');
        url.push_str(&String::from_utf8_lossy(&wsgi_bytes(script)));
        if !self.path.starts_with('/') {
            url.push('/');
        }
        url.push_str(&String::from_utf8_lossy(&wsgi_bytes(self.path)));
        if !self.query.is_empty() {
            url.push('?');
            url.push_str(self.query);
        }
        url
    }
}
