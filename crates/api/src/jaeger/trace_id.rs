//! Trace ids as Jaeger reads and writes them.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use carafe_telemetry::TraceId;

/// Hexadecimal, or base64 of 16 or 8 bytes in any of its forms (some gateways write ids so).
pub(super) fn parse(text: &str) -> Result<TraceId, String> {
    TraceId::from_hex(text).or_else(|error| from_base64(text).ok_or_else(|| error.to_string()))
}

/// Base64 of an id is at most this long.
const MAX_BASE64: usize = 24;

fn from_base64(text: &str) -> Option<TraceId> {
    if text.len() > MAX_BASE64 {
        return None;
    }
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())?;
    match bytes.len() {
        16 => TraceId::from_slice(&bytes).ok(),
        8 => {
            let mut id = [0; 16];
            id[8..].copy_from_slice(&bytes);
            Some(TraceId(id))
        }
        _ => None,
    }
}

/// 32 digits, or 16 where the upper half is zero.
pub(super) fn format(id: TraceId) -> String {
    let text = id.to_string();
    match text.strip_prefix("0000000000000000") {
        Some(lower) => lower.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hexadecimal_and_base64() {
        let id = "83a9efd15c1c98a977e0711cc93ee28b";
        for text in [id, &id.to_uppercase(), "g6nv0VwcmKl34HEcyT7iiw==", "g6nv0VwcmKl34HEcyT7iiw"] {
            assert_eq!(parse(text).unwrap().to_string(), id, "{text}");
        }
        assert_eq!(format(parse("1f").unwrap()), "000000000000001f");
        assert_eq!(parse("_____-____8").unwrap(), parse("/////+////8=").unwrap());
        for text in ["", "xyz!", "é", &"0".repeat(33), "AAAA"] {
            assert_eq!(parse(text).is_ok(), text == "AAAA", "{text}");
        }
    }
}
