//! The catalog's tables.

use rusqlite::{Connection, TransactionBehavior};
use std::time::Duration;

/// The format of the catalog, in SQLite's `user_version`.
pub(super) const VERSION: i64 = 1;

/// How long a reader in another process (`carafe store stats`) may keep a change waiting.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE file (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    signal TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_seconds INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    item_count INTEGER NOT NULL,
    data_bytes INTEGER NOT NULL,
    side_bytes INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    trace_count INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    created INTEGER NOT NULL,
    aside_reason TEXT
) STRICT;

CREATE TABLE garbage (
    path TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE late_call (
    start INTEGER NOT NULL,
    caller TEXT NOT NULL,
    called TEXT NOT NULL,
    call_count INTEGER NOT NULL,
    error_count INTEGER NOT NULL,
    PRIMARY KEY (start, caller, called)
) STRICT, WITHOUT ROWID;
";

/// A commit returns when it is on the disk, and a killed process leaves nothing to repair.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")
}

/// Makes the tables where there are none. The version that is there in the end.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != 0 {
        return Ok(found);
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}
