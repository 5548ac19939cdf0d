//! Reading and writing the catalog's rows.
//!
//! SQLite's integers are signed: times and sequences beyond 2^63 are kept as the integer of
//! the same bits.

use super::{AsideFile, Counters, FileEntry, FileId, NewFile};
use crate::window::Window;
use carafe_store::TimeRange;
use carafe_telemetry::{Signal, UnixNanos};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, params};

const COLUMNS: &str = "id, signal, window_start, window_seconds, path, item_count, data_bytes, \
                       side_bytes, first_time, last_time, first_sequence, last_sequence, \
                       trace_count, generation, created, aside_reason";

pub(super) fn insert_files(
    transaction: &Transaction<'_>,
    files: &[NewFile],
) -> rusqlite::Result<Vec<FileEntry>> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO file (signal, window_start, window_seconds, path, item_count, data_bytes,
             side_bytes, first_time, last_time, first_sequence, last_sequence, trace_count,
             generation, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let mut entries = Vec::with_capacity(files.len());
    for file in files {
        let id = insert.insert(params![
            file.signal.as_str(),
            signed(file.window.start_seconds),
            signed(file.window.seconds),
            file.path,
            signed(file.rows),
            signed(file.data_bytes),
            signed(file.side_bytes),
            signed(file.extent.start.0),
            signed(file.extent.end.0),
            signed(file.first_sequence),
            signed(file.last_sequence),
            signed(file.traces),
            file.generation,
            signed(file.created_seconds),
        ])?;
        entries.push(FileEntry { id: FileId(id), file: file.clone() });
        remove_garbage(transaction, &file.path)?;
    }
    Ok(entries)
}

pub(super) fn remove_files(
    transaction: &Transaction<'_>,
    files: &[FileId],
) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM file WHERE id = ?1 RETURNING path")?;
    for id in files {
        let path: String = delete.query_row([id.0], |row| row.get(0))?;
        add_garbage(transaction, &path)?;
    }
    Ok(())
}

pub(super) fn add_garbage(transaction: &Transaction<'_>, path: &str) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO garbage VALUES (?1)")?;
    insert.execute([path]).map(drop)
}

pub(super) fn remove_garbage(transaction: &Transaction<'_>, path: &str) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM garbage WHERE path = ?1")?;
    delete.execute([path]).map(drop)
}

pub(super) fn garbage(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let mut select = transaction.prepare("SELECT path FROM garbage ORDER BY path")?;
    let paths = select.query_map([], |row| row.get(0))?;
    paths.collect()
}

pub(super) fn set_aside(
    transaction: &Transaction<'_>,
    id: FileId,
    reason: &str,
) -> rusqlite::Result<()> {
    let sql = "UPDATE file SET aside_reason = ?2 WHERE id = ?1";
    transaction.execute(sql, params![id.0, reason]).map(drop)
}

pub(super) fn files(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<FileEntry>> {
    let sql = format!("SELECT {COLUMNS} FROM file WHERE aside_reason IS NULL ORDER BY id");
    let mut select = transaction.prepare(&sql)?;
    let rows = select
        .query_map([], |row| Ok(FileEntry { id: FileId(row.get("id")?), file: file(row)? }))?;
    rows.collect()
}

pub(super) fn aside(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<AsideFile>> {
    let sql = format!("SELECT {COLUMNS} FROM file WHERE aside_reason IS NOT NULL ORDER BY id");
    let mut select = transaction.prepare(&sql)?;
    let rows = select.query_map([], |row| {
        Ok(AsideFile { file: file(row)?, reason: row.get("aside_reason")? })
    })?;
    rows.collect()
}

fn file(row: &Row<'_>) -> rusqlite::Result<NewFile> {
    let signal: String = row.get("signal")?;
    let signal = Signal::ALL.into_iter().find(|known| known.as_str() == signal);
    let number = |column: &str| row.get(column).map(unsigned);
    let not_a_signal = || {
        let error = "not a signal".into();
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error)
    };
    Ok(NewFile {
        signal: signal.ok_or_else(not_a_signal)?,
        window: Window {
            start_seconds: number("window_start")?,
            seconds: number("window_seconds")?,
        },
        path: row.get("path")?,
        rows: number("item_count")?,
        data_bytes: number("data_bytes")?,
        side_bytes: number("side_bytes")?,
        extent: TimeRange {
            start: UnixNanos(number("first_time")?),
            end: UnixNanos(number("last_time")?),
        },
        first_sequence: number("first_sequence")?,
        last_sequence: number("last_sequence")?,
        traces: number("trace_count")?,
        generation: row.get("generation")?,
        created_seconds: number("created")?,
    })
}

pub(super) fn set_watermark(transaction: &Transaction<'_>, watermark: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO state VALUES ('watermark', ?1)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.execute(sql, [signed(watermark)]).map(drop)
}

pub(super) fn watermark(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    state(transaction, "watermark")
}

/// Adds to the counters of each signal.
pub(super) fn count(
    transaction: &Transaction<'_>,
    what: &str,
    by: [u64; 3],
) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO state VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
    )?;
    for (signal, by) in Signal::ALL.into_iter().zip(by) {
        add.execute(params![format!("{what}_{signal}"), signed(by)])?;
    }
    Ok(())
}

pub(super) fn counters(transaction: &Transaction<'_>) -> rusqlite::Result<Counters> {
    let mut counters = Counters::default();
    for (at, signal) in Signal::ALL.into_iter().enumerate() {
        counters.evicted[at] = state(transaction, &format!("evicted_{signal}"))?;
    }
    Ok(counters)
}

fn state(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<u64> {
    let mut select = transaction.prepare_cached("SELECT value FROM state WHERE key = ?1")?;
    let value = select.query_row([key], |row| row.get(0)).map(unsigned);
    match value {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(0),
        found => found,
    }
}

pub(super) fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA integrity_check")?;
    let findings = check.query_map([], |row| row.get::<_, String>(0))?;
    let findings: Vec<String> = findings.collect::<rusqlite::Result<_>>()?;
    Ok(findings.into_iter().filter(|finding| finding != "ok").collect())
}

fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
