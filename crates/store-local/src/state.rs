//! What there is at one moment. Changes make a new state; queries go on with the one that
//! they began with.

use crate::catalog::{FileEntry, FileId};
use crate::logs::LogFile;
use crate::memtable::Memtable;
use crate::metrics::MetricFile;
use crate::source::{LogSource, MetricSource, SpanSource};
use crate::spans::SpanFile;
use crate::stored::{Library, Stored};
use carafe_store::TimeRange;
use carafe_telemetry::Signal;
use std::collections::HashSet;
use std::sync::Arc;

/// The files of one signal, in no order.
pub type Files<F> = Vec<Arc<Stored<F>>>;

/// Recent data and files.
#[derive(Clone)]
pub struct State {
    /// Where new data goes.
    pub active: Arc<Memtable>,
    /// Being written to files, oldest first.
    pub flushing: Vec<Arc<Memtable>>,
    /// Files of spans.
    pub spans: Files<SpanFile>,
    /// Files of log records.
    pub logs: Files<LogFile>,
    /// Files of data points.
    pub metrics: Files<MetricFile>,
}

/// Which file of which signal: the same work on each of the three lists.
macro_rules! each_list {
    ($state:expr, |$files:ident| $work:expr) => {{
        let $files = &mut $state.spans;
        $work;
        let $files = &mut $state.logs;
        $work;
        let $files = &mut $state.metrics;
        $work;
    }};
}

impl State {
    /// Nothing but an empty memtable.
    pub fn empty() -> Self {
        Self {
            active: Arc::default(),
            flushing: Vec::new(),
            spans: Vec::new(),
            logs: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// Adds files.
    pub fn add(&mut self, entries: Vec<FileEntry>, library: &Arc<Library>) {
        for entry in entries {
            let library = Arc::clone(library);
            match entry.file.signal {
                Signal::Traces => self.spans.push(Arc::new(Stored::new(entry, library))),
                Signal::Logs => self.logs.push(Arc::new(Stored::new(entry, library))),
                Signal::Metrics => self.metrics.push(Arc::new(Stored::new(entry, library))),
            }
        }
    }

    /// Takes files out, to be removed once nobody reads them.
    pub fn retire(&mut self, ids: &HashSet<FileId>) {
        each_list!(self, |files| files.retain(|file| {
            let goes = ids.contains(&file.entry().id);
            if goes {
                file.retire();
            }
            !goes
        }));
    }

    /// Takes files out that stay where they are.
    pub fn forget(&mut self, ids: &HashSet<FileId>) {
        each_list!(self, |files| files.retain(|file| !ids.contains(&file.entry().id)));
    }

    /// The memtables, oldest first.
    pub fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        self.flushing.iter().chain([&self.active])
    }

    /// About what recent data takes.
    pub fn recent_bytes(&self) -> u64 {
        self.memtables().map(|memtable| memtable.bytes()).sum()
    }

    /// The entries of all files.
    pub fn entries(&self) -> impl Iterator<Item = &FileEntry> {
        let spans = self.spans.iter().map(|file| file.entry());
        let logs = self.logs.iter().map(|file| file.entry());
        let metrics = self.metrics.iter().map(|file| file.entry());
        spans.chain(logs).chain(metrics)
    }

    /// Recent spans.
    pub fn recent_span_sources(&self) -> Vec<Arc<dyn SpanSource>> {
        let memtables = self.memtables().filter(|memtable| memtable.spans.rows() > 0);
        let sources =
            memtables.map(|memtable| -> Arc<dyn SpanSource> { Arc::new(memtable.span_snapshot()) });
        sources.collect()
    }

    /// The files that may have spans that start in `range`.
    pub fn span_files(&self, range: TimeRange) -> impl Iterator<Item = &Arc<Stored<SpanFile>>> {
        self.spans.iter().filter(move |file| overlap(file.entry().file.extent, range))
    }

    /// Everything that may have spans that start in `range`.
    pub fn span_sources(&self, range: TimeRange) -> Vec<Arc<dyn SpanSource>> {
        let mut sources = self.recent_span_sources();
        sources.retain(|source| overlap(source.extent(), range));
        sources.extend(self.span_files(range).map(|file| Arc::clone(file) as Arc<dyn SpanSource>));
        sources
    }

    /// Everything that may have log records in `range`.
    pub fn log_sources(&self, range: TimeRange) -> Vec<Arc<dyn LogSource>> {
        let recent = self
            .memtables()
            .map(|memtable| -> Arc<dyn LogSource> { Arc::new(memtable.log_snapshot()) });
        let files = self.logs.iter().map(|file| Arc::clone(file) as Arc<dyn LogSource>);
        recent.chain(files).filter(|source| overlap(source.extent(), range)).collect()
    }

    /// Everything that may have data points in `range`.
    pub fn metric_sources(&self, range: TimeRange) -> Vec<Arc<dyn MetricSource>> {
        let recent = self
            .memtables()
            .map(|memtable| -> Arc<dyn MetricSource> { Arc::new(memtable.metric_snapshot()) });
        let files = self.metrics.iter().map(|file| Arc::clone(file) as Arc<dyn MetricSource>);
        recent.chain(files).filter(|source| overlap(source.extent(), range)).collect()
    }
}

fn overlap(a: TimeRange, b: TimeRange) -> bool {
    a.start <= b.end && b.start <= a.end
}
