//! Sizes and ages as people write them.

use std::time::Duration;

/// Reads `512MiB`, `1.5GiB`, `256MB` or plain bytes; units are case-insensitive, `K`, `M` and
/// `G` alone mean KiB, MiB and GiB.
pub fn bytes(text: &str) -> Result<u64, String> {
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
    if bytes < 1.0 || bytes > i64::MAX as f64 {
        return Err(hint());
    }
    Ok(bytes as u64)
}

/// Reads `7d`, `12h`, `30m` or `45s`: whole numbers.
pub fn age(text: &str) -> Result<Duration, String> {
    let hint = || format!("{text:?} is not an age; hint: write 7d, 12h, 30m or 45s");
    let text = text.trim();
    let unit = text.chars().next_back().ok_or_else(hint)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 24 * 3_600,
        _ => return Err(hint()),
    };
    let number: u64 = text[..text.len() - 1].trim_end().parse().map_err(|_| hint())?;
    let seconds = number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(hint)?;
    Ok(Duration::from_secs(seconds))
}

/// Reads with `read`; `none` means that there is no limit.
pub fn limit<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    read(text).map(Some).map_err(|error| format!("{error}, or none for no limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_refuses_the_rest() {
        for (text, expected) in [
            ("1024", 1024),
            ("512MiB", 512 << 20),
            ("1.5 GiB", 3 << 29),
            ("2g", 2 << 30),
            ("10kb", 10_000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "MiB", "-1", "0", "1.2.3", "5 parsecs", "9999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_ages_and_limits() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(age("90 m"), Ok(Duration::from_secs(5_400)));
        for text in ["", "7", "d", "-1d", "0s", "1.5h", "99999999999999999999d", "7\u{e9}"] {
            assert!(age(text).is_err(), "{text}");
        }
        assert_eq!(limit("None", age), Ok(None));
        assert_eq!(limit("10kb", bytes), Ok(Some(10_000)));
        assert!(limit("much", bytes).unwrap_err().ends_with("or none for no limit"));
    }
}
