//! Calls that were found when the called span was in a file already.
//!
//! Their times are exact while they are recent and few; later, and where there are many, all
//! calls of ten seconds are one row at the beginning of these.

use crate::calls::{Call, CallSums};
use carafe_store::TimeRange;
use carafe_telemetry::UnixNanos;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nanoseconds within which calls become one row.
const CELL: u64 = 10_000_000_000;

/// Most calls of one flush whose times are kept.
const MAX_EXACT: usize = 10_000;

const ADD: &str = "INSERT INTO late_call VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT DO UPDATE SET call_count = call_count + excluded.call_count,
                               error_count = error_count + excluded.error_count";

/// SQLite's integers are signed. Its order of times beyond 2^63 does not matter: they are
/// refused, or so wrong that nobody asks for them.
fn signed(time: u64) -> i64 {
    time.cast_signed()
}

pub(super) fn add(transaction: &Transaction<'_>, calls: &[Call]) -> rusqlite::Result<()> {
    let unit = if calls.len() > MAX_EXACT { CELL } else { 1 };
    let mut sums = BTreeMap::<(u64, &str, &str), (i64, i64)>::new();
    for call in calls {
        let start = call.start.0 - call.start.0 % unit;
        let sum = sums.entry((start, &*call.caller, &*call.called)).or_default();
        *sum = (sum.0 + 1, sum.1 + i64::from(call.is_error));
    }
    let mut add = transaction.prepare_cached(ADD)?;
    for ((start, caller, called), (calls, errors)) in sums {
        add.execute(params![signed(start), caller, called, calls, errors])?;
    }
    Ok(())
}

/// Makes one row of the calls within ten seconds, of those before `recent`.
pub(super) fn round(transaction: &Transaction<'_>, recent: UnixNanos) -> rusqlite::Result<()> {
    let old = "start < ?1 AND start % ?2 <> 0";
    let limits = params![signed(recent.0), signed(CELL)];
    // Summed first: the rows are read and written in one table.
    let sums = format!(
        "CREATE TEMP TABLE rounded AS
         SELECT start - start % ?2 AS start, caller, called, sum(call_count) AS call_count,
                sum(error_count) AS error_count
         FROM late_call WHERE {old} GROUP BY 1, 2, 3"
    );
    transaction.execute(&sums, limits)?;
    transaction.execute(&format!("DELETE FROM late_call WHERE {old}"), limits)?;
    transaction.execute_batch(
        "INSERT INTO late_call SELECT * FROM temp.rounded WHERE true
             ON CONFLICT DO UPDATE SET call_count = call_count + excluded.call_count,
                                       error_count = error_count + excluded.error_count;
         DROP TABLE temp.rounded;",
    )
}

pub(super) fn remove_before(
    transaction: &Transaction<'_>,
    oldest: UnixNanos,
) -> rusqlite::Result<()> {
    let cell = oldest.0 - oldest.0 % CELL;
    transaction.execute("DELETE FROM late_call WHERE start < ?1", [signed(cell)]).map(drop)
}

pub(super) fn sum(
    connection: &Connection,
    range: TimeRange,
    sums: &mut CallSums,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT caller, called, sum(call_count), sum(error_count) FROM late_call
         WHERE start BETWEEN ?1 AND ?2 GROUP BY caller, called",
    )?;
    let last = range.end.0.min(i64::MAX.cast_unsigned());
    let mut rows = select.query([signed(range.start.0), signed(last)])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column).map(Arc::<str>::from);
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        sums.add(&text(0)?, &text(1)?, number(2)?, number(3)?);
    }
    Ok(())
}
