//! Sums over the spans of a file, kept so that no question about amounts reads the spans.

pub mod edges;
pub(crate) mod encoding;
pub mod frequent;
pub mod keys;
pub mod red;
pub mod totals;

use crate::rollup::red::{OperationId, RedBuilder};
use crate::rollup::totals::{Total, Totals};
use carafe_store::SpanRecord;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::span::SpanKind;
use hashbrown::HashMap;

/// Most different (service, operation), and (service, operation, kind), that are told apart
/// within one file. What is beyond counts for its service only.
pub const MAX_SERIES: usize = 16_384;

/// What a span adds to the roll-ups.
#[derive(Clone, Copy, Debug)]
pub struct RolledSpan {
    /// When it began.
    pub start: UnixNanos,
    /// End less start in nanoseconds; zero where the end is before the start.
    pub duration: u64,
    /// Whether it answers someone: [`answers`].
    pub answers: bool,
    /// Whether the status is an error.
    pub is_error: bool,
}

impl RolledSpan {
    /// What a record adds.
    pub fn of(span: &SpanRecord) -> Self {
        Self {
            start: span.start,
            duration: span.end.0.saturating_sub(span.start.0),
            answers: answers(span.kind() as i32, span.parent_span_id.is_none()),
            is_error: span.is_error(),
        }
    }
}

/// Whether a span of this kind (OTLP's number) answers someone and so is a request.
pub fn answers(kind: i32, is_root: bool) -> bool {
    is_root || kind == SpanKind::Server as i32 || kind == SpanKind::Consumer as i32
}

/// The name of a series within a [`RollupBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(u32);

/// Sums spans up by service, operation and kind: all of them, and requests by ten seconds.
#[derive(Debug, Default)]
pub struct RollupBuilder {
    by_name: HashMap<(OperationId, i32), SeriesId>,
    series: Vec<Series>,
    red: RedBuilder,
}

#[derive(Debug)]
struct Series {
    operation: OperationId,
    kind: i32,
    total: Total,
}

impl RollupBuilder {
    /// No spans yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The series of a service, an operation and OTLP's number of a kind; numbers that OTLP
    /// does not know are one. To be remembered by the caller: names are looked up here.
    pub fn series(&mut self, service: &str, operation: &str, kind: i32) -> SeriesId {
        let operation = self.red.operation(service, operation);
        let kind = SpanKind::try_from(kind).unwrap_or_default() as i32;
        let next = SeriesId(self.series.len() as u32);
        *self.by_name.entry((operation, kind)).or_insert_with(|| {
            self.series.push(Series { operation, kind, total: Total::default() });
            next
        })
    }

    /// Counts a span.
    pub fn add(&mut self, series: SeriesId, span: &RolledSpan) {
        let series = &mut self.series[series.0 as usize];
        series.total.add(span);
        if span.answers {
            self.red.add(series.operation, span.start, span.duration, span.is_error);
        }
    }

    /// Counts a whole record.
    pub fn add_record(&mut self, span: &SpanRecord) {
        let series = self.series(span.service(), &span.span.name, span.span.kind);
        self.add(series, &RolledSpan::of(span));
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.red.merge(&other.red);
        for series in &other.series {
            let operation = match other.red.names(series.operation) {
                (Some(service), Some(name)) => self.red.operation(service, name),
                (service, _) => self.red.rest_of(service),
            };
            let next = SeriesId(self.series.len() as u32);
            let id = *self.by_name.entry((operation, series.kind)).or_insert(next);
            if id == next {
                let total = Total::default();
                self.series.push(Series { operation, kind: series.kind, total });
            }
            self.series[id.0 as usize].total.merge(&series.total);
        }
    }

    /// The requests.
    pub fn red(&self) -> &RedBuilder {
        &self.red
    }

    /// The sums of all spans.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for series in &self.series {
            let (service, name) = self.red.names(series.operation);
            match (service, name) {
                (Some(service), Some(name)) => {
                    totals.merge_operation(service, name, series.kind, &series.total);
                }
                (service, _) => totals.merge_rest(service, &series.total),
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests;
