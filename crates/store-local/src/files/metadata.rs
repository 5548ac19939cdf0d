//! Footers of Parquet files, kept while they fit.

use super::{FileAccess, ParquetAccess, corrupt};
use crate::parquet_io::guarded;
use carafe_store::StoreError;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use std::collections::HashMap;
use std::sync::Arc;

/// What the footers in memory may take, unless it is said otherwise: about 10,000 row groups.
pub const DEFAULT_METADATA_BYTES: usize = 128 << 20;

/// Most rows of a row group: far more than is written, and few enough to make room for.
const MAX_GROUP_ROWS: i64 = 1 << 24;

/// Footers of Parquet files by the names of the files. Over the limit those go that were not
/// asked for the longest; one that is larger than the limit is not kept at all.
#[derive(Debug)]
pub struct MetadataCache {
    max_bytes: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_name: HashMap<String, Entry>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    metadata: ArrowReaderMetadata,
    bytes: usize,
    last_use: u64,
}

impl MetadataCache {
    /// A cache of at most `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, entries: Mutex::default() }
    }

    /// The footer of `file`, with its offset index. Cheap to clone.
    pub fn get(&self, file: &Arc<dyn FileAccess>) -> Result<ArrowReaderMetadata, StoreError> {
        if let Some(metadata) = self.entries.lock().touch(file.name()) {
            return Ok(metadata);
        }
        // Two queries may read it at once; the later one replaces the same content.
        let access = ParquetAccess::new(Arc::clone(file));
        let metadata = guarded(&access, || {
            let options = ArrowReaderOptions::new()
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_policy(PageIndexPolicy::Optional);
            ArrowReaderMetadata::load(&access, options)
        })?;
        let groups = metadata.metadata().row_groups();
        let is_sound = |rows: i64| (0..=MAX_GROUP_ROWS).contains(&rows);
        if let Some(odd) = groups.iter().find(|group| !is_sound(group.num_rows())) {
            let rows = odd.num_rows();
            return Err(corrupt(file.name(), format!("a row group has {rows} rows")));
        }
        let bytes = metadata.metadata().memory_size();
        if bytes <= self.max_bytes {
            self.entries.lock().insert(file.name(), &metadata, bytes, self.max_bytes);
        }
        Ok(metadata)
    }

    /// Forgets the footer of a file that is no more.
    pub fn forget(&self, name: &str) {
        self.entries.lock().remove(name);
    }

    /// What the footers take.
    pub fn bytes(&self) -> usize {
        self.entries.lock().bytes
    }
}

impl Default for MetadataCache {
    fn default() -> Self {
        Self::new(DEFAULT_METADATA_BYTES)
    }
}

impl Entries {
    fn touch(&mut self, name: &str) -> Option<ArrowReaderMetadata> {
        self.clock += 1;
        let entry = self.by_name.get_mut(name)?;
        entry.last_use = self.clock;
        Some(entry.metadata.clone())
    }

    fn insert(
        &mut self,
        name: &str,
        metadata: &ArrowReaderMetadata,
        bytes: usize,
        max_bytes: usize,
    ) {
        self.remove(name);
        while self.bytes + bytes > max_bytes {
            let oldest = self.by_name.iter().min_by_key(|(_, entry)| entry.last_use);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            self.remove(&oldest);
        }
        let entry = Entry { metadata: metadata.clone(), bytes, last_use: self.clock };
        self.by_name.insert(name.to_owned(), entry);
        self.bytes += bytes;
    }

    fn remove(&mut self, name: &str) {
        if let Some(entry) = self.by_name.remove(name) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFile;
    use arrow_array::{Int64Array, RecordBatch};
    use carafe_store::StoreErrorKind;
    use parquet::arrow::ArrowWriter;

    fn file(name: &str) -> Arc<dyn FileAccess> {
        let column = Arc::new(Int64Array::from(vec![1, 2, 3])) as _;
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Arc::new(MemoryFile::new(name, bytes))
    }

    #[test]
    fn keeps_the_latest_within_the_limit() {
        let files = [file("a"), file("b"), file("c")];
        let one = MetadataCache::default();
        let metadata = one.get(&files[0]).unwrap();
        assert_eq!(metadata.metadata().num_row_groups(), 1);
        let cache = MetadataCache::new(one.bytes() * 2);
        for (file, expected) in [(0, 1), (1, 2), (0, 2), (2, 2)] {
            cache.get(&files[file]).unwrap();
            assert_eq!(cache.bytes(), one.bytes() * expected);
        }
        let mut kept: Vec<_> = cache.entries.lock().by_name.keys().cloned().collect();
        kept.sort();
        assert_eq!(kept, ["a", "c"]);
        cache.forget("a");
        assert_eq!(cache.bytes(), one.bytes());
        let none = MetadataCache::new(1);
        none.get(&files[0]).unwrap();
        assert_eq!(none.bytes(), 0);
    }

    #[test]
    fn what_is_no_parquet_is_named() {
        let cache = MetadataCache::default();
        for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", &[0; 100]] {
            let file: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("x.parquet", bytes.to_vec()));
            let error = cache.get(&file).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt);
            assert!(error.to_string().contains("x.parquet"), "{error}");
        }
    }
}
