//! Python's text forms of strings, floats and times.

use std::fmt::Write;
use time::OffsetDateTime;
use time::macros::format_description;

/// A JSON string as `json.dumps` writes it with `ensure_ascii`: all but printable ASCII is
/// escaped, characters beyond the basic plane as a surrogate pair.
pub(super) fn push_json_string(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// `repr(float)`: the shortest digits that read back as the same double, with an exponent
/// below 1e-4 and from 1e16 on. The three that JSON has no word for are `NaN`, `Infinity` and
/// `-Infinity`, as `json.dumps` writes them.
pub(super) fn push_float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let scientific = shortest(value);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = if (-4..16).contains(&exponent) {
        let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let decimals = usize::try_from(exponent).map_or_else(
            |_| fraction + exponent.unsigned_abs() as usize,
            |exponent| fraction.saturating_sub(exponent).max(1),
        );
        write!(out, "{value:.decimals$}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs())
    };
}

/// The shortest scientific notation that reads back as `value`. Where two are as short and as
/// near, Python takes the one whose last digit is even and Rust's `{:e}` the larger one;
/// Rust rounds to even when it is told the number of digits.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let mantissa = shortest.split('e').next().unwrap_or_default();
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let rounded = format!("{value:.fraction$e}");
    if rounded.parse() == Ok(value) { rounded } else { shortest }
}

/// The time as the SDK's `ns_to_iso_str` prints it: microseconds, rounded to even after a
/// division in floating point, which is 0.2 µs coarse today.
pub(super) fn iso_time(unix_nanos: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "the official SDK loses it as well")]
    let seconds = unix_nanos as f64 / 1e9;
    let micros = (seconds.fract() * 1e6).round_ties_even();
    #[expect(clippy::cast_possible_truncation, reason = "below 2^64 / 1e9, and 1e6")]
    let (seconds, micros) = (seconds.trunc() as i64, micros as i64);
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| (time + time::Duration::microseconds(micros)).format(format).ok())
        .unwrap_or_default()
}

/// `repr` of a `TraceState`: Python's text form of a list of strings, one for each member of
/// the W3C `tracestate` header in `header`.
pub(super) fn trace_state(header: &str) -> String {
    let members: Vec<_> = header
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter_map(|member| member.split_once('='))
        .map(|(key, value)| python_string(&format!("{{key={key}, value={value}}}")))
        .collect();
    format!("[{}]", members.join(", "))
}

/// `repr(str)` for text that is printable, as members of a `tracestate` are.
fn python_string(value: &str) -> String {
    let quote = if value.contains('\'') && !value.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(value.len() + 2);
    out.push(quote);
    for character in value.chars() {
        if character == quote || character == '\\' {
            out.push('\\');
        }
        out.push(character);
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests;
