//! Several files of log records to one.

use super::build::LogBatchBuilder;
use super::file::LogFile;
use super::read::LogColumns;
use arrow_array::RecordBatch;
use carafe_store::StoreError;
use carafe_telemetry::UnixNanos;
use std::sync::Arc;

/// The rows of a file that were not taken yet.
struct Input<'a> {
    name: &'a str,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, StoreError>> + 'a>,
    batch: RecordBatch,
    row: usize,
    /// The time of that row.
    head: UnixNanos,
}

impl<'a> Input<'a> {
    /// None where the file has no rows.
    fn open(file: &'a LogFile) -> Result<Option<Self>, StoreError> {
        let mut batches = Box::new(file.batches()?);
        let Some(batch) = next(&mut *batches)? else { return Ok(None) };
        let head = LogColumns::new(file.name(), &batch)?.time(0);
        Ok(Some(Self { name: file.name(), batches, batch, row: 0, head }))
    }

    /// Takes the rows that are not older than `until`, as long as the builder has room.
    /// False where no rows are left.
    fn take(
        &mut self,
        until: UnixNanos,
        builder: &mut LogBatchBuilder,
    ) -> Result<bool, StoreError> {
        let columns = LogColumns::new(self.name, &self.batch)?;
        while self.head >= until && !builder.is_full() {
            builder.push(&columns.row(self.row)?)?;
            self.row += 1;
            if self.row == columns.rows() {
                let Some(batch) = next(&mut *self.batches)? else { return Ok(false) };
                self.batch = batch;
                self.row = 0;
                self.head = LogColumns::new(self.name, &self.batch)?.time(0);
                return Ok(true);
            }
            self.head = columns.time(self.row);
        }
        Ok(true)
    }
}

/// The next batch that has rows.
fn next(
    mut batches: &mut dyn Iterator<Item = Result<RecordBatch, StoreError>>,
) -> Result<Option<RecordBatch>, StoreError> {
    let has_rows =
        |batch: &Result<RecordBatch, _>| !matches!(batch, Ok(batch) if batch.num_rows() == 0);
    Iterator::find(&mut batches, has_rows).transpose()
}

/// Merges files, newest first; of equal times, what is in the first file comes first.
pub fn merge_logs(
    files: &[Arc<LogFile>],
) -> impl Iterator<Item = Result<RecordBatch, StoreError>> + '_ {
    let mut inputs: Option<Vec<Input<'_>>> = None;
    let mut builder = LogBatchBuilder::new();
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let batch = fill(files, &mut inputs, &mut builder);
        failed = batch.is_err();
        batch.transpose()
    })
}

/// The next batch; none after the last.
fn fill<'a>(
    files: &'a [Arc<LogFile>],
    inputs: &mut Option<Vec<Input<'a>>>,
    builder: &mut LogBatchBuilder,
) -> Result<Option<RecordBatch>, StoreError> {
    let inputs = match inputs {
        Some(inputs) => inputs,
        None => {
            let opened: Result<Vec<_>, _> = files.iter().map(|file| Input::open(file)).collect();
            inputs.insert(opened?.into_iter().flatten().collect())
        }
    };
    while !builder.is_full() {
        // Of equal times the first file's.
        let newest = inputs.iter().enumerate().rev().max_by_key(|(_, input)| input.head);
        let Some((newest, _)) = newest else { break };
        let others = inputs.iter().enumerate().filter(|(at, _)| *at != newest);
        let second = others.map(|(at, input)| (input.head, at)).max_by_key(|(head, _)| *head);
        // A later file waits until the first has no row of the moment.
        let until = match second {
            Some((head, at)) if at < newest => UnixNanos(head.0.saturating_add(1)),
            Some((head, _)) => head,
            None => UnixNanos(0),
        };
        if !inputs[newest].take(until, builder)? {
            inputs.remove(newest);
        }
    }
    if builder.is_empty() { Ok(None) } else { builder.finish().map(Some) }
}
