//! What a client accepts, and the uncompressed form for those that refuse gzip.

use http::HeaderValue;
use std::io::Read as _;

/// Whether any `Accept-Encoding` names gzip, or everything, with a weight above zero
/// (RFC 9110, 12.5.3). Without the header the plain form is the safe one.
pub(crate) fn accepts_gzip<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let mut by_name = None;
    let mut by_wildcard = None;
    for value in values {
        let Ok(value) = value.to_str() else { continue };
        for coding in value.split(',') {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1.0), |text| text.trim().parse::<f32>().ok());
            let accepted = weight.is_some_and(|weight| weight > 0.0);
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                by_name = Some(accepted);
            } else if name == "*" {
                by_wildcard = Some(accepted);
            }
        }
    }
    by_name.or(by_wildcard).unwrap_or(false)
}

/// Whether an `If-None-Match` list has this tag, or `*`; weak tags count (RFC 9110, 13.1.2).
pub(crate) fn matches_etag(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

pub(crate) fn gunzip(compressed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(compressed).read_to_end(&mut body)?;
    Ok(body)
}
