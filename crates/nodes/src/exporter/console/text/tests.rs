//! The golden files were written by Python: see `tests/console/generate.py`.

use super::*;
use proptest::prelude::*;

fn json_string(value: &str) -> String {
    let mut out = String::new();
    push_json_string(&mut out, value);
    out
}

fn float(value: f64) -> String {
    let mut out = String::new();
    push_float(&mut out, value);
    out
}

#[test]
fn strings_are_ascii() {
    assert_eq!(json_string("a\"\\/\u{7f}"), r#""a\"\\/\u007f""#);
    assert_eq!(json_string("\u{8}\u{c}\n\r\t\u{1b}\0"), r#""\b\f\n\r\t\u001b\u0000""#);
    assert_eq!(json_string("é\u{2028}🍵"), r#""\u00e9\u2028\ud83c\udf75""#);
}

#[test]
fn floats_are_as_python_prints_them() {
    let golden = include_str!("../../../../tests/console/floats.txt");
    assert_eq!(golden.lines().count(), 1_000);
    for line in golden.lines() {
        let (bits, text) = line.split_once(' ').unwrap();
        let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
        assert_eq!(float(value), text, "{bits}");
    }
    assert_eq!(float(f64::NAN), "NaN");
}

#[test]
fn times_are_as_the_sdk_prints_them() {
    let golden = include_str!("../../../../tests/console/times.txt");
    assert!(golden.lines().count() > 600);
    for line in golden.lines() {
        let (nanos, text) = line.split_once(' ').unwrap();
        assert_eq!(iso_time(nanos.parse().unwrap()), text, "{nanos}");
    }
    assert_eq!(iso_time(u64::MAX), "2554-07-21T23:34:33.709553Z");
}

#[test]
fn trace_states_are_python_lists() {
    assert_eq!(trace_state(""), "[]");
    assert_eq!(trace_state("a=1"), "['{key=a, value=1}']");
    assert_eq!(
        trace_state("a=b=c , x=it's,q=\\"),
        r#"['{key=a, value=b=c}', "{key=x, value=it's}", '{key=q, value=\\}']"#
    );
    assert_eq!(trace_state("x='\""), r#"['{key=x, value=\'"}']"#);
}

proptest! {
    #[test]
    fn any_string_reads_back(value: String) {
        let text = json_string(&value);
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }

    #[test]
    fn any_finite_float_reads_back(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        let text = float(value);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        prop_assert!(text.contains(['.', 'e']));
    }

    #[test]
    fn every_time_prints(nanos: u64) {
        prop_assert_eq!(iso_time(nanos).len(), "2026-11-22T23:00:42.241417Z".len());
    }
}
