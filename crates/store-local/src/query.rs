//! The operations of the store's interface over a list of sources.
//!
//! Plain functions: they run on a thread that may wait for files, and stop where their
//! [`Budget`](crate::budget::Budget) says so. A span that is in several sources counts once.

mod attributes;
mod errors;
mod logs;
mod merge;
mod metrics;
mod red;
mod scan;
mod spans;
mod traces;

pub use attributes::{ATTRIBUTE_SCAN_SPANS, attribute_keys, attribute_values};
pub use logs::find_logs;
pub use metrics::select_metrics;
pub use red::{ROLLUP_CELL, RedPlan, plan_red, red_scan};
pub use scan::{scan_logs, scan_points, scan_spans};
pub use spans::find_spans;
pub use traces::{find_traces, traces};
#[cfg(test)]
mod tests;
