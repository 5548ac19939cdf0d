//! Durations as Go writes them: `1h15m30.918s`, `1.2ms`.

use std::fmt::Write;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// Not numbers with units.
    #[error("{0:?} is not a duration such as 1.5s or 300ms")]
    Syntax(String),
    /// A number without a unit.
    #[error("a unit is missing in the duration {0:?}: ns, us, ms, s, m or h")]
    MissingUnit(String),
    /// A unit that Go does not have.
    #[error("the unit {unit:?} in the duration {text:?} is none of ns, us, ms, s, m, h")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Longer than 2^63 ns (292 years).
    #[error("the duration {0:?} is too long")]
    TooLong(String),
}

/// Units and their nanoseconds. Both characters for micro are in use.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits after the point that can matter: an hour has 3.6e12 ns.
const MAX_FRACTION_DIGITS: usize = 18;

/// Reads a duration in nanoseconds: an optional sign, then numbers, each with an optional
/// fraction and a unit; `0` needs no unit. What is less than a nanosecond is cut off.
pub fn parse_go_duration(text: &str) -> Result<i64, GoDurationError> {
    let syntax = || GoDurationError::Syntax(text.to_owned());
    let too_long = || GoDurationError::TooLong(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(syntax());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let whole = leading_digits(&mut rest);
        let fraction = match rest.strip_prefix('.') {
            Some(after) => {
                rest = after;
                leading_digits(&mut rest)
            }
            None => "",
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(syntax());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        rest = after;
        if unit.is_empty() {
            return Err(GoDurationError::MissingUnit(text.to_owned()));
        }
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| {
            GoDurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }
        })?;
        let whole: u64 =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
        // A product of 64 and 42 bits, and one of 60 and 42 bits.
        total += u128::from(whole) * nanos + fraction_of(fraction, *nanos);
        if total > 1 << 63 {
            return Err(too_long());
        }
    }
    let total = i128::try_from(total).map_err(|_| too_long())?;
    i64::try_from(if negative { -total } else { total }).map_err(|_| too_long())
}

fn leading_digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

fn fraction_of(digits: &str, nanos: u128) -> u128 {
    let mut scale = 1;
    let mut value = 0;
    for digit in digits.bytes().take(MAX_FRACTION_DIGITS) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    value * nanos / scale
}

/// Writes `nanos` as Go does: the largest fitting unit below a second, else hours, minutes
/// and seconds.
pub fn format_go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let (unit, name) = match nanos {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    if name != "s" {
        return format!("{sign}{}{name}", decimal(nanos, unit));
    }
    let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
    let mut text = sign.to_owned();
    // Writing to a string cannot fail.
    if minutes >= 60 {
        let _ = write!(text, "{}h", minutes / 60);
    }
    if minutes > 0 {
        let _ = write!(text, "{}m", minutes % 60);
    }
    text + &decimal(rest, unit) + "s"
}

/// `value / unit` without trailing zeroes; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+1.5h", 5_400_000_000_000),
            ("-1.2ms", -1_200_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1h2m3.4s", 3_723_400_000_000),
            ("3us", 3_000),
            ("3\u{b5}s", 3_000),
            ("3\u{3bc}s", 3_000),
            ("0.0000000001s", 0),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("0.3333333333333333333333h", 1_200_000_000_000 - 1),
        ] {
            assert_eq!(parse_go_duration(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        use GoDurationError::{MissingUnit, Syntax, TooLong, UnknownUnit};
        let text = |t: &str| t.to_owned();
        for syntax in ["", "-", ".", "s", ".s", "1s.", "NaN", "-+1s", " 1s", "\u{661}s"] {
            assert_eq!(parse_go_duration(syntax), Err(Syntax(text(syntax))), "{syntax}");
        }
        assert_eq!(parse_go_duration("3"), Err(MissingUnit(text("3"))));
        assert_eq!(parse_go_duration("3d"), Err(UnknownUnit { unit: text("d"), text: text("3d") }));
        for long in ["9223372036854775808ns", "99999999999999999999h", "3000000h"] {
            assert_eq!(parse_go_duration(long), Err(TooLong(text(long))), "{long}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (-3_300_000_000, "-3.3s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_400_000_000, "1h2m3.4s"),
        ] {
            assert_eq!(format_go_duration(nanos), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in any::<i64>()) {
            prop_assert_eq!(parse_go_duration(&format_go_duration(nanos)), Ok(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9.a-z\u{b5}]{0,24}|.{0,12}") {
            let _ = parse_go_duration(&text);
        }
    }
}
