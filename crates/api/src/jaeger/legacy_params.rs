//! The parameters of `/api/traces` and `/api/dependencies`.

use super::{DEFAULT_TRACES, MAX_TRACES, trace_id};
use crate::fault::Fault;
use crate::params::{Params, parse_duration};
use carafe_store::{SpanFilter, TimeRange, TraceQuery};
use carafe_telemetry::{TraceId, UnixNanos};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// How far back a search looks when it does not say.
const SEARCH_LOOKBACK: Duration = Duration::from_secs(2 * 24 * 3_600);

/// What a search asks for: these traces, or traces of this kind.
pub(super) enum Search {
    Ids(Vec<TraceId>),
    Query(Box<TraceQuery>),
}

pub(super) fn search(params: &Params, now: UnixNanos) -> Result<Search, Fault> {
    let mut ids = Vec::new();
    for text in params.all("traceID") {
        let id = trace_id::parse(text)
            .map_err(|error| Fault::bad_request(format!("cannot parse traceID param: {error}")))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MAX_TRACES {
            return Err(Fault::bad_request(format!("more than {MAX_TRACES} trace ids")));
        }
    }
    // The other parameters are checked in any case, as Jaeger does.
    let query = query(params, now)?;
    Ok(if ids.is_empty() { Search::Query(Box::new(query)) } else { Search::Ids(ids) })
}

fn query(params: &Params, now: UnixNanos) -> Result<TraceQuery, Fault> {
    let (min_duration, max_duration) =
        (params.duration("minDuration")?, params.duration("maxDuration")?);
    check_durations(min_duration, max_duration)?;
    let end = params.micros("end")?.unwrap_or(now);
    let start = match params.micros("start")? {
        Some(start) => start,
        None => end.saturating_sub(lookback(params)?),
    };
    Ok(TraceQuery {
        filter: SpanFilter {
            service: params.string("service"),
            operation: params.string("operation"),
            tags: params.tags()?,
            min_duration,
            max_duration: max_duration.filter(|max| !max.is_zero()),
            range: TimeRange { start, end },
            ..SpanFilter::default()
        },
        limit: params.limit("limit", DEFAULT_TRACES, MAX_TRACES)?,
        after: None,
    })
}

/// Zero is no limit, as in Jaeger.
pub(super) fn check_durations(min: Option<Duration>, max: Option<Duration>) -> Result<(), Fault> {
    match (min, max) {
        (Some(min), Some(max)) if max < min && !max.is_zero() => {
            Err(Fault::bad_request("'maxDuration' should be greater than 'minDuration'"))
        }
        _ => Ok(()),
    }
}

/// Jaeger's UI sends `lookback` together with the `start` that follows from it; it counts
/// where there is no `start`. It knows days and weeks, and `custom` for a range of its own.
fn lookback(params: &Params) -> Result<Duration, Fault> {
    let Some(text) = params.get("lookback").filter(|text| *text != "custom") else {
        return Ok(SEARCH_LOOKBACK);
    };
    let days = |number: &str, factor: u32| {
        let number: u32 = number.parse().ok()?;
        Some(HOUR * 24u32.checked_mul(number)?.checked_mul(factor)?)
    };
    let parsed = match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(number), _) => days(number, 1),
        (_, Some(number)) => days(number, 7),
        _ => parse_duration(text).ok(),
    };
    parsed.ok_or_else(|| {
        Fault::bad_request(format!(
            "unable to parse param 'lookback': {text:?} is not a duration such as 1h or 2d"
        ))
    })
}

/// The range of a dependencies query: `endTs` and `lookback`, both in milliseconds.
pub(super) fn dependencies(params: &Params, now: UnixNanos) -> Result<TimeRange, Fault> {
    let millis = |name, default| -> Result<u64, Fault> {
        Ok(params.integer(name)?.map_or(default, |ms| u64::try_from(ms).unwrap_or(0)))
    };
    let end =
        UnixNanos::from_micros(millis("endTs", now.as_micros() / 1_000 + 1)?.saturating_mul(1_000));
    let lookback = Duration::from_millis(millis("lookback", 24 * 3_600 * 1_000)?);
    Ok(TimeRange { start: end.saturating_sub(lookback), end })
}
