//! Requests, errors and durations in steps.

use crate::durations::Durations;
use crate::filter::Filter;
use crate::trace::Span;
use std::collections::BTreeMap;

/// The step in which counts are checked over the whole range, in microseconds: the finest
/// that a roll-up has.
pub(crate) const RED_CELL_MICROS: u64 = 10_000_000;

/// A question about requests, errors and durations.
#[derive(Clone, Debug)]
pub(crate) struct RedQuestion {
    pub(crate) title: String,
    pub(crate) filter: Filter,
    /// In microseconds.
    pub(crate) step: u64,
    /// Whether percentiles are compared too.
    pub(crate) percentiles: bool,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) durations: Durations,
}

/// The answer: the steps that are not empty, by their number since the epoch.
#[derive(Clone, Debug)]
pub(crate) struct Red {
    pub(crate) question: RedQuestion,
    pub(crate) cells: BTreeMap<u64, Cell>,
}

impl PartialEq for Red {
    fn eq(&self, other: &Self) -> bool {
        self.cells == other.cells
    }
}

impl Red {
    pub(super) fn new(question: RedQuestion) -> Self {
        Self { question, cells: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, span: &Span) {
        let cell = self.cells.entry(span.start / (self.question.step * 1_000)).or_default();
        cell.count += 1;
        cell.errors += u64::from(span.failed);
        if self.question.percentiles {
            cell.durations.add(span.duration);
        }
    }
}
