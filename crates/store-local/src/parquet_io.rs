//! What all readers of Parquet files share: damaged files give errors, never panics.

use crate::files::{FileAccess, ParquetAccess, corrupt};
use arrow_array::RecordBatch;
use carafe_store::{StoreError, StoreErrorKind};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Runs `read`, which reads through `access`. Its errors name the file; a panic of the
/// Parquet reader, which some damaged files cause, is an error like the others.
pub fn guarded<T, E: Error + Send + Sync + 'static>(
    access: &ParquetAccess,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, StoreError> {
    // What `read` borrows is not used any more after a panic: readers are dropped on errors.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(access.take_failure().unwrap_or_else(|| {
            let damage = corrupt(access.name(), &error);
            StoreError { source: Some(Box::new(error)), ..damage }
        })),
        Err(_) => Err(corrupt(access.name(), "its reader gave up")),
    }
}

/// The error of a file that cannot be written: [`StoreErrorKind::Full`] where there is no room.
pub fn write_error(error: ParquetError) -> StoreError {
    let io = match &error {
        ParquetError::External(source) => source.downcast_ref::<io::Error>(),
        _ => None,
    };
    let kind = match io.map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => StoreErrorKind::Full,
        Some(_) => StoreErrorKind::Unavailable,
        None => StoreErrorKind::Internal,
    };
    let message = format!("a Parquet file cannot be written: {error}");
    StoreError { kind, message, source: Some(Box::new(error)) }
}

/// Some columns of some rows of one row group.
pub struct RowGroupReader {
    access: ParquetAccess,
    /// None after the end, and after an error.
    reader: Option<ParquetRecordBatchReader>,
}

/// Which rows and columns of a row group are read.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The row group.
    pub row_group: usize,
    /// The columns, by their places in the file.
    pub columns: Vec<usize>,
    /// The rows; none for all.
    pub rows: Option<RowSelection>,
    /// At most so many rows come in one batch.
    pub batch_rows: usize,
}

impl RowGroupReader {
    /// Begins to read `file`, whose footer is `metadata`.
    pub fn open(
        file: &Arc<dyn FileAccess>,
        metadata: &ArrowReaderMetadata,
        selected: Selected,
    ) -> Result<Self, StoreError> {
        let access = ParquetAccess::new(Arc::clone(file));
        let reader = guarded(&access, || {
            let columns = ProjectionMask::leaves(metadata.parquet_schema(), selected.columns);
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                access.clone(),
                metadata.clone(),
            )
            .with_row_groups(vec![selected.row_group])
            .with_projection(columns)
            .with_batch_size(selected.batch_rows);
            match selected.rows {
                Some(rows) => builder.with_row_selection(rows),
                None => builder,
            }
            .build()
        })?;
        Ok(Self { access, reader: Some(reader) })
    }
}

impl Iterator for RowGroupReader {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.reader.take()?;
        let batch = guarded(&self.access, || reader.next().transpose()).transpose()?;
        if batch.is_ok() {
            self.reader = Some(reader);
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFile;
    use bytes::Bytes;
    use parquet::file::reader::ChunkReader;

    #[derive(Debug)]
    struct Away;

    impl FileAccess for Away {
        fn name(&self) -> &str {
            "away.parquet"
        }

        fn len(&self) -> u64 {
            10
        }

        fn read(&self, _: u64, _: usize) -> Result<Bytes, StoreError> {
            Err(StoreError::new(StoreErrorKind::Unavailable, "away"))
        }
    }

    #[test]
    fn errors_of_the_file_keep_their_kind() {
        let access = ParquetAccess::new(Arc::new(Away));
        let error = guarded(&access, || access.get_bytes(0, 1)).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
    }

    #[test]
    fn a_full_disk_can_be_told_from_other_faults() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(write_error(full.into()).kind, StoreErrorKind::Full);
        let away = io::Error::from(io::ErrorKind::NotConnected);
        assert_eq!(write_error(away.into()).kind, StoreErrorKind::Unavailable);
        let bug = ParquetError::General("bug".into());
        assert_eq!(write_error(bug).kind, StoreErrorKind::Internal);
    }

    #[test]
    fn errors_and_panics_of_the_reader_are_damage() {
        let access = ParquetAccess::new(Arc::new(MemoryFile::new("a.parquet", Bytes::new())));
        let error = guarded(&access, || Err::<(), _>(ParquetError::General("odd".into())));
        let panic = guarded(&access, || -> Result<(), ParquetError> {
            let none: &[u8] = &[];
            assert!(none.len() > 1, "as a decoder that trusts a length");
            Ok(())
        });
        for error in [error.unwrap_err(), panic.unwrap_err()] {
            assert_eq!(error.kind, StoreErrorKind::Corrupt);
            assert!(error.to_string().contains("a.parquet"), "{error}");
        }
    }
}
