//! What each library's function is called with, as a call.

use super::request::{Request, Server};
use super::{Extent, HttpCall, HttpClient, send};
use crate::capi;
use crate::engine;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

/// Where our headers' values are kept on a request that may be sent again, or become another.
const MARK: &str = "_carafe_headers";

type Client<'a, 'py> = &'a Bound<'py, HttpClient>;

/// `Session.send(request)`: a `PreparedRequest`.
pub(super) fn requests(
    client: Client<'_, '_>,
    request: &Bound<'_, PyAny>,
) -> PyResult<Option<HttpCall>> {
    let py = client.py();
    let method = request.getattr(intern!(py, "method"))?;
    let url = request.getattr(intern!(py, "url"))?;
    let headers = request.getattr(intern!(py, "headers"))?;
    let headers = Some(&headers).filter(|headers| !headers.is_none());
    let described = Request {
        method: &text(&method),
        url: &text(&url),
        url_object: Some(&url),
        server: None,
        headers,
    };
    let Some(call) = HttpClient::open(client, described, Extent::Current)? else { return Ok(None) };
    carry(client, || {
        let Some(headers) = headers else { return Ok(()) };
        let mark = intern!(py, "_carafe_headers");
        let ours = request.getattr_opt(mark)?;
        let (sent, _) = send(&call, headers, ours.as_ref(), str::to_owned)?;
        request.setattr(mark, sent)
    });
    Ok(Some(HttpClient::call(client, call, None)))
}

/// `pool.urlopen(method, url, body, headers)`.
pub(super) fn urllib3(
    client: Client<'_, '_>,
    pool: &Bound<'_, PyAny>,
    method: &Bound<'_, PyAny>,
    url: &Bound<'_, PyAny>,
    body: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
) -> PyResult<Option<HttpCall>> {
    let py = client.py();
    let scheme = pool.getattr(intern!(py, "scheme"))?;
    let host = pool.getattr(intern!(py, "host"))?;
    let port: Option<u16> = pool.getattr(intern!(py, "port"))?.extract()?;
    let given = match headers.is_none() {
        true => pool.getattr(intern!(py, "headers"))?,
        false => headers.clone(),
    };
    let server = Server {
        scheme: Some(text(&scheme).into_owned()),
        host: Some(text(&host).into_owned()),
        port,
    };
    let method = text(method).to_uppercase();
    let described = Request {
        method: &method,
        url: &absolute(&server, &text(url)),
        url_object: None,
        server: Some(server),
        headers: Some(&given),
    };
    let Some(mut call) = HttpClient::open(client, described, Extent::Current)? else {
        return Ok(None);
    };
    carry(client, || {
        call.request_bytes = body_bytes(body)?;
        Ok(())
    });
    let own = carry(client, || {
        let own = match given.hasattr(intern!(py, "copy"))? {
            true => given.call_method0(intern!(py, "copy"))?,
            false => {
                let own = PyDict::new(py);
                own.update(given.cast()?)?;
                own.into_any()
            }
        };
        send(&call, &own, None, str::to_owned)?;
        Ok(own)
    });
    let sent = own.unwrap_or(given).unbind();
    Ok(Some(HttpClient::call(client, call, Some(sent))))
}

/// `opener.open(fullurl, data)`: a URL or a `Request`.
pub(super) fn urllib(
    client: Client<'_, '_>,
    opener: &Bound<'_, PyAny>,
    fullurl: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
) -> PyResult<Option<HttpCall>> {
    let py = client.py();
    let is_url = fullurl.is_instance_of::<PyString>();
    let request = match is_url {
        true => {
            let class = py.import("urllib.request")?.getattr(intern!(py, "Request"))?;
            // A URL that it does not take is for the opener to refuse.
            let Ok(request) = class.call1((fullurl, data)) else { return Ok(None) };
            request
        }
        false => fullurl.clone(),
    };
    // Files and the content of `data:` URLs are opened by the same function.
    let scheme = request.getattr(intern!(py, "type"))?;
    if !matches!(&*text(&scheme), "http" | "https") {
        return Ok(None);
    }
    let data = match data.is_none() {
        true => request.getattr(intern!(py, "data"))?,
        false => data.clone(),
    };
    let method = request.call_method0(intern!(py, "get_method"))?;
    // What is not GET because of its body: only `open` tells the request of that.
    let is_get = text(&method) == "GET" && request.getattr_opt(intern!(py, "method"))?.is_none();
    let method = match is_get && !data.is_none() {
        true => "POST".to_owned(),
        false => text(&method).to_uppercase(),
    };
    let url = request.getattr(intern!(py, "full_url"))?;
    let headers = request.getattr(intern!(py, "headers"))?;
    let recorded = match client.get().settings.request_headers {
        Some(_) => all_headers(opener, &headers)?,
        None => headers.clone(),
    };
    let described = Request {
        method: &method,
        url: &text(&url),
        url_object: Some(&url),
        server: None,
        headers: Some(&recorded),
    };
    let Some(mut call) = HttpClient::open(client, described, Extent::Current)? else {
        return Ok(None);
    };
    carry(client, || {
        call.request_bytes = body_bytes(&data)?;
        // As `Request.add_header` writes names. They go along with redirects.
        let (_, names) = send(&call, &headers, None, |name| {
            let (first, rest) = name.split_at(1);
            first.to_ascii_uppercase() + rest
        })?;
        if !is_url {
            call.borrowed = Some((headers.unbind(), names));
        }
        Ok(())
    });
    Ok(Some(HttpClient::call(client, call, Some(request.unbind()))))
}

/// The headers of a request and those that the opener adds.
fn all_headers<'py>(
    opener: &Bound<'py, PyAny>,
    headers: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = opener.py();
    let all = PyDict::new(py);
    for pair in opener.getattr(intern!(py, "addheaders"))?.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name = name.call_method0(intern!(py, "capitalize"))?;
        if !all.contains(&name)? {
            all.set_item(name, value)?;
        }
    }
    all.update(headers.cast()?)?;
    Ok(all.into_any())
}

/// `transport.handle_request(request)`.
pub(super) fn httpx(
    client: Client<'_, '_>,
    request: &Bound<'_, PyAny>,
) -> PyResult<Option<HttpCall>> {
    let py = client.py();
    let method = request.getattr(intern!(py, "method"))?;
    let url_object = request.getattr(intern!(py, "url"))?;
    let url = url_object.str()?.into_any();
    let headers = request.getattr(intern!(py, "headers"))?;
    let described = Request {
        method: &text(&method),
        url: &text(&url),
        url_object: Some(&url),
        server: None,
        headers: Some(&headers),
    };
    let Some(call) = HttpClient::open(client, described, Extent::Current)? else { return Ok(None) };
    carry(client, || {
        // A redirect becomes a request with the headers and extensions of the one before.
        let extensions = request.getattr(intern!(py, "extensions"))?;
        let extensions = extensions.cast::<PyDict>()?;
        let ours = extensions.get_item(MARK)?;
        let (sent, _) = send(&call, &headers, ours.as_ref(), str::to_owned)?;
        let extensions = extensions.copy()?;
        extensions.set_item(MARK, sent)?;
        request.setattr(intern!(py, "extensions"), extensions)
    });
    Ok(Some(HttpClient::call(client, call, None)))
}

/// `connection.putrequest(method, url)`.
pub(super) fn http_client(
    client: Client<'_, '_>,
    connection: &Bound<'_, PyAny>,
    method: &Bound<'_, PyAny>,
    url: &Bound<'_, PyAny>,
) -> PyResult<Option<HttpCall>> {
    let py = client.py();
    let is_tls = connection.getattr(intern!(py, "default_port"))?.eq(443)?;
    let tunnel = connection.getattr_opt(intern!(py, "_tunnel_host"))?;
    let (host, port) = match tunnel.filter(|host| !host.is_none()) {
        Some(host) => (host, connection.getattr(intern!(py, "_tunnel_port"))?),
        None => {
            (connection.getattr(intern!(py, "host"))?, connection.getattr(intern!(py, "port"))?)
        }
    };
    let server = Server {
        scheme: Some(if is_tls { "https" } else { "http" }.to_owned()),
        host: Some(text(&host).into_owned()),
        port: port.extract()?,
    };
    let described = Request {
        method: &text(method),
        url: &absolute(&server, &text(url)),
        url_object: None,
        server: Some(server),
        headers: None,
    };
    let call = HttpClient::open(client, described, Extent::Detached)?;
    Ok(call.map(|call| HttpClient::call(client, call, None)))
}

/// What a request carries for a call that is open already: where that goes wrong, the call goes on
/// without.
fn carry<R>(client: Client<'_, '_>, work: impl FnOnce() -> PyResult<R>) -> Option<R> {
    engine::guard(client.py(), client.get().profile.scope, work)
}

/// The URL of a request's target on a server. Targets of proxies are URLs already.
fn absolute(server: &Server, target: &str) -> String {
    let (Some(scheme), Some(host)) = (&server.scheme, &server.host) else {
        return target.to_owned();
    };
    if !target.starts_with('/') && !target.is_empty() {
        return target.to_owned();
    }
    let default_port = if scheme == "https" { 443 } else { 80 };
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.clone(),
    };
    match server.port.filter(|port| *port != default_port && *port != 0) {
        Some(port) => format!("{scheme}://{host}:{port}{target}"),
        None => format!("{scheme}://{host}{target}"),
    }
}

/// Bytes of a body; `None` where only sending it would tell.
fn body_bytes(body: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    let py = body.py();
    if body.is_none() {
        return Ok(Some(0));
    }
    if body.hasattr(intern!(py, "__len__"))? {
        return Ok(Some(body.len()? as u64));
    }
    if body.hasattr(intern!(py, "getbuffer"))? {
        let buffer = body.call_method0(intern!(py, "getbuffer"))?;
        return Ok(Some(buffer.getattr(intern!(py, "nbytes"))?.extract()?));
    }
    Ok(None)
}

/// The text of a `str` or of `bytes`; empty for anything else.
fn text<'a>(object: &'a Bound<'_, PyAny>) -> std::borrow::Cow<'a, str> {
    match capi::utf8(object) {
        Some(text) => text.into(),
        None => match object.cast::<PyBytes>() {
            Ok(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned().into(),
            Err(_) => "".into(),
        },
    }
}
