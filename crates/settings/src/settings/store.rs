//! Where a hosted backend keeps what it receives.

use crate::quantity;
use crate::reader::Reader;
use std::path::PathBuf;
use std::time::Duration;

/// When a request is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreDurability {
    /// When it is on the disk: it survives a loss of power.
    #[default]
    Fsync,
    /// When the operating system has it: it survives the end of the process.
    Os,
    /// When it is in memory, until it is written to files.
    Memory,
}

const DURABILITIES: &[(&str, StoreDurability)] = &[
    ("fsync", StoreDurability::Fsync),
    ("os", StoreDurability::Os),
    ("memory", StoreDurability::Memory),
];

/// How telemetry is kept. What is not said has the store's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// Keep everything in memory, and nothing when the process ends.
    pub in_memory: bool,
    /// When a request is acknowledged.
    pub durability: Option<StoreDurability>,
    /// The age of what is removed; `Some(None)` to keep data of any age.
    pub retention_age: Option<Option<Duration>>,
    /// What the files may take; `Some(None)` for no limit.
    pub retention_size: Option<Option<u64>>,
    /// What data may take in memory.
    pub memory_limit: Option<u64>,
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let age = |text: &str| quantity::limit(text, quantity::age);
        let size = |text: &str| quantity::limit(text, quantity::bytes);
        Self {
            data_dir: reader.text("CARAFE_DATA_DIR").map(PathBuf::from),
            in_memory: reader.boolean(&["CARAFE_IN_MEMORY"]),
            durability: reader.strict_choice(&["CARAFE_DURABILITY"], DURABILITIES),
            retention_age: quantity(reader, "CARAFE_RETENTION_AGE", age, "an age such as 7d"),
            retention_size: quantity(reader, "CARAFE_RETENTION_SIZE", size, "a size such as 10GB"),
            memory_limit: quantity(
                reader,
                "CARAFE_MEMORY_LIMIT",
                quantity::bytes,
                "a size such as 512MiB",
            ),
        }
    }
}

fn quantity<T>(
    reader: &mut Reader<'_>,
    variable: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
    expected: &str,
) -> Option<T> {
    let text = reader.text(variable)?;
    match read(&text) {
        Ok(value) => Some(value),
        Err(_) => {
            reader.refuse(variable, text, expected);
            None
        }
    }
}
