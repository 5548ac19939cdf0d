//! Recent spans: the requests as they came, with light rows to search them by.
//!
//! One thread inserts. A query takes a snapshot, which shares all segments but the newest
//! with the writer, and works on that without a lock.

use super::scan::Newest;
use super::segment::{At, Numbers, Row, SEGMENT_ROWS, Segment};
use crate::calls::Known;
use crate::ingest::{IncomingResource, IncomingScope, IncomingSpan, IncomingSpans};
use carafe_store::TimeRange;
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use hashbrown::{HashMap, HashTable};
use parking_lot::RwLock;
use std::hash::BuildHasher;
use std::sync::Arc;

/// What a row takes besides its request: itself and its places in the indexes.
const ROW_BYTES: u64 = size_of::<Row>() as u64 + 2 * 40;

/// Spans of one memtable.
#[derive(Default)]
pub struct RecentSpans {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    sealed: Vec<Arc<Segment>>,
    open: Segment,
    numbers: Numbers,
    hasher: hashbrown::DefaultHashBuilder,
    /// Every row, by its trace and span id.
    identities: HashTable<(u64, At)>,
    /// The last row of each trace.
    traces: HashMap<TraceId, At>,
    extent: Option<TimeRange>,
    rows: u64,
    bytes: u64,
}

impl Inner {
    fn segment(&self, number: u32) -> &Segment {
        self.sealed.get(number as usize).map_or(&self.open, |sealed| sealed)
    }

    fn row(&self, at: At) -> (&Segment, &Row) {
        let segment = self.segment(at.segment);
        (segment, &segment.rows[at.row as usize])
    }

    /// The row of which `is` is true, among those with this trace and span id.
    fn find(&self, ids: (TraceId, SpanId), is: impl Fn(&Row) -> bool) -> Option<At> {
        let hash = self.hasher.hash_one(ids);
        let same = |&(other, at): &(u64, At)| {
            other == hash && {
                let row = self.row(at).1;
                (row.trace_id, row.span_id) == ids && is(row)
            }
        };
        self.identities.find(hash, same).map(|(_, at)| *at)
    }

    fn has(&self, span: &IncomingSpan) -> bool {
        let is = |row: &Row| (row.kind, row.start, row.end) == (span.kind, span.start, span.end);
        self.find((span.trace_id, span.span_id), is).is_some()
    }

    fn seal_when_full(&mut self) {
        if self.open.rows.len() >= SEGMENT_ROWS {
            self.sealed.push(Arc::new(std::mem::take(&mut self.open)));
            self.numbers = Numbers::default();
        }
    }
}

impl RecentSpans {
    /// Adds the spans of a request but those that are there already, and those that are
    /// `known` to be elsewhere. The places in the request of those that were added.
    pub fn insert(
        &self,
        incoming: &IncomingSpans,
        known: impl Fn(&IncomingSpan) -> bool,
    ) -> Vec<u32> {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        let numbered = inner.open.add_request(incoming, &mut inner.numbers);
        let mut added = Vec::with_capacity(incoming.spans.len());
        for (number, span) in incoming.spans.iter().enumerate() {
            if inner.has(span) || known(span) {
                continue;
            }
            let hash = inner.hasher.hash_one((span.trace_id, span.span_id));
            let row = inner.open.rows.len() as u32;
            let at = At { segment: inner.sealed.len() as u32, row };
            let previous = inner.traces.insert(span.trace_id, at);
            inner.identities.insert_unique(hash, (hash, at), |(hash, _)| *hash);
            let (open, numbers) = (&mut inner.open, &mut inner.numbers);
            open.add_row(incoming, number, &numbered, numbers, previous);
            let extent =
                inner.extent.get_or_insert(TimeRange { start: span.start, end: span.start });
            extent.start = extent.start.min(span.start);
            extent.end = extent.end.max(span.start);
            added.push(number as u32);
        }
        inner.rows += added.len() as u64;
        inner.bytes += incoming.bytes.len() as u64 + added.len() as u64 * ROW_BYTES;
        inner.seal_when_full();
        added
    }

    /// Whether the span is here.
    pub fn has(&self, span: &IncomingSpan) -> bool {
        self.inner.read().has(span)
    }

    /// What is known of the span with these ids, where it is here.
    pub fn known(&self, trace_id: TraceId, span_id: SpanId) -> Option<Known> {
        let inner = self.inner.read();
        let at = inner.find((trace_id, span_id), |_| true)?;
        let (segment, row) = inner.row(at);
        Some(RecentSpan { segment, row }.known())
    }

    /// Spans.
    pub fn rows(&self) -> u64 {
        self.inner.read().rows
    }

    /// Different traces.
    pub fn traces(&self) -> u64 {
        self.inner.read().traces.len() as u64
    }

    /// What all of it takes, about.
    pub fn bytes(&self) -> u64 {
        self.inner.read().bytes
    }

    /// What is here now, to be read without a lock.
    pub fn snapshot(self: &Arc<Self>) -> SpanSnapshot {
        let inner = self.inner.read();
        let mut segments = inner.sealed.clone();
        if !inner.open.rows.is_empty() {
            segments.push(Arc::new(inner.open.clone()));
        }
        let none = TimeRange { start: UnixNanos(u64::MAX), end: UnixNanos(0) };
        SpanSnapshot { segments, extent: inner.extent.unwrap_or(none), live: Arc::clone(self) }
    }
}

/// Recent spans at one moment.
pub struct SpanSnapshot {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) extent: TimeRange,
    live: Arc<RecentSpans>,
}

/// A recent span, borrowed.
pub struct RecentSpan<'a> {
    segment: &'a Segment,
    row: &'a Row,
}

impl<'a> RecentSpan<'a> {
    /// The trace.
    pub fn trace_id(&self) -> TraceId {
        self.row.trace_id
    }

    /// The span.
    pub fn span_id(&self) -> SpanId {
        self.row.span_id
    }

    /// The span that caused it.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.row.parent_span_id
    }

    /// When it began.
    pub fn start(&self) -> UnixNanos {
        self.row.start
    }

    /// When it ended.
    pub fn end(&self) -> UnixNanos {
        self.row.end
    }

    /// OTLP's number of the kind.
    pub fn kind(&self) -> i32 {
        self.row.kind
    }

    /// Whether the status is an error.
    pub fn is_error(&self) -> bool {
        self.row.is_error()
    }

    /// What is remembered of it.
    pub fn known(&self) -> Known {
        let service = Arc::clone(&self.resource().record.service);
        let Row { kind, start, end, .. } = *self.row;
        Known { service, kind, start, end }
    }

    /// Its name.
    pub fn name(&self) -> &'a Arc<str> {
        &self.segment.names[self.row.name as usize]
    }

    /// Who recorded it.
    pub fn resource(&self) -> &'a IncomingResource {
        &self.segment.resources[self.row.resource as usize]
    }

    /// Which library recorded it.
    pub fn scope(&self) -> &'a IncomingScope {
        &self.segment.scopes[self.row.scope as usize]
    }

    /// Its OTLP message.
    pub fn item(&self) -> &'a [u8] {
        self.segment.item(self.row)
    }
}

impl SpanSnapshot {
    /// The last row of each of these traces that the snapshot has.
    pub(super) fn last_rows(&self, ids: &[TraceId]) -> Vec<At> {
        let inner = self.live.inner.read();
        let here = |at: &At| {
            let segment = self.segments.get(at.segment as usize);
            segment.is_some_and(|segment| (at.row as usize) < segment.rows.len())
        };
        let last = ids.iter().filter_map(|id| {
            // What came after the snapshot is in front of what it has.
            let newest = inner.traces.get(id).copied();
            std::iter::successors(newest, |at| inner.row(*at).1.previous).find(here)
        });
        last.collect()
    }

    /// All spans, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = RecentSpan<'_>> {
        self.segments
            .iter()
            .flat_map(|segment| segment.rows.iter().map(move |row| RecentSpan { segment, row }))
    }

    /// All spans, newest start first, then by span id.
    pub fn newest_first(&self) -> impl Iterator<Item = RecentSpan<'_>> {
        let order = TimeRange::ALL;
        Newest::new(&self.segments, order).map(|(segment, row)| RecentSpan { segment, row })
    }
}
