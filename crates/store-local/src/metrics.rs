//! Data points: recent ones in memory, and files of them.
//!
//! A file has its points by series, then time, and a table of its series beside it, so that
//! a question reads the points of the series that match and no others.

pub mod recent;
pub mod series;
#[cfg(test)]
mod testing;
