//! How an embedded store behaves.

use crate::budget::QueryLimits;
use crate::log::LogOptions;
use std::path::PathBuf;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// The age of what retention removes, unless something else is asked for.
pub const DEFAULT_RETENTION_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// What the files may take, unless something else is asked for.
pub const DEFAULT_RETENTION_BYTES: u64 = 10_000_000_000;
/// What data in memory may take, unless something else is asked for.
pub const DEFAULT_MEMORY_BYTES: u64 = 512 * MIB;
/// How far in the future a timestamp may be.
pub const MAX_FUTURE: Duration = Duration::from_secs(2 * 24 * 3_600);

/// The limits of [`LocalConfig::flush_bytes`].
const FLUSH_BYTES: std::ops::RangeInclusive<u64> = MIB..=128 * MIB;

/// How an embedded store behaves.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The data directory; made when it is not there.
    pub directory: PathBuf,
    /// Who opens it, as other processes are told: `carafe up`.
    pub program: String,
    /// How requests are logged, and when they are acknowledged.
    pub log: LogOptions,
    /// What recent data may take; beyond it, requests are refused until some was written.
    pub memory_bytes: u64,
    /// Recent data of this size is written to files.
    pub flush_bytes: u64,
    /// Recent data of this age is written to files.
    pub flush_age: Duration,
    /// Data older than this is removed, and refused; none to keep everything.
    pub retention_age: Option<Duration>,
    /// Where the files take more, the oldest windows are removed; none for no limit.
    pub retention_bytes: Option<u64>,
    /// What one query may cost.
    pub query: QueryLimits,
    /// Whether files are merged and removed in the background.
    pub maintenance: bool,
    /// How often that is looked at.
    pub maintenance_interval: Duration,
}

impl LocalConfig {
    /// The defaults for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            program: "carafe".to_owned(),
            log: LogOptions::default(),
            memory_bytes: 0,
            flush_bytes: 0,
            flush_age: Duration::from_secs(10),
            retention_age: Some(DEFAULT_RETENTION_AGE),
            retention_bytes: Some(DEFAULT_RETENTION_BYTES),
            query: QueryLimits::default(),
            maintenance: true,
            maintenance_interval: Duration::from_secs(5),
        }
        .with_memory(DEFAULT_MEMORY_BYTES)
    }

    /// Divides what all data in memory may take: half of it for recent data, which is written
    /// to files at an eighth; the rest is for queries, compaction and what is remembered of
    /// files.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes / 2;
        self.flush_bytes = (bytes / 8).clamp(*FLUSH_BYTES.start(), *FLUSH_BYTES.end());
        self
    }

    /// How many spans of files are remembered by their ids: an eighth of the memory, at about
    /// 64 bytes each.
    pub fn remembered_spans(&self) -> usize {
        const REMEMBERED_BYTES: u64 = 80;
        usize::try_from(self.memory_bytes / 4 / REMEMBERED_BYTES).unwrap_or(usize::MAX)
    }
}
