//! Sizes, counts and times as people read and write them.

use carafe_settings::quantity;
use carafe_telemetry::UnixNanos;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `1.2 GB`: powers of 1,000, as disks are sold.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.95 {
            break;
        }
        value /= 1e3;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// RFC 3339, in UTC and whole seconds.
pub(super) fn time(at: UnixNanos) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000_000).ok();
    let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{} ns", at.0))
}

/// Reads `2026-01-31T12:00:00Z`, or `2h`: so long ago.
pub(super) fn parse_time(text: &str) -> Result<UnixNanos, String> {
    if let Ok(age) = quantity::age(text) {
        return Ok(UnixNanos::now().saturating_sub(age));
    }
    let hint = || {
        format!(
            "{text:?} is not a time; hint: write 2026-01-31T12:00:00Z, or 2h or 7d for so long ago"
        )
    };
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| hint())?;
    u64::try_from(time.unix_timestamp_nanos()).map(UnixNanos).map_err(|_| hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_999, "1.0 MB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(10_000_000_000), "10.0 GB");
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn times_are_dates_or_ages() {
        let at = parse_time("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(at, UnixNanos(1_769_860_800_000_000_000));
        assert_eq!(time(at), "2026-01-31T12:00:00Z");
        let then = parse_time("2h").unwrap();
        let ago = UnixNanos::now().0 - then.0;
        assert!((7_200_000_000_000..7_260_000_000_000).contains(&ago), "{ago}");
        for wrong in ["yesterday", "", "1969-01-01T00:00:00Z"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
