use super::*;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

async fn ask(
    method: Method,
    path: &str,
    headers: &[(HeaderName, &str)],
) -> (http::response::Parts, Vec<u8>) {
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(path: &str) -> (http::response::Parts, Vec<u8>) {
    ask(Method::GET, path, &[]).await
}

fn header(parts: &http::response::Parts, name: HeaderName) -> &str {
    parts.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_page_of_the_ui_is_the_same_html() {
    let (parts, home) = get("/").await;
    assert_eq!(parts.status, StatusCode::OK);
    assert_eq!(header(&parts, CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(home.starts_with(b"<!doctype html>"));
    for path in ["/search?service=a", "/trace/00000000000000000000000000000001", "/logs", "/apiary"]
    {
        let (parts, page) = get(path).await;
        assert_eq!((parts.status, page == home), (StatusCode::OK, true), "{path}");
    }
}

#[tokio::test]
async fn paths_of_apis_and_missing_files_are_not_pages() {
    for path in
        ["/api", "/api/none", "/api/carafe/v1/none", "/metrics", "/static/x.js", "/assets/old.js"]
    {
        let (parts, body) = get(path).await;
        assert_eq!(parts.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!body.starts_with(b"<!doctype"), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let (parts, _) = ask(Method::POST, "/search", &[]).await;
    assert_eq!(parts.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&parts, ALLOW), "GET, HEAD");
}

#[tokio::test]
async fn gzip_only_for_those_who_ask() {
    let (plain, body) = get("/").await;
    assert_eq!(header(&plain, CONTENT_ENCODING), "");
    let (packed, compressed) = ask(Method::GET, "/", &[(ACCEPT_ENCODING, "br, gzip;q=0.5")]).await;
    assert_eq!(header(&packed, CONTENT_ENCODING), "gzip");
    assert_eq!(header(&packed, VARY), "accept-encoding");
    assert_eq!(encoding::gunzip(&compressed).unwrap(), body);
    assert_eq!(header(&packed, CONTENT_LENGTH), compressed.len().to_string());
    for refusal in ["identity", "gzip;q=0", "gzip;q=0, *", "br", ""] {
        let (parts, same) = ask(Method::GET, "/", &[(ACCEPT_ENCODING, refusal)]).await;
        assert_eq!((header(&parts, CONTENT_ENCODING), same == body), ("", true), "{refusal}");
    }
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let (whole, body) = get("/").await;
    let (parts, nothing) = ask(Method::HEAD, "/", &[]).await;
    assert_eq!(parts.status, StatusCode::OK);
    assert!(nothing.is_empty());
    assert_eq!(header(&parts, CONTENT_LENGTH), body.len().to_string());
    assert_eq!(header(&parts, ETAG), header(&whole, ETAG));
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let (parts, _) = get("/").await;
    let etag = header(&parts, ETAG).to_owned();
    for list in [etag.clone(), format!("\"old\", W/{etag}"), "*".to_owned()] {
        let (again, body) = ask(Method::GET, "/", &[(IF_NONE_MATCH, &list)]).await;
        assert_eq!((again.status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{list}");
        assert_eq!(header(&again, ETAG), etag);
    }
    let (other, _) = ask(Method::GET, "/", &[(IF_NONE_MATCH, "\"old\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_foreign_may_run_in_the_ui() {
    for path in ["/", "/assets/missing.js"] {
        let (parts, _) = get(path).await;
        let policy = header(&parts, CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
        assert!(!policy.contains("unsafe-"));
        assert_eq!(header(&parts, X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn files_are_served_with_their_type_and_the_right_cache() {
    for asset in ASSETS {
        let (parts, body) = get(asset.path).await;
        assert_eq!(parts.status, StatusCode::OK, "{}", asset.path);
        assert_eq!(header(&parts, CONTENT_TYPE), asset.content_type);
        assert_ne!(asset.content_type, "application/octet-stream", "{}", asset.path);
        assert!(!body.is_empty());
        let hashed = asset.path.starts_with("/assets/");
        assert_eq!(header(&parts, CACHE_CONTROL) == CACHE_FOREVER, hashed, "{}", asset.path);
    }
}

#[tokio::test]
async fn the_page_names_only_files_that_are_there() {
    let (_, page) = get("/").await;
    let page = String::from_utf8(page).unwrap();
    let names = page.split('"').filter(|part| part.starts_with("/assets/"));
    let missing: Vec<&str> =
        names.filter(|name| !ASSETS.iter().any(|asset| asset.path == *name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(page.contains("/assets/"), is_built());
}
