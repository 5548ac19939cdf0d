//! The web UI, embedded: built files, compressed and named by their content at build time.
//!
//! [`router`] serves them. A path that is no file of the UI gets the page itself, which shows what
//! its address says; paths of the APIs never do, so that a wrong one stays a 404.
#![forbid(unsafe_code)]

mod encoding;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// A file of the UI.
struct Asset {
    /// Path on the server.
    path: &'static str,
    content_type: &'static str,
    /// Quoted hash of the content.
    etag: &'static str,
    /// Its name has a hash of its content, so it never changes.
    immutable: bool,
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Scripts, styles and data only from this server, nothing inline, no frames around the UI.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Browsers keep hashed files for a year and ask for the page every time.
const CACHE_FOREVER: &str = "public, max-age=31536000, immutable";
const CACHE_ASK: &str = "no-cache";

/// First segments of paths that belong to APIs and files: never answered with the page.
const NOT_PAGES: [&str; 4] = ["api", "metrics", "static", "assets"];

/// Serves the UI for every path that the router it is merged into does not know.
///
/// GET and HEAD of a file of the UI: the file. Of another path: the page, unless its first segment
/// is `api`, `metrics`, `static` or `assets` (404). Other methods: 405.
pub fn router() -> Router {
    Router::new().fallback(|request: Request| async move {
        serve(request.method(), request.uri().path(), request.headers())
    })
}

/// Whether the UI itself is in this build, and not only a page that says that it is not.
pub fn is_built() -> bool {
    ASSETS.iter().any(|asset| asset.path.starts_with("/assets/"))
}

fn serve(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD here\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(asset) = find(path) else {
        return text(StatusCode::NOT_FOUND, "not found\n");
    };
    let wanted = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|tags| encoding::matches_etag(tags, asset.etag)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        describe(&mut response, asset);
        return response;
    }
    send(asset, encoding::accepts_gzip(headers.get_all(ACCEPT_ENCODING)), method == Method::HEAD)
}

fn find(path: &str) -> Option<&'static Asset> {
    let exact = ASSETS.iter().find(|asset| asset.path == path);
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if exact.is_some() || NOT_PAGES.contains(&first) {
        return exact;
    }
    ASSETS.iter().find(|asset| asset.path == "/index.html")
}

fn send(asset: &'static Asset, compressed: bool, head: bool) -> Response {
    let body = if compressed {
        Bytes::from_static(asset.gzip)
    } else {
        match encoding::gunzip(asset.gzip) {
            Ok(body) => Bytes::from(body),
            Err(_) => return text(StatusCode::INTERNAL_SERVER_ERROR, "embedded file is damaged\n"),
        }
    };
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(body) });
    describe(&mut response, asset);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The headers that a 304 has in common with the whole answer.
fn describe(response: &mut Response, asset: &Asset) {
    let cache = if asset.immutable { CACHE_FOREVER } else { CACHE_ASK };
    secure(response);
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static(asset.etag));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

fn secure(response: &mut Response) {
    let fixed: [(HeaderName, &str); 4] = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

fn text(status: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    secure(&mut response);
    response
}

#[cfg(test)]
mod tests;
