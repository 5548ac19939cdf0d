//! Log records: recent ones in memory, and files of them.
//!
//! A file has its records newest first, and filters beside it: of trace ids and services for
//! each row group, of parts of bodies for each page. A search reads the pages that are left,
//! of these the few columns that decide, and of the rows that are left then all columns.

pub mod build;
pub mod file;
pub mod merge;
mod read;
pub mod recent;
pub mod row;
mod schema;
mod tags;
mod text;
pub mod write;

pub use build::LogBatchBuilder;
pub use file::LogFile;
pub use merge::merge_logs;
pub use recent::{LogSnapshot, RecentLogs};
pub use row::LogRow;
pub use write::write_logs;

#[cfg(test)]
mod testing;
