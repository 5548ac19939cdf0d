//! `/logs` and `/traces/{id}/logs`.

use super::attribute::{Attribute, attributes};
use super::{Answer, SharedStore, filter, ok, trace_id};
use crate::fault::Fault;
use crate::params::Params;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use carafe_store::{LogQuery, LogRecord, TimeRange, value};
use serde::Serialize;
use serde_json::json;

/// Log records of a trace that are given at most, the newest of them.
const MAX_TRACE_LOGS: usize = 10_000;

/// The lowest severity number of each range that OTLP's logs data model names.
const SEVERITIES: [(&str, i32); 6] =
    [("TRACE", 1), ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21)];

/// The highest severity number.
const MAX_SEVERITY: i32 = 24;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    time_micros: u64,
    severity_text: String,
    severity_number: i32,
    body: String,
    trace_id: Option<String>,
    span_id: Option<String>,
    service: String,
    attributes: Vec<Attribute>,
}

impl From<&LogRecord> for Log {
    fn from(record: &LogRecord) -> Self {
        let body = record.log.body.as_ref();
        Self {
            time_micros: record.time.as_micros(),
            severity_text: record.log.severity_text.clone(),
            severity_number: record.log.severity_number,
            body: body.map(|body| value::text(body).into_owned()).unwrap_or_default(),
            trace_id: record.trace_id.map(|id| id.to_string()),
            span_id: record.span_id.map(|id| id.to_string()),
            service: record.resource.service.to_string(),
            attributes: attributes(&record.log.attributes),
        }
    }
}

/// What a log record must fulfil, its time aside.
pub(super) fn filter(params: &Params) -> Result<LogQuery, Fault> {
    Ok(LogQuery {
        service: params.string("service"),
        text: params.string("text"),
        min_severity: params.get("severityMin").map_or(Ok(0), severity)?,
        trace_id: params.get("traceId").map(trace_id).transpose()?,
        range: TimeRange::ALL,
        condition: filter::condition(params)?,
        limit: filter::limit(params)?,
        after: None,
    })
}

/// A number from 0 to 24, or the name of a range, in either case.
fn severity(text: &str) -> Result<i32, Fault> {
    let named = SEVERITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let number = || text.parse::<u8>().ok().map(i32::from);
    named
        .map(|(_, number)| *number)
        .or_else(|| number().filter(|number| *number <= MAX_SEVERITY))
        .ok_or_else(|| {
            Fault::bad_request(format!(
                "unable to parse param 'severityMin': {text:?} is neither a number from 0 to \
                 {MAX_SEVERITY} nor one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL"
            ))
        })
}

pub(super) async fn logs(State(store): State<SharedStore>, params: Params) -> Answer {
    let mut query = filter(&params)?;
    // A trace says when by itself.
    let timed = params.get("start").is_some() || params.get("end").is_some();
    if timed || query.trace_id.is_none() {
        query.range = filter::range(&params)?;
    }
    query.after = filter::after(&params)?;
    let page = store.find_logs(&query).await?;
    let logs: Vec<Log> = page.logs.iter().map(Log::from).collect();
    let next = filter::next(page.next.as_ref());
    ok(&json!({"logs": logs, "truncated": next.is_some(), "next": next}))
}

/// In order of time, as one reads a trace.
pub(super) async fn of_trace(
    State(store): State<SharedStore>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let Path(id) = path?;
    let query = LogQuery { trace_id: Some(trace_id(&id)?), ..LogQuery::all(MAX_TRACE_LOGS) };
    let page = store.find_logs(&query).await?;
    let logs: Vec<Log> = page.logs.iter().rev().map(Log::from).collect();
    ok(&json!({"logs": logs, "truncated": page.next.is_some()}))
}
