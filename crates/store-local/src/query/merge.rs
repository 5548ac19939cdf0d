//! Many sources as one, newest first.

use crate::budget::Budget;
use crate::source::{Scan, SpanHit, SpanSource, Want};
use carafe_store::{
    LogRecord, PointRecord, SpanFilter, SpanIdentity, SpanRecord, StoreError, StoreErrorKind,
    TimeRange,
};
use carafe_telemetry::UnixNanos;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::sync::Arc;

/// What has a place in time.
pub(super) trait Timed {
    fn time(&self) -> UnixNanos;
}

impl Timed for SpanHit {
    fn time(&self) -> UnixNanos {
        self.start
    }
}

impl Timed for LogRecord {
    fn time(&self) -> UnixNanos {
        self.time
    }
}

impl Timed for PointRecord {
    fn time(&self) -> UnixNanos {
        self.point.time
    }
}

/// A source that is opened when its time comes.
pub(super) struct Unopened<'a, T> {
    /// The earliest and the latest time of its items.
    pub(super) extent: TimeRange,
    /// Begins to read it.
    pub(super) open: Box<dyn FnOnce() -> Scan<'a, T> + 'a>,
}

/// The items of all sources that have some in `range`, newest first.
pub(super) struct Merge<'a, T> {
    /// By their ends, the latest last.
    unopened: Vec<Unopened<'a, T>>,
    heads: BinaryHeap<Head<'a, T>>,
    range: TimeRange,
}

/// The next item of a source, and the rest.
struct Head<'a, T> {
    item: T,
    rest: Scan<'a, T>,
}

impl<T: Timed> Ord for Head<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.item.time().cmp(&other.item.time())
    }
}

impl<T: Timed> PartialOrd for Head<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Timed> PartialEq for Head<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Timed> Eq for Head<'_, T> {}

impl<'a, T: Timed> Merge<'a, T> {
    pub(super) fn new(sources: impl Iterator<Item = Unopened<'a, T>>, range: TimeRange) -> Self {
        let overlaps = |source: &Unopened<'a, T>| {
            source.extent.start <= range.end && range.start <= source.extent.end
        };
        let mut unopened: Vec<_> = sources.filter(overlaps).collect();
        unopened.sort_by_key(|source| source.extent.end);
        Self { unopened, heads: BinaryHeap::new(), range }
    }

    /// Opens every source that may have the next item.
    fn open_due(&mut self) -> Result<(), StoreError> {
        let range = self.range;
        let is_due = |source: &mut Unopened<'a, T>, heads: &BinaryHeap<Head<'a, T>>| {
            let latest = source.extent.end.min(range.end);
            heads.peek().is_none_or(|head| head.item.time() <= latest)
        };
        while let Some(source) = self.unopened.pop_if(|source| is_due(source, &self.heads)) {
            let mut rest = (source.open)();
            if let Some(item) = rest.next().transpose()? {
                self.heads.push(Head { item, rest });
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<T>, StoreError> {
        self.open_due()?;
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        Ok(Some(match head.rest.next().transpose()? {
            Some(next) => std::mem::replace(&mut head.item, next),
            None => PeekMut::pop(head).item,
        }))
    }
}

/// After an error there is nothing more.
impl<T: Timed> Iterator for Merge<'_, T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.take().transpose();
        if matches!(item, Some(Err(_))) {
            self.unopened.clear();
            self.heads.clear();
        }
        item
    }
}

/// The spans of all sources that fulfil `filter`, newest first, each once.
pub(super) struct Hits<'a> {
    merge: Merge<'a, SpanHit>,
    /// The first span of the current moment, and the others.
    first: Option<SpanIdentity>,
    others: HashSet<SpanIdentity>,
}

impl<'a> Hits<'a> {
    pub(super) fn new(
        sources: &'a [Arc<dyn SpanSource>],
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Self {
        let unopened = sources.iter().map(|source| Unopened {
            extent: source.extent(),
            open: Box::new(move || source.scan(filter, want, budget)),
        });
        let merge = Merge::new(unopened, filter.range);
        Self { merge, first: None, others: HashSet::new() }
    }

    fn is_new(&mut self, hit: &SpanHit) -> bool {
        let identity = identity(hit);
        match self.first {
            Some(first) if first.start == hit.start => {
                first != identity && self.others.insert(identity)
            }
            _ => {
                self.first = Some(identity);
                self.others.clear();
                true
            }
        }
    }
}

impl Iterator for Hits<'_> {
    type Item = Result<SpanHit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let hit = self.merge.next()?;
            match &hit {
                Ok(hit) if !self.is_new(hit) => {}
                _ => return Some(hit),
            }
        }
    }
}

fn identity(hit: &SpanHit) -> SpanIdentity {
    SpanIdentity {
        trace_id: hit.trace_id,
        span_id: hit.span_id,
        kind: hit.kind,
        start: hit.start,
        end: hit.end,
    }
}

/// All of a span that was asked for with [`Want::Records`].
pub(super) fn record(hit: SpanHit) -> Result<SpanRecord, StoreError> {
    hit.record.ok_or_else(|| {
        StoreError::new(StoreErrorKind::Internal, "a source gave less of a span than was asked for")
    })
}
