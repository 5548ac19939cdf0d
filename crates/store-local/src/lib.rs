//! The embedded store: durable, columnar, searchable while it takes data in.
//!
//! What arrives is written to a log and acknowledged when that is on disk; it lives in memory
//! and is visible from then on, and goes to Parquet files by windows of event time. ADR 7
//! has the reasons.

#![forbid(unsafe_code)]

pub mod budget;
pub mod calls;
pub mod catalog;
pub mod compact;
pub mod config;
pub mod dictionary;
pub mod disk;
mod faults;
pub mod files;
pub mod flush;
pub mod generations;
pub mod index;
pub mod ingest;
pub mod lock;
pub mod log;
pub mod logs;
pub mod memtable;
pub mod metrics;
pub mod overview;
pub mod parquet_io;
pub mod query;
pub mod recent;
pub mod rollup;
pub mod shelf;
pub mod signal_file;
pub mod source;
pub mod spans;
pub mod state;
pub mod store;
pub mod stored;
pub mod tiers;
pub mod verify;
pub mod window;
pub mod writing;

pub use config::LocalConfig;
pub use store::LocalStore;
