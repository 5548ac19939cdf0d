//! Which service calls which, told from spans as they come.
//!
//! A call is a pair of spans, parent and child, which may come in any order and at any
//! distance. Spans that are still in memory are looked up there. Of those that went to files,
//! the newest are remembered, and so are the newest whose parent has not come.

use crate::generations::Generations;
use crate::ingest::IncomingSpan;
use crate::recent::{RecentSpan, RecentSpans};
use crate::source::SpanHit;
use carafe_store::GraphEdge;
use carafe_telemetry::otlp::span::SpanKind;
use carafe_telemetry::{SpanId, TraceId, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is remembered of a span.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who recorded it.
    pub service: Arc<str>,
    /// OTLP's number of the kind.
    pub kind: i32,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
}

/// A span in a file whose parent has not come.
#[derive(Clone, Debug)]
struct Waiting {
    called: Known,
    is_error: bool,
}

/// One service called another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When the called span started.
    pub start: UnixNanos,
    /// The caller.
    pub caller: Arc<str>,
    /// The called.
    pub called: Arc<str>,
    /// Whether the called span's status is an error.
    pub is_error: bool,
}

/// The parent of a span.
pub enum Parent {
    /// There is none, or it is no call.
    NoCall,
    /// It is a call by this service.
    Caller(Arc<str>),
    /// It has not come yet, or was forgotten.
    Unknown,
}

/// What is remembered of spans that went to files.
pub struct Calls {
    spans: Generations<(TraceId, SpanId), Known>,
    waiting: Generations<(TraceId, SpanId), Vec<Waiting>>,
}

/// Children that wait for one parent; more are not counted as calls.
const MAX_WAITING_FOR_ONE: usize = 10_000;

/// How a parent and a child must be for a call; as `carafe_store::GraphEdge` says.
fn is_call(parent: &Known, child: &Known) -> bool {
    let kind = |known: &Known| SpanKind::try_from(known.kind).unwrap_or_default();
    parent.service != child.service
        || (matches!(kind(parent), SpanKind::Client | SpanKind::Producer)
            && matches!(kind(child), SpanKind::Server | SpanKind::Consumer))
}

impl Calls {
    /// Remembers at most `capacity` spans, and a quarter as many that wait.
    pub fn new(capacity: usize) -> Self {
        Self { spans: Generations::new(capacity), waiting: Generations::new(capacity / 4) }
    }

    /// Whether the span is known to be in a file.
    pub fn has(&self, span: &IncomingSpan) -> bool {
        let known = self.spans.get(&(span.trace_id, span.span_id));
        known.is_some_and(|known| {
            (known.kind, known.start, known.end) == (span.kind, span.start, span.end)
        })
    }

    /// The parent of `span`, which is in `recent` or was remembered.
    pub fn parent(&self, span: &RecentSpan<'_>, recent: &[Arc<RecentSpans>]) -> Parent {
        let Some(parent) = span.parent_span_id() else { return Parent::NoCall };
        let key = (span.trace_id(), parent);
        let found = recent.iter().find_map(|spans| spans.known(key.0, key.1));
        match found.as_ref().or_else(|| self.spans.get(&key)) {
            None => Parent::Unknown,
            Some(parent) if is_call(parent, &span.known()) => {
                Parent::Caller(Arc::clone(&parent.service))
            }
            Some(_) => Parent::NoCall,
        }
    }

    /// The calls by `span` of spans that went to files before it came.
    pub fn calls_by(&self, span: &RecentSpan<'_>) -> Vec<Call> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let Some(waiting) = self.waiting.get(&(span.trace_id(), span.span_id())) else {
            return Vec::new();
        };
        let caller = span.known();
        let calls = waiting.iter().filter(|waiting| is_call(&caller, &waiting.called));
        calls
            .map(|waiting| Call {
                start: waiting.called.start,
                caller: Arc::clone(&caller.service),
                called: Arc::clone(&waiting.called.service),
                is_error: waiting.is_error,
            })
            .collect()
    }

    /// Remembers spans that are in files, newest first, as when they were flushed.
    pub fn remember(&mut self, hits: &[SpanHit]) {
        let known = |hit: &SpanHit| {
            let SpanHit { kind, start, end, .. } = *hit;
            Known { service: Arc::clone(&hit.service), kind, start, end }
        };
        for hit in hits.iter().rev() {
            self.spans.insert((hit.trace_id, hit.span_id), known(hit));
        }
        for hit in hits.iter().rev() {
            let Some(parent) = hit.parent_span_id else { continue };
            // A parent that is in a file was found when it, or its child, was flushed.
            if self.spans.get(&(hit.trace_id, parent)).is_none() {
                let waiting = Waiting { called: known(hit), is_error: hit.is_error };
                self.wait((hit.trace_id, parent), waiting);
            }
        }
    }

    fn wait(&mut self, parent: (TraceId, SpanId), waiting: Waiting) {
        let all = self.waiting.entry(parent);
        if all.len() < MAX_WAITING_FOR_ONE {
            all.push(waiting);
        }
    }

    /// Remembers a span that has gone to a file, and forgets those that waited for it.
    pub fn flushed(&mut self, span: &RecentSpan<'_>, parent: &Parent) {
        let key = (span.trace_id(), span.span_id());
        self.waiting.remove(&key);
        self.spans.insert(key, span.known());
        if let (Parent::Unknown, Some(parent)) = (parent, span.parent_span_id()) {
            let waiting = Waiting { called: span.known(), is_error: span.is_error() };
            self.wait((span.trace_id(), parent), waiting);
        }
    }
}

/// Sums of calls by caller and called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallSums(BTreeMap<(Arc<str>, Arc<str>), (u64, u64)>);

impl CallSums {
    /// Adds calls of one service by another.
    pub fn add(&mut self, caller: &Arc<str>, called: &Arc<str>, calls: u64, errors: u64) {
        let sums = self.0.entry((Arc::clone(caller), Arc::clone(called))).or_default();
        *sums = (sums.0 + calls, sums.1 + errors);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for ((caller, called), (calls, errors)) in &other.0 {
            self.add(caller, called, *calls, *errors);
        }
    }

    /// Adds one call.
    pub fn add_call(&mut self, call: &Call) {
        self.add(&call.caller, &call.called, 1, u64::from(call.is_error));
    }

    /// The edges, ordered by names.
    pub fn finish(self) -> Vec<GraphEdge> {
        let edges = self.0.into_iter();
        edges
            .map(|((parent, child), (calls, errors))| GraphEdge { parent, child, calls, errors })
            .collect()
    }
}
