//! Calls that were found when the called span was in a file already.

use crate::calls::{Call, CallSums};
use carafe_store::TimeRange;
use carafe_telemetry::UnixNanos;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How exactly the time of a late call is kept.
pub const CALL_CELL: Duration = Duration::from_secs(10);

/// The cell that `time` is in.
fn cell(time: UnixNanos) -> i64 {
    (time.0 / CALL_CELL.as_nanos() as u64).cast_signed()
}

pub(super) fn add(transaction: &Transaction<'_>, calls: &[Call]) -> rusqlite::Result<()> {
    let mut sums = BTreeMap::<(i64, &str, &str), (i64, i64)>::new();
    for call in calls {
        let sum = sums.entry((cell(call.start), &*call.caller, &*call.called)).or_default();
        *sum = (sum.0 + 1, sum.1 + i64::from(call.is_error));
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO late_call VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET call_count = call_count + excluded.call_count,
                                   error_count = error_count + excluded.error_count",
    )?;
    for ((cell, caller, called), (calls, errors)) in sums {
        add.execute(params![cell, caller, called, calls, errors])?;
    }
    Ok(())
}

pub(super) fn remove_before(
    transaction: &Transaction<'_>,
    oldest: UnixNanos,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM late_call WHERE cell < ?1", [cell(oldest)]).map(drop)
}

pub(super) fn sum(
    connection: &Connection,
    range: TimeRange,
    sums: &mut CallSums,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT caller, called, sum(call_count), sum(error_count) FROM late_call
         WHERE cell BETWEEN ?1 AND ?2 GROUP BY caller, called",
    )?;
    let length = CALL_CELL.as_nanos() as u64;
    let first = range.start.0.div_ceil(length).cast_signed();
    let mut rows = select.query([first, cell(range.end)])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column).map(Arc::<str>::from);
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        sums.add(&text(0)?, &text(1)?, number(2)?, number(3)?);
    }
    Ok(())
}
