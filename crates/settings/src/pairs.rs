//! Lists of `key=value` pairs with percent-encoded values: resource attributes and
//! OTLP headers, both in the format of W3C Baggage without properties.

/// Reads one item of such a list; none when it is no pair.
pub(crate) fn pair(item: &str) -> Option<(String, String)> {
    let (key, value) = item.split_once('=')?;
    let (key, value) = (decode(key.trim())?, decode(value.trim())?);
    (!key.is_empty()).then_some((key, value))
}

/// Decodes `%XX`. A percent sign that starts no such sequence stands for itself,
/// as people write values with bare ones; none when the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match rest {
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let pairs = [
            ("a=b", "a", "b"),
            (" a = b c ", "a", "b c"),
            ("Authorization=Basic%20YWI6Yw==", "Authorization", "Basic YWI6Yw=="),
            ("name=caf%C3%A9%2Cbar%3d", "name", "café,bar="),
            ("rate=100%", "rate", "100%"),
            ("a=%zz%4", "a", "%zz%4"),
            ("empty=", "empty", ""),
        ];
        for (item, key, value) in pairs {
            assert_eq!(pair(item), Some((key.to_owned(), value.to_owned())), "{item}");
        }
    }

    #[test]
    fn other_items_are_no_pairs() {
        for item in ["a", "=b", " =b", "a=%ff"] {
            assert_eq!(pair(item), None, "{item}");
        }
    }
}
