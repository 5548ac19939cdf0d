//! Spans to files and back.

mod round_trip;
mod search;
mod support;
