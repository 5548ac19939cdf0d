//! Query parameters, read one by one, with an error that names the parameter.

use crate::fault::Fault;
use crate::go_duration::parse_go_duration;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use carafe_store::TagFilter;
use carafe_telemetry::UnixNanos;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// The parameters of a query string, in order. What is not UTF-8 is replaced, as browsers do.
/// A parameter without a value counts as absent.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(key, _)| key == name);
        values.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The first value of the first of `names` that has one, and that name.
    pub(crate) fn get_any(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Fault> {
        self.get(name).map_or(Ok(false), |text| parse_bool(text).map_err(|e| unreadable(name, e)))
    }

    /// A Go duration that is not negative.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Fault> {
        let parse = |text| parse_duration(text).map_err(|error| unreadable(name, error));
        self.get(name).map(parse).transpose()
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse = |text| parse_integer(text).map_err(|error| unreadable(name, error));
        self.get(name).map(parse).transpose()
    }

    /// A number of microseconds since the epoch; before the epoch counts as the epoch.
    pub(crate) fn micros(&self, name: &str) -> Result<Option<UnixNanos>, Fault> {
        let time = |micros| UnixNanos::from_micros(u64::try_from(micros).unwrap_or(0));
        Ok(self.integer(name)?.map(time))
    }

    /// How many of something: at least 1; more than `max` counts as `max`.
    pub(crate) fn limit(&self, name: &str, default: usize, max: usize) -> Result<usize, Fault> {
        self.get(name).map_or(Ok(default), |text| {
            parse_limit(text, max).map_err(|error| unreadable(name, error))
        })
    }

    /// Tags as Jaeger writes them: `tag=key:value`, repeatable, and `tags={"key":"value"}`.
    /// A key that comes again replaces what came before.
    pub(crate) fn tags(&self) -> Result<Vec<TagFilter>, Fault> {
        let mut tags = BTreeMap::new();
        for tag in self.all("tag") {
            let (key, value) = tag.split_once(':').ok_or_else(|| {
                Fault::bad_request(format!(
                    "malformed 'tag' parameter {tag:?}: expecting key:value"
                ))
            })?;
            tags.insert(key.to_owned(), value.to_owned());
        }
        for json in self.all("tags") {
            tags.extend(parse_tag_map(json).map_err(|error| {
                Fault::bad_request(format!("malformed 'tags' parameter: {error}"))
            })?);
        }
        Ok(tags.iter().map(|(key, value)| TagFilter::new(key, value)).collect())
    }
}

fn unreadable(name: &str, error: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("unable to parse param '{name}': {error}"))
}

/// A JSON object of strings; other scalars are taken by their text.
pub(crate) fn parse_tag_map(json: &str) -> Result<BTreeMap<String, String>, String> {
    let map: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|error| format!("not a JSON object: {error}"))?;
    let text = |(key, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(text) => Ok((key, text)),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Ok((key, value.to_string())),
        _ => Err(format!("the value of {key:?} is not a string")),
    };
    map.into_iter().map(text).collect()
}

/// The spellings that Go's strconv takes for a boolean.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = parse_go_duration(text).map_err(|error| error.to_string())?;
    let nanos = u64::try_from(nanos).map_err(|_| format!("{text:?} is negative"))?;
    Ok(Duration::from_nanos(nanos))
}

pub(crate) fn parse_limit(text: &str, max: usize) -> Result<usize, String> {
    match parse_integer(text)? {
        ..=0 => Err(format!("{text} is not greater than 0")),
        limit => Ok(usize::try_from(limit).unwrap_or(max).min(max)),
    }
}

fn parse_integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is not an integer of 64 bits"))
}
