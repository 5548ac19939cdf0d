//! The parameters of `/api/v3/...`: camel case as in protobuf's JSON, snake case as it was
//! before.

use super::{DEFAULT_TRACES, MAX_TRACES};
use crate::fault::Fault;
use crate::params::{Params, parse_bool, parse_duration, parse_limit, parse_tag_map};
use carafe_store::{SpanFilter, TagFilter, TimeRange, TraceQuery};
use carafe_telemetry::UnixNanos;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const TIME_MIN: &[&str] = &["query.startTimeMin", "query.start_time_min"];
const TIME_MAX: &[&str] = &["query.startTimeMax", "query.start_time_max"];

/// What a search asks for.
pub(super) fn search(params: &Params) -> Result<TraceQuery, Fault> {
    if params.get("query.filter").is_some() {
        return Err(malformed(
            "query.filter",
            "filter expressions are not understood; use query.attributes",
        ));
    }
    let text = |names| params.get_any(names).map(|(_, text)| text.to_owned());
    let tags = match params.get("query.attributes") {
        Some(json) => parse_tag_map(json).map_err(|error| malformed("query.attributes", error))?,
        None => Default::default(),
    };
    let (Some(start), Some(end)) = (time(params, TIME_MIN)?, time(params, TIME_MAX)?) else {
        return Err(Fault::bad_request(format!(
            "{} and {} are required",
            TIME_MIN[0], TIME_MAX[0]
        )));
    };
    if start >= end {
        let message = format!("{} must be before {}", TIME_MIN[0], TIME_MAX[0]);
        return Err(Fault::bad_request(message));
    }
    boolean(params, &["query.rawTraces", "query.raw_traces"])?;
    let depth = &["query.searchDepth", "query.search_depth", "query.num_traces"];
    let limit = parsed(params, depth, |text| parse_limit(text, MAX_TRACES))?;
    let min_duration =
        parsed(params, &["query.durationMin", "query.duration_min"], parse_duration)?;
    let max_duration =
        parsed(params, &["query.durationMax", "query.duration_max"], parse_duration)?;
    super::legacy_params::check_durations(min_duration, max_duration)?;
    Ok(TraceQuery {
        filter: SpanFilter {
            service: text(&["query.serviceName", "query.service_name"]),
            operation: text(&["query.operationName", "query.operation_name"]),
            tags: tags.iter().map(|(key, value)| TagFilter::new(key, value)).collect(),
            min_duration,
            max_duration: max_duration.filter(|max| !max.is_zero()),
            range: TimeRange { start, end },
            ..SpanFilter::default()
        },
        limit: limit.unwrap_or(DEFAULT_TRACES),
        after: None,
    })
}

/// Checks the parameters of a trace by id. None of them changes the answer: the times help
/// only storages that have to look for a trace, and what is stored is always given raw.
pub(super) fn check_trace(params: &Params) -> Result<(), Fault> {
    time(params, &["startTime", "start_time"])?;
    time(params, &["endTime", "end_time"])?;
    boolean(params, &["rawTraces", "raw_traces"])
}

pub(super) fn malformed(name: &str, error: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("malformed parameter {name}: {error}"))
}

fn parsed<T>(
    params: &Params,
    names: &[&'static str],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Fault> {
    let Some((name, text)) = params.get_any(names) else { return Ok(None) };
    parse(text).map(Some).map_err(|error| malformed(name, error))
}

fn boolean(params: &Params, names: &[&'static str]) -> Result<(), Fault> {
    parsed(params, names, parse_bool).map(|_| ())
}

fn time(params: &Params, names: &[&'static str]) -> Result<Option<UnixNanos>, Fault> {
    parsed(params, names, parse_rfc3339)
}

/// A time of RFC 3339. A space stands for the `+` that a client did not escape; times before
/// the epoch count as the epoch.
fn parse_rfc3339(text: &str) -> Result<UnixNanos, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|error| {
            OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map_err(|_| error)
        })
        .map_err(|error| {
            format!("{text:?} is not a time such as 2026-01-31T12:00:00.5Z: {error}")
        })?;
    let nanos = time.unix_timestamp_nanos();
    Ok(UnixNanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)))
}
