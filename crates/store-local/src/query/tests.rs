//! The operations over sources that are plain vectors, against the memory store, which shares
//! only the pages' order with them.

mod logs;
mod metrics;
mod spans;

use crate::budget::Budget;
use crate::source::{LogSource, MetricSource, Scan, SpanHit, SpanSource, Want};
use carafe_store::{
    LogQuery, LogRecord, MemoryStore, MetricQuery, PointRecord, SeriesPoints, SpanFilter,
    SpanRecord, Store, StoreError, TimeRange, series_key,
};
use carafe_telemetry::{Batch, TraceId, UnixNanos};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items, newest first.
#[derive(Debug)]
struct VecSource<T> {
    items: Vec<T>,
    /// Items that a scan gave or passed over.
    looked_at: AtomicUsize,
}

impl<T> VecSource<T> {
    fn new(mut items: Vec<T>, time: impl Fn(&T) -> UnixNanos) -> Self {
        items.sort_by_key(|item| Reverse(time(item)));
        Self { items, looked_at: AtomicUsize::new(0) }
    }

    fn looked_at(&self) -> usize {
        self.looked_at.load(Ordering::Relaxed)
    }

    fn extent(&self, time: impl Fn(&T) -> UnixNanos) -> TimeRange {
        let at = |item: Option<&T>| item.map(&time).unwrap_or_default();
        TimeRange { start: at(self.items.last()), end: at(self.items.first()) }
    }

    fn scan<'a, U>(
        &'a self,
        budget: &'a Budget,
        mut pick: impl FnMut(&T) -> Option<U> + Send + 'a,
    ) -> Scan<'a, U>
    where
        T: Sync,
    {
        Box::new(self.items.iter().filter_map(move |item| {
            self.looked_at.fetch_add(1, Ordering::Relaxed);
            let booked = budget.rows(1);
            booked.map(|()| pick(item)).transpose()
        }))
    }
}

impl SpanSource for VecSource<SpanRecord> {
    fn extent(&self) -> TimeRange {
        self.extent(|span| span.start)
    }

    fn scan<'a>(
        &'a self,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Scan<'a, SpanHit> {
        self.scan(budget, move |span| {
            filter.matches_span(span).then(|| SpanHit {
                trace_id: span.trace_id,
                span_id: span.span_id,
                start: span.start,
                end: span.end,
                kind: span.span.kind,
                parent_span_id: span.parent_span_id,
                is_error: span.is_error(),
                service: span.service().clone(),
                name: span.span.name.as_str().into(),
                record: (want == Want::Records).then(|| span.clone()),
            })
        })
    }

    fn traces(
        &self,
        ids: &[TraceId],
        _: &Budget,
        out: &mut Vec<SpanRecord>,
    ) -> Result<(), StoreError> {
        assert!(ids.is_sorted());
        let asked = |span: &&SpanRecord| ids.binary_search(&span.trace_id).is_ok();
        out.extend(self.items.iter().filter(asked).cloned());
        Ok(())
    }
}

impl LogSource for VecSource<LogRecord> {
    fn extent(&self) -> TimeRange {
        self.extent(|log| log.time)
    }

    fn scan<'a>(&'a self, query: &'a LogQuery, budget: &'a Budget) -> Scan<'a, LogRecord> {
        self.scan(budget, |log| query.matches(log).then(|| log.clone()))
    }
}

impl MetricSource for VecSource<PointRecord> {
    fn extent(&self) -> TimeRange {
        self.extent(|record| record.point.time)
    }

    fn select(&self, query: &MetricQuery, _: &Budget) -> Result<Vec<SeriesPoints>, StoreError> {
        let mut series = BTreeMap::<Vec<u8>, SeriesPoints>::new();
        let inside = |record: &&PointRecord| {
            query.range.contains(record.point.time) && query.matches(&record.series)
        };
        for record in self.items.iter().rev().filter(inside) {
            let found = series.entry(series_key(&record.series));
            let empty = || SeriesPoints { series: record.series.clone(), points: Vec::new() };
            found.or_insert_with(empty).points.push(record.point.clone());
        }
        Ok(series.into_values().collect())
    }

    fn scan<'a>(&'a self, range: TimeRange, budget: &'a Budget) -> Scan<'a, PointRecord> {
        self.scan(budget, move |record| range.contains(record.point.time).then(|| record.clone()))
    }
}

/// Runs a future of the memory store.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

fn memory(batches: impl IntoIterator<Item = Batch>) -> MemoryStore {
    let store = MemoryStore::default();
    for batch in batches {
        assert_eq!(block_on(store.append(batch)).unwrap().rejected_items, 0);
    }
    store
}
