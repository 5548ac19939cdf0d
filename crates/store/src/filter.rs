//! Which spans a question is about.

use crate::condition::Condition;
use crate::query::TimeRange;
use crate::record::{SpanRecord, Trace};
use crate::tags::TagFilter;
use crate::url_pattern::UrlPattern;
use carafe_telemetry::UnixNanos;
use std::time::Duration;

/// Conditions on a span; all of them must hold. The default has none.
#[derive(Clone, Debug, Default)]
pub struct SpanFilter {
    /// The service that recorded it.
    pub service: Option<String>,
    /// Its name.
    pub operation: Option<String>,
    /// Tags that it must have.
    pub tags: Vec<TagFilter>,
    /// It lasted at least this long.
    pub min_duration: Option<Duration>,
    /// It lasted at most this long.
    pub max_duration: Option<Duration>,
    /// It started in this range.
    pub range: TimeRange,
    /// It has such an address.
    pub url: Option<UrlPattern>,
    /// It fulfils this.
    pub condition: Option<Condition>,
    /// Its trace has a span whose status is an error: a condition on the trace, not the span.
    pub errors_only: bool,
}

impl SpanFilter {
    /// The same with a range that ends at `latest`, if not before.
    pub fn until(&self, latest: UnixNanos) -> Self {
        let range = TimeRange { end: self.range.end.min(latest), ..self.range };
        Self { range, ..self.clone() }
    }

    /// Whether `span` fulfils all conditions but [`errors_only`](Self::errors_only).
    pub fn matches_span(&self, span: &SpanRecord) -> bool {
        self.service.as_deref().is_none_or(|service| **span.service() == *service)
            && self.operation.as_ref().is_none_or(|operation| span.span.name == *operation)
            && self.range.contains(span.start)
            && self.min_duration.is_none_or(|min| span.duration() >= min)
            && self.max_duration.is_none_or(|max| span.duration() <= max)
            && self.tags.iter().all(|tag| tag.matches(span))
            && self.url.as_ref().is_none_or(|url| url.matches(span))
            && self.condition.as_ref().is_none_or(|condition| condition.matches(span))
    }

    /// Whether one span of the trace fulfils all conditions.
    pub fn matches_trace(&self, trace: &Trace) -> bool {
        self.newest_match(trace).is_some()
    }

    /// The latest start of the spans of the trace that fulfil all conditions; none where
    /// none does.
    pub fn newest_match(&self, trace: &Trace) -> Option<UnixNanos> {
        if self.errors_only && !trace.spans.iter().any(SpanRecord::is_error) {
            return None;
        }
        let matching = trace.spans.iter().filter(|span| self.matches_span(span));
        matching.map(|span| span.start).max()
    }
}
