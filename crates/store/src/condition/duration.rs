//! Durations as people write them.

/// Units and their nanoseconds; a unit comes before those that it ends with.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// Nanoseconds of a text such as `1.5ms` or `2m30s`; none where it is not one.
pub(super) fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    loop {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(number);
        let value: f64 = digits.parse().ok()?;
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // The cast saturates.
        total = total.saturating_add((value * nanos).round() as u64);
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("0s", Some(0)),
            ("1.5ms", Some(1_500_000)),
            ("2m30s", Some(150_000_000_000)),
            ("7µs", Some(7_000)),
            ("7us", Some(7_000)),
            (".5ns", Some(1)),
            ("99999999999999999h", Some(u64::MAX)),
            ("5", None),
            ("", None),
            ("ms", None),
            ("-5ms", None),
            ("5 ms", None),
            ("1.2.3s", None),
            ("5d", None),
        ] {
            assert_eq!(parse(text), nanos, "{text}");
        }
    }
}
