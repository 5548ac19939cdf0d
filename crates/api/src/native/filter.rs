//! The filter parameters that search, RED and the live stream share.

use crate::fault::Fault;
use crate::params::Params;
use carafe_store::{Condition, Cursor, SpanFilter, TimeRange, UrlPattern};
use carafe_telemetry::UnixNanos;
use std::time::Duration;

/// Results that are given when a request does not say how many.
pub(super) const DEFAULT_LIMIT: usize = 20;

/// Results that are given at most, whatever a request says.
pub(super) const MAX_LIMIT: usize = 1_500;

/// How far back a request looks when it does not say.
const DEFAULT_RANGE: Duration = Duration::from_secs(3_600);

/// All filter parameters but the range.
pub(super) fn filter(params: &Params) -> Result<SpanFilter, Fault> {
    let (min_duration, max_duration) =
        (params.duration("minDuration")?, params.duration("maxDuration")?);
    if let (Some(min), Some(max)) = (min_duration, max_duration)
        && max < min
    {
        return Err(Fault::bad_request(format!(
            "maxDuration ({max:?}) is less than minDuration ({min:?})"
        )));
    }
    Ok(SpanFilter {
        service: params.string("service"),
        operation: params.string("operation"),
        tags: params.tags()?,
        min_duration,
        max_duration,
        range: TimeRange::ALL,
        url: params.get("url").map(UrlPattern::new),
        condition: condition(params)?,
        errors_only: params.boolean("errors")?,
    })
}

/// `start` and `end`; the hour up to `end`, and `end` now, where they are not given.
pub(super) fn range(params: &Params) -> Result<TimeRange, Fault> {
    let end = params.micros("end")?.unwrap_or_else(UnixNanos::now);
    let start = params.micros("start")?.unwrap_or(end.saturating_sub(DEFAULT_RANGE));
    if end < start {
        return Err(Fault::bad_request(format!(
            "end ({} µs) is before start ({} µs)",
            end.as_micros(),
            start.as_micros()
        )));
    }
    Ok(TimeRange { start, end })
}

pub(super) fn limit(params: &Params) -> Result<usize, Fault> {
    params.limit("limit", DEFAULT_LIMIT, MAX_LIMIT)
}

/// `q`: a condition in its text form.
pub(super) fn condition(params: &Params) -> Result<Option<Condition>, Fault> {
    let parse = |text: &str| {
        text.parse().map_err(|error| Fault::bad_request(format!("unable to parse 'q': {error}")))
    };
    params.get("q").map(parse).transpose()
}

/// `after`: the `next` of the page before.
pub(super) fn after(params: &Params) -> Result<Option<Cursor>, Fault> {
    Ok(params.get("after").map(str::parse).transpose()?)
}

/// The `next` of a page.
pub(super) fn next(cursor: Option<&Cursor>) -> Option<String> {
    cursor.map(Cursor::to_string)
}
