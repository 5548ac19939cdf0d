//! What has been logged and not yet written to files.

pub mod needle;
mod scan;
mod segment;
pub mod spans;

pub use spans::{RecentSpan, RecentSpans, SpanSnapshot};
#[cfg(test)]
mod tests;
