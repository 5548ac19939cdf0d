//! Sizes as people write them.

/// Reads `512MiB`, `1.5GiB`, `256MB` or plain bytes; units are case-insensitive, `K`, `M` and
/// `G` alone mean KiB, MiB and GiB.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let hint = || format!("{text:?} is not a size; hint: write 512MiB, 2GiB or a number of bytes");
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return Err(hint()),
    };
    let bytes = number.parse::<f64>().map_err(|_| hint())? * factor;
    if bytes < 1.0 || bytes > isize::MAX as f64 {
        return Err(hint());
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_refuses_the_rest() {
        for (text, bytes) in [
            ("1024", 1024),
            ("512MiB", 512 << 20),
            ("1.5 GiB", 3 << 29),
            ("2g", 2 << 30),
            ("10kb", 10_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "0", "1.2.3", "5 parsecs", "9999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
