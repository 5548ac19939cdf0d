//! Writing recent data to files: one for each signal and window.

use crate::calls::{Call, Calls, Parent};
use crate::catalog::NewFile;
use crate::logs::write_logs;
use crate::memtable::Memtable;
use crate::metrics::write_metrics;
use crate::recent::{RecentSpan, RecentSpans, SpanSnapshot};
use crate::shelf::Shelf;
use crate::spans::{ResourceRef, ScopeRef, SpanBatchBuilder, SpanRef, write_spans};
use crate::window::{FIRST_WINDOW_SECONDS, LAST_WINDOW_SECONDS, Window};
use crate::writing::{Output, Planned};
use arrow_array::RecordBatch;
use carafe_store::{StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{Signal, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

/// Data that is older than this when it is flushed goes to long windows at once: it comes
/// from anywhere in the past, and would make many small files.
const RECENT: Duration = Duration::from_secs(2 * 3_600);

/// What a flush works with.
pub struct Flush<'a> {
    /// What is written.
    pub memtable: &'a Memtable,
    /// Its log frames.
    pub sequences: (u64, u64),
    /// Where callers may be: all recent spans.
    pub recent: Vec<Arc<RecentSpans>>,
    /// What is remembered of spans in files.
    pub calls: &'a Calls,
    /// Where the files go.
    pub shelf: &'a dyn Shelf,
    /// The time.
    pub now: UnixNanos,
}

/// What a flush wrote.
pub struct Flushed {
    /// The files.
    pub files: Vec<NewFile>,
    /// The spans, as they were written.
    pub spans: SpanSnapshot,
    /// What became of each span's parent, in the order of [`SpanSnapshot::newest_first`].
    pub parents: Vec<Parent>,
    /// Calls of spans that were in files already.
    pub late_calls: Vec<Call>,
}

impl Flush<'_> {
    fn window(&self, time: UnixNanos) -> Window {
        let is_recent = self.now.0.saturating_sub(time.0) < RECENT.as_nanos() as u64;
        let seconds = if is_recent { FIRST_WINDOW_SECONDS } else { LAST_WINDOW_SECONDS };
        Window::of(time, seconds)
    }

    fn planned(&self, signal: Signal, window: Window) -> Planned {
        Planned { signal, window, sequences: self.sequences, generation: 0 }
    }

    /// The paths of all files that [`run`](Self::run) will write, for the catalog to know.
    pub fn paths(&self) -> Vec<String> {
        let spans = self.memtable.span_snapshot();
        let spans = spans.iter().map(|span| (Signal::Traces, self.window(span.start())));
        let mut planned: BTreeSet<(Signal, Window)> = spans.collect();
        let logs = self.memtable.log_snapshot();
        planned.extend(logs.times().map(|(time, _)| (Signal::Logs, self.window(time))));
        let metrics = self.memtable.metric_snapshot();
        planned.extend(metrics.times().map(|time| (Signal::Metrics, self.window(time))));
        planned.into_iter().map(|(signal, window)| self.planned(signal, window).path()).collect()
    }

    /// Writes everything.
    pub fn run(&self) -> Result<Flushed, StoreError> {
        let mut files = Vec::new();
        let spans = self.memtable.span_snapshot();
        let mut parents = Vec::with_capacity(self.memtable.spans.rows() as usize);
        let mut late_calls = Vec::new();
        let mut newest = spans.newest_first().peekable();
        while let Some(first) = newest.peek() {
            let window = self.window(first.start());
            let mut batches =
                SpanBatches { flush: self, spans: &mut newest, window, parents: &mut parents };
            let planned = self.planned(Signal::Traces, window);
            files.push(planned.write(self.shelf, |out| write_spans(&mut batches, out))?);
        }
        drop(newest);
        for span in spans.iter() {
            late_calls.extend(self.calls.calls_by(&span));
        }
        self.write_logs(&mut files)?;
        self.write_metrics(&mut files)?;
        Ok(Flushed { files, spans, parents, late_calls })
    }
}

impl Flush<'_> {
    fn write_logs(&self, files: &mut Vec<NewFile>) -> Result<(), StoreError> {
        let logs = self.memtable.log_snapshot();
        for (window, extent) in self.windows(logs.times().map(|(time, _)| time)) {
            let planned = self.planned(Signal::Logs, window);
            let write = |out: &mut Output| write_logs(logs.batches(extent), out);
            files.push(planned.write(self.shelf, write)?);
        }
        Ok(())
    }

    fn write_metrics(&self, files: &mut Vec<NewFile>) -> Result<(), StoreError> {
        let metrics = self.memtable.metric_snapshot();
        for (window, extent) in self.windows(metrics.times()) {
            let planned = self.planned(Signal::Metrics, window);
            let points = metrics.in_file_order(extent).map(Ok);
            let write = |out: &mut Output| write_metrics(points, out);
            files.push(planned.write(self.shelf, write)?);
        }
        Ok(())
    }

    /// The windows of these times, each with the earliest and the latest time in it. A long
    /// window may have short ones within it, so its range would not do.
    fn windows(&self, times: impl Iterator<Item = UnixNanos>) -> BTreeMap<Window, TimeRange> {
        let mut windows = BTreeMap::new();
        for time in times {
            let window = windows.entry(self.window(time));
            let extent = window.or_insert(TimeRange { start: time, end: time });
            extent.start = extent.start.min(time);
            extent.end = extent.end.max(time);
        }
        windows
    }
}

/// The spans of one window as batches.
struct SpanBatches<'a, 'f, I: Iterator<Item = RecentSpan<'a>>> {
    flush: &'f Flush<'f>,
    spans: &'f mut Peekable<I>,
    window: Window,
    parents: &'f mut Vec<Parent>,
}

impl<'a, I: Iterator<Item = RecentSpan<'a>>> SpanBatches<'a, '_, I> {
    fn push(
        &mut self,
        batch: &mut SpanBatchBuilder,
        span: &RecentSpan<'_>,
    ) -> Result<(), StoreError> {
        let view = SpanView::reread(span.item()).map_err(|error| {
            let message = format!("a span that was accepted cannot be read: {error}");
            StoreError::new(StoreErrorKind::Internal, message)
        })?;
        let parent = self.flush.calls.parent(span, &self.flush.recent);
        let (resource, scope) = (span.resource(), span.scope());
        batch.push(&SpanRef {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            view,
            resource: ResourceRef {
                bytes: &resource.bytes,
                schema_url: &resource.record.schema_url,
                service: &resource.record.service,
            },
            scope: ScopeRef { bytes: &scope.bytes, schema_url: &scope.record.schema_url },
            caller: match &parent {
                Parent::Caller(service) => Some(service),
                Parent::NoCall | Parent::Unknown => None,
            },
        })?;
        self.parents.push(parent);
        Ok(())
    }
}

impl<'a, I: Iterator<Item = RecentSpan<'a>>> Iterator for SpanBatches<'a, '_, I> {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = SpanBatchBuilder::new();
        while !batch.is_full()
            && let Some(span) =
                self.spans.next_if(|span| self.flush.window(span.start()) == self.window)
        {
            if let Err(error) = self.push(&mut batch, &span) {
                return Some(Err(error));
            }
        }
        (!batch.is_empty()).then(|| batch.finish())
    }
}
