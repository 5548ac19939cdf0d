//! Spans to files and back.

mod merge;
mod round_trip;
mod search;
mod side;
mod support;
