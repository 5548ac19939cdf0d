//! What the instrumentation needs of a URL.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::borrow::Cow;
use std::ops::Range;

/// Query parameters whose values are secrets (semantic conventions of `url.full`).
const SECRET_PARAMETERS: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// What stands for a secret.
const REDACTED: &str = "REDACTED";

/// The parts of a URL; all of them may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts<'a> {
    pub(super) scheme: Option<&'a str>,
    /// Without the brackets of an IPv6 address.
    pub(super) host: Option<&'a str>,
    /// Where the URL names one.
    pub(super) port: Option<u16>,
    /// Where the name and password are, with the `@`.
    user_info: Range<usize>,
    /// Where the query is, without the question mark.
    query: Range<usize>,
}

impl<'a> Parts<'a> {
    /// The parts of `url`, by the rules of RFC 3986, section 3.
    pub(super) fn of(url: &'a str) -> Self {
        let mut parts = Self::default();
        let Some((scheme, rest)) = url.split_once("://") else { return parts };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return parts;
        }
        parts.scheme = Some(scheme);
        let authority_at = scheme.len() + "://".len();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let before_fragment = rest.split('#').next().unwrap_or_default();
        if let Some(question_mark) = before_fragment.find('?') {
            let path_at = authority_at + end;
            parts.query = path_at + question_mark + 1..path_at + before_fragment.len();
        }
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        parts.user_info = authority_at..authority_at + at;
        let (_, host_and_port) = authority.split_at(at);
        let (host, port) = match host_and_port.strip_prefix('[') {
            Some(address) => match address.split_once(']') {
                Some((host, after)) => (host, after.strip_prefix(':')),
                None => return parts,
            },
            None => match host_and_port.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_and_port, None),
            },
        };
        parts.host = (!host.is_empty()).then_some(host);
        parts.port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        parts
    }
}

/// The URL as it may be recorded: without credentials and without the values of parameters that
/// are secrets.
///
/// # Errors
/// The standard library could not take the query apart.
#[inline]
pub(super) fn redact<'a>(
    py: Python<'_>,
    url: &'a str,
    parts: &Parts<'_>,
) -> PyResult<Cow<'a, str>> {
    let query = url.get(parts.query.clone()).unwrap_or_default();
    // Escapes may hide a name.
    let may_hold_secrets =
        query.contains('%') || SECRET_PARAMETERS.iter().any(|name| query.contains(name));
    let safe_query = if may_hold_secrets { redact_query(py, query)? } else { None };
    if parts.user_info.is_empty() && safe_query.is_none() {
        return Ok(Cow::Borrowed(url));
    }
    let part = |range: Range<usize>| url.get(range).unwrap_or_default();
    let credentials = match parts.user_info.is_empty() {
        true => String::new(),
        false => format!("{REDACTED}:{REDACTED}@"),
    };
    // Without a query, its range is empty and at 0.
    let (query_at, query_end) = match parts.query.end {
        0 => (url.len(), url.len()),
        end => (parts.query.start, end),
    };
    Ok(Cow::Owned(
        [
            part(0..parts.user_info.start),
            &credentials,
            part(parts.user_info.end..query_at),
            safe_query.as_deref().unwrap_or(query),
            part(query_end..url.len()),
        ]
        .concat(),
    ))
}

/// The query, taken apart and put together again by the standard library, as the official packages
/// do it; `None` where it holds no secret.
#[cold]
fn redact_query(py: Python<'_>, query: &str) -> PyResult<Option<String>> {
    let parse = py.import("urllib.parse")?;
    let parameters = parse.call_method1("parse_qs", (query,))?;
    let parameters = parameters.cast::<PyDict>()?;
    let mut holds_secrets = false;
    for name in SECRET_PARAMETERS {
        if parameters.contains(name)? {
            parameters.set_item(name, [REDACTED])?;
            holds_secrets = true;
        }
    }
    if !holds_secrets {
        return Ok(None);
    }
    parse.call_method1("urlencode", (parameters, true))?.extract().map(Some)
}
