//! What a store holds: OTLP's messages, one item each, with resource and scope shared.

use carafe_telemetry::otlp::{self, KeyValue};
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::sync::Arc;
use std::time::Duration;

/// The service of a resource without a usable `service.name`; the name that Jaeger shows.
pub const MISSING_SERVICE_NAME: &str = "missing-service-name";

/// A resource, and the service that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRecord {
    /// `service.name`, or [`MISSING_SERVICE_NAME`].
    pub service: Arc<str>,
    /// The resource as it came.
    pub resource: otlp::Resource,
    /// The schema of the resource; may be empty.
    pub schema_url: String,
}

impl ResourceRecord {
    /// Reads the service name out of `resource`.
    pub fn new(resource: otlp::Resource, schema_url: String) -> Self {
        let service = otlp::find_str(&resource.attributes, "service.name")
            .filter(|name| !name.is_empty())
            .unwrap_or(MISSING_SERVICE_NAME)
            .into();
        Self { service, resource, schema_url }
    }
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeRecord {
    /// The scope as it came.
    pub scope: otlp::InstrumentationScope,
    /// The schema of the scope's items; may be empty.
    pub schema_url: String,
}

/// One span. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// The trace it belongs to; valid.
    pub trace_id: TraceId,
    /// Its own id; valid.
    pub span_id: SpanId,
    /// The span that caused it; never the all-zero id.
    pub parent_span_id: Option<SpanId>,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended; may be before `start` where a clock went wrong.
    pub end: UnixNanos,
    /// Who recorded it.
    pub resource: Arc<ResourceRecord>,
    /// Which library recorded it.
    pub scope: Arc<ScopeRecord>,
    /// The span as it came.
    pub span: Arc<otlp::Span>,
}

/// What makes a span itself: two records of which all of this is the same are one span. The
/// kind is part of it because the two ends of a call may share an id, as Zipkin's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanIdentity {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// OTLP's number of the kind.
    pub kind: i32,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
}

impl SpanRecord {
    /// What makes it itself.
    pub fn identity(&self) -> SpanIdentity {
        SpanIdentity {
            trace_id: self.trace_id,
            span_id: self.span_id,
            kind: self.span.kind,
            start: self.start,
            end: self.end,
        }
    }

    /// The order of the spans of a trace.
    pub(crate) fn order(&self) -> (UnixNanos, SpanId, i32, UnixNanos) {
        (self.start, self.span_id, self.span.kind, self.end)
    }

    /// End less start; zero where the end is before the start.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.0.saturating_sub(self.start.0))
    }

    /// Whether the status is an error.
    pub fn is_error(&self) -> bool {
        self.status_code() == otlp::status::StatusCode::Error
    }

    /// The status; what is not known counts as unset.
    pub fn status_code(&self) -> otlp::status::StatusCode {
        let code = self.span.status.as_ref().map_or(0, |status| status.code);
        otlp::status::StatusCode::try_from(code).unwrap_or(otlp::status::StatusCode::Unset)
    }

    /// The kind; what is not known counts as unspecified.
    pub fn kind(&self) -> otlp::span::SpanKind {
        otlp::span::SpanKind::try_from(self.span.kind).unwrap_or(otlp::span::SpanKind::Unspecified)
    }

    /// The service that recorded it.
    pub fn service(&self) -> &Arc<str> {
        &self.resource.service
    }
}

/// All spans of one trace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The id.
    pub id: TraceId,
    /// At least one span, each once; by start, then span id.
    pub spans: Arc<Vec<SpanRecord>>,
}

impl Trace {
    /// The trace of these spans, which may come in any order and more than once; none where
    /// there are none.
    pub fn of(mut spans: Vec<SpanRecord>) -> Option<Self> {
        spans.sort_by_key(SpanRecord::order);
        spans.dedup_by_key(|span| span.identity());
        let id = spans.first()?.trace_id;
        Some(Self { id, spans: Arc::new(spans) })
    }
}

/// One log record. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it happened; where the record does not say, when it was observed or received.
    pub time: UnixNanos,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    pub span_id: Option<SpanId>,
    /// Who recorded it.
    pub resource: Arc<ResourceRecord>,
    /// Which library recorded it.
    pub scope: Arc<ScopeRecord>,
    /// The record as it came.
    pub log: Arc<otlp::LogRecord>,
}

/// What identifies one time series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Who recorded it.
    pub resource: Arc<ResourceRecord>,
    /// Which library recorded it.
    pub scope: Arc<ScopeRecord>,
    /// Name, unit, description, kind, temporality and monotonicity: the metric as it came,
    /// without data points.
    pub metric: otlp::Metric,
    /// The attributes that all points of the series have.
    pub attributes: Vec<KeyValue>,
}

/// One data point. Its attributes are the series'.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When it was taken.
    pub time: UnixNanos,
    /// What was measured.
    pub value: PointValue,
}

/// OTLP's data points, with their attributes moved to the series.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// Of a gauge or a sum.
    Number(otlp::NumberDataPoint),
    /// Of a histogram.
    Histogram(otlp::HistogramDataPoint),
    /// Of an exponential histogram.
    ExponentialHistogram(otlp::ExponentialHistogramDataPoint),
    /// Of a summary.
    Summary(otlp::SummaryDataPoint),
}

/// One data point and its series. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct PointRecord {
    /// The series.
    pub series: Arc<Series>,
    /// The point.
    pub point: Arc<Point>,
}

/// One series and some of its points.
#[derive(Clone, Debug)]
pub struct SeriesPoints {
    /// The series.
    pub series: Arc<Series>,
    /// Points in order of time.
    pub points: Vec<Arc<Point>>,
}
