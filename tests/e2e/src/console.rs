//! Reading what the console exporters print between an app's own lines.

use anyhow::{Result, ensure};
use serde_json::{Deserializer, Map, Value};

/// The JSON objects in a text, each starting at the beginning of a line.
///
/// # Errors
/// A line that starts an object does not continue as one.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with('{') {
            let mut stream = Deserializer::from_str(rest).into_iter::<Value>();
            match stream.next() {
                Some(Ok(value)) => found.push(value),
                other => ensure!(false, "{other:?} in {rest:.400}"),
            }
            rest = &rest[stream.byte_offset()..];
            ensure!(rest.starts_with('\n'), "text after an object on its line: {rest:.100}");
        }
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    Ok(found)
}

/// The shape of a value: its keys and nesting. The first element stands for
/// all of an array; everything else is null.
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), shape(value))).collect())
        }
        Value::Array(list) => Value::Array(list.first().map(shape).into_iter().collect()),
        _ => Value::Null,
    }
}

/// Paths that are in one shape and not in the other, as `- missing` and
/// `+ added`. An array without elements agrees with any array.
pub fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, actual, &mut found);
    found
}

fn compare(path: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                match actual.get(key) {
                    Some(other) => compare(&format!("{path}/{key}"), value, other, found),
                    None => found.push(format!("- {path}/{key}")),
                }
            }
            found.extend(added(path, expected, actual));
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if let (Some(expected), Some(actual)) = (expected.first(), actual.first()) {
                compare(&format!("{path}[]"), expected, actual, found);
            }
        }
        // Empty and absent attributes are printed as null or {}.
        (Value::Null, Value::Null) => {}
        (expected, actual) => found.push(format!("! {path}: {expected} became {actual}")),
    }
}

fn added(path: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) -> Vec<String> {
    let new = actual.keys().filter(|key| !expected.contains_key(*key));
    new.map(|key| format!("+ {path}/{key}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_objects_between_lines() {
        let text =
            " * Serving\n{\n  \"a\": {\n    \"b\": 1\n  }\n}\nline { not json\n{\"c\": []}\n";
        assert_eq!(objects(text).unwrap(), [json!({"a": {"b": 1}}), json!({"c": []})]);
    }

    #[test]
    fn an_object_cut_by_another_line_is_an_error() {
        assert!(objects("{\n  \"a\": 1,\nan app's line\n}\n").is_err());
        assert!(objects("{\"a\": 1} and more\n").is_err());
    }

    #[test]
    fn differences_name_missing_and_added_paths() {
        let expected = shape(&json!({"a": 1, "b": {"c": "x"}, "d": [{"e": 1}, {"f": 2}], "g": []}));
        let actual = shape(&json!({"b": {"h": 1}, "a": "text", "d": [{"e": null}], "g": [1]}));
        assert_eq!(differences(&expected, &actual), ["- /b/c", "+ /b/h"]);
        assert!(differences(&expected, &expected).is_empty());
    }
}
