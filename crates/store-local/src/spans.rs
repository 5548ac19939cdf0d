//! Spans in Parquet files: what is in a file, how it is written, searched and merged.
//!
//! A file holds the spans of one window of event time, newest first, in row groups. The
//! reference "Store files" has the columns; the side file beside it says which row groups
//! cannot have a trace or a tag.

pub mod build;
mod calls;
mod columns;
pub mod file;
mod mask;
pub mod merge;
mod plan;
pub mod read;
mod rows;
mod scan;
pub mod schema;
mod side;
mod sums;
mod tag;
mod tags;
mod traces;
pub mod write;

#[cfg(test)]
mod tests;

pub use build::{ResourceRef, ScopeRef, SpanBatchBuilder, SpanRef};
pub use file::SpanFile;
pub use merge::{SpanMerge, merge_spans};
pub use read::RowReader;
pub use write::{SpanWriter, Written, write_spans};
