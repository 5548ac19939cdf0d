//! Data points: recent ones in memory, and files of them.
//!
//! A file has its points by series, then time, and a table of its series beside it, so that
//! a question reads the points of the series that match and no others.

mod build;
pub mod file;
pub mod merge;
mod point;
mod read;
pub mod recent;
mod schema;
pub mod series;
mod table;
pub mod write;

pub use file::MetricFile;
pub use merge::MetricMerge;
pub use recent::{MetricSnapshot, RecentMetrics};
pub use write::write_metrics;
#[cfg(test)]
mod testing;
