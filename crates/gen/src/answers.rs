//! The exact answers to a list of questions, found in one pass over the telemetry, made anew.
//! What is kept is bounded by the number of questions and of points in time, not by the
//! number of spans.

mod logs;
mod questions;
mod red;

pub(crate) use logs::LogSearch;
pub(crate) use questions::{Questions, Search};
pub(crate) use red::Red;

use crate::durations::Durations;
use crate::filter::Board;
use crate::log;
use crate::metrics::{self, Ticks};
use crate::trace::{Shape, Trace};
use crate::world::World;
use carafe_telemetry::otlp::span::SpanKind;
use std::collections::{BTreeMap, HashMap};

/// Spans of one name and kind of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Operation {
    pub(crate) spans: u64,
    pub(crate) errors: u64,
    pub(crate) durations: Durations,
}

/// Which operation: service, name, kind.
pub(crate) type OperationKey = (&'static str, String, SpanKind);

/// The newest traces that match, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Newest {
    /// By the start of the newest matching span; one more than are asked for.
    found: BTreeMap<(u64, u64), ()>,
}

impl Newest {
    fn add(&mut self, start: u64, trace: u64, limit: usize) {
        let full = self.found.len() > limit;
        if full && self.found.first_key_value().is_some_and(|(least, ())| *least > (start, trace)) {
            return;
        }
        self.found.insert((start, trace), ());
        if self.found.len() > limit + 1 {
            self.found.pop_first();
        }
    }

    /// The traces' indexes, and whether there are more.
    pub(crate) fn page(&self, limit: usize) -> (Vec<u64>, bool) {
        let traces = self.found.keys().rev().take(limit).map(|(_, trace)| *trace);
        (traces.collect(), self.found.len() > limit)
    }
}

/// What a store must answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answers {
    pub(crate) spans: u64,
    pub(crate) logs: u64,
    pub(crate) points: u64,
    pub(crate) operations: BTreeMap<OperationKey, Operation>,
    /// The start of the last span of each service, in nanoseconds.
    pub(crate) last_seen: BTreeMap<&'static str, u64>,
    /// How often one service called another: in all, and in the range that is asked for.
    pub(crate) edges: BTreeMap<(&'static str, &'static str), (u64, u64)>,
    /// For each search.
    pub(crate) searches: Vec<Newest>,
    /// For each question about requests, errors and durations.
    pub(crate) reds: Vec<Red>,
    /// For each search of log records.
    pub(crate) log_searches: Vec<LogSearch>,
}

impl Answers {
    /// Answers `questions`.
    pub(crate) fn new(world: &World, questions: &Questions) -> Self {
        let mut answers = Self {
            searches: vec![Newest::default(); questions.searches.len()],
            reds: questions.reds.iter().map(|question| Red::new(question.clone())).collect(),
            log_searches: questions.logs.iter().map(|f| LogSearch::new(f.clone())).collect(),
            points: points(world),
            ..Self::default()
        };
        let searches =
            Board::new(world, questions.searches.iter().map(|s| s.filter.clone()).collect());
        let reds = Board::new(world, questions.reds.iter().map(|red| red.filter.clone()).collect());
        let mut operations = HashMap::<(u8, Shape), Operation>::new();
        let (mut trace, mut logs) = (Trace::default(), Vec::new());
        for index in 0..world.traces() {
            trace.generate(world, index);
            if world.recipe.signals.traces {
                answers.add_spans(world, &trace, questions, &mut operations);
                answers.add_searches(world, &trace, &searches, questions);
                answers.add_reds(world, &trace, &reds);
            }
            if world.recipe.signals.logs {
                logs.clear();
                log::of_trace(world, &trace, &mut logs);
                answers.logs += logs.len() as u64;
                for search in &mut answers.log_searches {
                    logs.iter().for_each(|log| search.add(world, log));
                }
            }
        }
        answers.name(world, operations);
        answers
    }

    fn add_spans(
        &mut self,
        world: &World,
        trace: &Trace,
        questions: &Questions,
        operations: &mut HashMap<(u8, Shape), Operation>,
    ) {
        let (from, to) = questions.graph_range;
        self.spans += trace.spans.len() as u64;
        for span in &trace.spans {
            let operation = operations.entry((span.service as u8, span.shape)).or_default();
            operation.spans += 1;
            operation.errors += u64::from(span.failed);
            operation.durations.add(span.duration);
            let service = span.service.get().name;
            let seen = self.last_seen.entry(service).or_default();
            *seen = span.start.max(*seen);
            let Some(parent) = trace.parent(span) else { continue };
            let calls = matches!(parent.shape, Shape::Call(_) | Shape::Publish(_))
                && matches!(span.shape, Shape::Serve(_) | Shape::Consume(_));
            if parent.service != span.service || calls {
                let edge = self.edges.entry((parent.service.get().name, service)).or_default();
                edge.0 += 1;
                edge.1 += u64::from((from * 1_000_000..=to * 1_000_000).contains(&span.start));
            }
        }
        debug_assert!(self.spans > 0, "trace {} of {} is empty", trace.index, world.traces());
    }

    fn add_searches(&mut self, world: &World, trace: &Trace, board: &Board, questions: &Questions) {
        let failed = trace.spans.iter().any(|span| span.failed);
        let mut newest = [0; 64];
        for span in &trace.spans {
            let mut matching = board.matches(world, trace, span);
            while matching != 0 {
                let at = matching.trailing_zeros() as usize;
                matching &= matching - 1;
                newest[at] = span.start.max(newest[at]);
            }
        }
        for (at, (start, search)) in newest.iter().zip(&mut self.searches).enumerate() {
            let filter = &board.filters()[at];
            if *start > 0 && (!filter.errors_only || failed) {
                search.add(*start, trace.index, questions.searches[at].limit);
            }
        }
    }

    fn add_reds(&mut self, world: &World, trace: &Trace, board: &Board) {
        let failed = trace.spans.iter().any(|span| span.failed);
        for span in trace.spans.iter().filter(|span| span.answers()) {
            let matching = board.matches(world, trace, span);
            for (at, red) in self.reds.iter_mut().enumerate() {
                if matching & 1 << at != 0 && (!red.question.filter.errors_only || failed) {
                    red.add(span);
                }
            }
        }
    }

    /// Gives operations their names; some have the same.
    fn name(&mut self, world: &World, operations: HashMap<(u8, Shape), Operation>) {
        for ((service, shape), counted) in operations {
            let service = &crate::shop::SERVICES[usize::from(service)];
            let (name, kind) = (shape.name(world, service), shape.kind());
            let operation =
                self.operations.entry((service.name, name.to_owned(), kind)).or_default();
            operation.spans += counted.spans;
            operation.errors += counted.errors;
            operation.durations.merge(&counted.durations);
        }
    }
}

/// All data points of a world.
fn points(world: &World) -> u64 {
    if !world.recipe.signals.metrics {
        return 0;
    }
    let ticks = Ticks::of(world);
    let of_tick: usize =
        world.instances.iter().map(|i| metrics::points(&metrics::report(world, i, 0, 1))).sum();
    of_tick as u64 * ticks.count
}

#[cfg(test)]
mod tests;
