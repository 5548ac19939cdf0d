//! Questions and answers.

use crate::condition::Condition;
use crate::cursor::Cursor;
use crate::error::StoreError;
use crate::filter::SpanFilter;
use crate::record::{LogRecord, SeriesPoints, SpanRecord};
use crate::summary::TraceSummary;
use carafe_telemetry::{Batch, Signal, TraceId, UnixNanos};
use std::sync::Arc;
use std::time::Duration;

/// The most points that one RED query may ask for.
pub const MAX_RED_POINTS: u64 = 2_000;

/// The batch was stored, perhaps without some of its items (OTLP's partial success).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Items that can never be stored.
    pub rejected_items: u64,
    /// Why; empty when there is nothing to say.
    pub message: String,
}

/// From `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub start: UnixNanos,
    /// The last moment.
    pub end: UnixNanos,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { start: UnixNanos(0), end: UnixNanos(u64::MAX) };

    /// Whether `time` is in the range.
    pub fn contains(&self, time: UnixNanos) -> bool {
        self.start <= time && time <= self.end
    }
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALL
    }
}

/// Which traces or spans, and how many.
#[derive(Clone, Debug)]
pub struct TraceQuery {
    /// What a span must fulfil; a trace matches where one of its spans does.
    pub filter: SpanFilter,
    /// At most so many.
    pub limit: usize,
    /// Where the page before it ended; none for the first.
    pub after: Option<Cursor>,
}

impl TraceQuery {
    /// The first page.
    pub fn new(filter: SpanFilter, limit: usize) -> Self {
        Self { filter, limit, after: None }
    }
}

/// Those traces whose newest matching spans are the newest, the latest start of a trace
/// first. All pages together have the traces of one large page.
#[derive(Clone, Debug, Default)]
pub struct TracePage {
    /// One line each.
    pub traces: Vec<TraceSummary>,
    /// Where the next page starts; none where there are no more.
    pub next: Option<Cursor>,
}

/// Spans, newest start first, then by trace and span id. All pages together are one large
/// page.
#[derive(Clone, Debug, Default)]
pub struct SpanPage {
    /// The spans.
    pub spans: Vec<SpanRecord>,
    /// Where the next page starts; none where there are no more.
    pub next: Option<Cursor>,
}

/// Whose attributes, and how many.
#[derive(Clone, Debug)]
pub struct AttributeQuery {
    /// Only spans of this service.
    pub service: Option<String>,
    /// At most so many keys or values.
    pub limit: usize,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValue {
    /// Its text form.
    pub text: String,
    /// How many of the spans that were looked at have it.
    pub spans: u64,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Its spans.
    pub spans: u64,
    /// Those whose status is an error.
    pub errors: u64,
    /// The latest start of a span that it recorded.
    pub last_seen: UnixNanos,
    /// By name, then kind.
    pub operations: Vec<OperationSummary>,
}

/// A span name of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationSummary {
    /// The name.
    pub name: Arc<str>,
    /// The kind.
    pub kind: carafe_telemetry::otlp::span::SpanKind,
    /// Its spans.
    pub spans: u64,
    /// Those whose status is an error.
    pub errors: u64,
    /// Median duration.
    pub p50: Duration,
    /// 95th percentile of the duration.
    pub p95: Duration,
}

/// Requests, errors and durations of which spans, in which steps. Counted are the spans that
/// answer someone: of kind SERVER or CONSUMER, or without a parent.
#[derive(Clone, Debug)]
pub struct RedQuery {
    /// Which spans; its range is the range of the answer.
    pub filter: SpanFilter,
    /// The length of a point; whole microseconds, not zero.
    pub step: Duration,
}

impl RedQuery {
    /// The start of the first point, the step, both in nanoseconds, and the number of
    /// points: points begin at multiples of the step. An error where the step is not a whole
    /// number of microseconds, or there are more than [`MAX_RED_POINTS`] points.
    pub fn grid(&self) -> Result<(u64, u64, usize), StoreError> {
        let TimeRange { start, end } = self.filter.range;
        let step = u64::try_from(self.step.as_nanos()).unwrap_or(u64::MAX);
        if step == 0 || step % 1_000 != 0 {
            return Err(StoreError::invalid(format!(
                "a step of {step} ns is not a whole number of microseconds"
            )));
        }
        if end < start {
            return Err(StoreError::invalid("the end is before the start"));
        }
        let points = end.0 / step - start.0 / step + 1;
        if points > MAX_RED_POINTS {
            return Err(StoreError::invalid(format!(
                "{points} points; at most {MAX_RED_POINTS} are given, so make the step longer"
            )));
        }
        Ok((start.0 / step * step, step, points as usize))
    }
}

/// Requests, errors and durations over time.
#[derive(Clone, Debug, PartialEq)]
pub struct RedSeries {
    /// The length of a point.
    pub step: Duration,
    /// One for each step of the range, the empty ones too.
    pub points: Vec<RedPoint>,
}

/// One step of a [`RedSeries`].
#[derive(Clone, Debug, PartialEq)]
pub struct RedPoint {
    /// Its beginning.
    pub time: UnixNanos,
    /// Spans that started in it.
    pub count: u64,
    /// Those whose status is an error.
    pub errors: u64,
    /// Median, 95th and 99th percentile of the duration; none where there are no spans.
    pub percentiles: Option<[Duration; 3]>,
}

/// Calls between services of spans that started in the range.
#[derive(Clone, Copy, Debug, Default)]
pub struct GraphQuery {
    /// When the called span started.
    pub range: TimeRange,
}

/// One service calls another. A service is its own caller only where a CLIENT or PRODUCER
/// span of it has a SERVER or CONSUMER child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphEdge {
    /// The caller.
    pub parent: Arc<str>,
    /// The called.
    pub child: Arc<str>,
    /// How often.
    pub calls: u64,
    /// How often the called span's status was an error.
    pub errors: u64,
}

/// Which log records; all conditions must hold.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The service that recorded it.
    pub service: Option<String>,
    /// Its body contains this, ASCII letters of either case.
    pub text: Option<String>,
    /// Its severity number is at least this (1 to 24); 0 for all records, also those whose
    /// number is none of OTLP's.
    pub min_severity: i32,
    /// It belongs to this trace.
    pub trace_id: Option<TraceId>,
    /// It happened in this range.
    pub range: TimeRange,
    /// It fulfils this.
    pub condition: Option<Condition>,
    /// At most so many.
    pub limit: usize,
    /// Where the page before it ended; none for the first.
    pub after: Option<Cursor>,
}

impl LogQuery {
    /// All of them, up to a limit.
    pub fn all(limit: usize) -> Self {
        Self {
            service: None,
            text: None,
            min_severity: 0,
            trace_id: None,
            range: TimeRange::ALL,
            condition: None,
            limit,
            after: None,
        }
    }

    /// Whether a record of this severity number can match.
    pub fn takes_severity(&self, number: i32) -> bool {
        self.min_severity <= 0 || number >= self.min_severity
    }

    /// Whether `log` fulfils all conditions.
    pub fn matches(&self, log: &LogRecord) -> bool {
        self.service.as_deref().is_none_or(|service| *log.resource.service == *service)
            && self.takes_severity(log.log.severity_number)
            && self.trace_id.is_none_or(|id| log.trace_id == Some(id))
            && self.range.contains(log.time)
            && self.text.as_deref().is_none_or(|text| {
                log.log
                    .body
                    .as_ref()
                    .is_some_and(|body| contains_ignore_ascii_case(&crate::value::text(body), text))
            })
            && self.condition.as_ref().is_none_or(|condition| condition.matches_log(log))
    }
}

fn contains_ignore_ascii_case(text: &str, part: &str) -> bool {
    let text = text.to_ascii_lowercase();
    memchr::memmem::find(text.as_bytes(), part.to_ascii_lowercase().as_bytes()).is_some()
}

/// Log records, newest first; of one moment, those that were observed last first. All pages
/// together are one large page.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The records.
    pub logs: Vec<LogRecord>,
    /// Where the next page starts; none where there are no more.
    pub next: Option<Cursor>,
}

/// Which series and which of their points.
#[derive(Clone, Debug)]
pub struct MetricQuery {
    /// The metric's name.
    pub name: Option<String>,
    /// The service that recorded it.
    pub service: Option<String>,
    /// Attributes of the series and their values as text.
    pub attributes: Vec<(String, String)>,
    /// When the points were taken.
    pub range: TimeRange,
    /// At most so many series.
    pub limit: usize,
}

/// Series with at least one point in the range, by name, service and attributes.
#[derive(Clone, Debug, Default)]
pub struct MetricPage {
    /// The series.
    pub series: Vec<SeriesPoints>,
    /// Whether there are more than the limit.
    pub truncated: bool,
}

/// One page of everything of one signal.
#[derive(Clone, Debug)]
pub struct ScanQuery {
    /// Which signal.
    pub signal: Signal,
    /// When the items started, happened or were taken.
    pub range: TimeRange,
    /// Where the page before it ended; none for the first.
    pub after: Option<Cursor>,
    /// About so many items: more where a store keeps the items of one moment, or of one
    /// trace, together.
    pub limit: usize,
}

/// A page of a scan.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The items as one export request; none where the page has no items.
    pub batch: Option<Batch>,
    /// Where the next page starts; none after the last.
    pub next: Option<Cursor>,
}

/// How much there is, and what was lost. What a store does not have is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The engine: `memory` or `local`.
    pub kind: &'static str,
    /// Spans that are there.
    pub spans: u64,
    /// Traces that are there; about so many where a store only estimates them.
    pub traces: u64,
    /// Log records that are there.
    pub logs: u64,
    /// Data points that are there.
    pub points: u64,
    /// What all of it takes, about, in memory and on disk.
    pub bytes: u64,
    /// What it may take.
    pub max_bytes: u64,
    /// What of it is in memory: what came last, not yet in files.
    pub recent_bytes: u64,
    /// What of it is on disk, the log included.
    pub disk_bytes: u64,
    /// What of that is the log.
    pub log_bytes: u64,
    /// Files of data, side files not counted.
    pub files: u64,
    /// Damaged files that were set aside: what is in them is not found.
    pub set_aside_files: u64,
    /// The earliest start, or time, of what is there; 0 where there is nothing, or where it
    /// is not known.
    pub oldest: UnixNanos,
    /// Traces that went to make room, or because of their age.
    pub evicted_traces: u64,
    /// Spans that went with them.
    pub evicted_spans: u64,
    /// Log records that went to make room, or because of their age.
    pub evicted_logs: u64,
    /// Data points that went to make room, or because of their age.
    pub evicted_points: u64,
    /// Items that `append` refused one by one, since the store was opened.
    pub rejected_items: u64,
    /// Spans that were stored since the store was opened.
    pub appended_spans: u64,
    /// Log records that were stored since the store was opened.
    pub appended_logs: u64,
    /// Data points that were stored since the store was opened.
    pub appended_points: u64,
}
