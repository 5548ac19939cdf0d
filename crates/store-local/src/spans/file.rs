//! A file of spans that can be searched.

use super::scan::FileScan;
use super::schema::{self, Promoted, promoted_of};
use super::{rows, traces};
use crate::budget::Budget;
use crate::files::metadata::MetadataCache;
use crate::files::{FileAccess, corrupt};
use crate::index::bloom_table::BloomTable;
use crate::index::side_file::{Section, SideFile};
use crate::parquet_io::{RowGroupReader, Selected};
use crate::source::{Scan, SpanHit, SpanSource, Want};
use carafe_store::{SpanFilter, SpanRecord, StoreError, TimeRange};
use carafe_telemetry::TraceId;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use std::collections::HashSet;
use std::sync::Arc;

/// A Parquet file of spans and its side file. Nothing is read before it is needed; what was
/// read of the side file is kept, footers are kept by the cache.
pub struct SpanFile {
    data: Arc<dyn FileAccess>,
    side: Arc<dyn FileAccess>,
    cache: Arc<MetadataCache>,
    extent: TimeRange,
    side_index: Mutex<Option<Arc<SideIndex>>>,
}

/// The parts of the side file that searches ask.
pub(super) struct SideIndex {
    pub(super) file: Arc<SideFile>,
    pub(super) traces: Option<BloomTable>,
    pub(super) tags: Option<BloomTable>,
}

/// The footer.
#[derive(Clone)]
pub(super) struct Footer {
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) promoted: Arc<[Promoted]>,
}

impl SpanFile {
    /// A file whose extent is known already: nothing is read now.
    pub fn new(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        cache: Arc<MetadataCache>,
        extent: TimeRange,
    ) -> Self {
        Self { data, side, cache, extent, side_index: Mutex::default() }
    }

    /// Opens a file, and reads its extent from its footer.
    pub fn open(
        data: Arc<dyn FileAccess>,
        side: Arc<dyn FileAccess>,
        cache: Arc<MetadataCache>,
    ) -> Result<Self, StoreError> {
        let mut file = Self::new(data, side, cache, TimeRange::ALL);
        let footer = file.footer()?;
        let groups = 0..footer.groups();
        let extents = groups.map(|group| rows::extent(&footer, group).unwrap_or(TimeRange::ALL));
        file.extent = extents
            .reduce(|a, b| TimeRange { start: a.start.min(b.start), end: a.end.max(b.end) })
            .unwrap_or(rows::NO_TIME);
        file.side_index()?;
        Ok(file)
    }

    /// The name of the Parquet file.
    pub fn name(&self) -> &str {
        self.data.name()
    }

    /// How many spans there are.
    pub fn rows(&self) -> Result<u64, StoreError> {
        let rows = self.footer()?.metadata.metadata().file_metadata().num_rows();
        u64::try_from(rows).map_err(|_| corrupt(self.name(), format!("it has {rows} rows")))
    }

    pub(super) fn footer(&self) -> Result<Footer, StoreError> {
        let metadata = self.cache.get(&self.data)?;
        let known = metadata.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            let pair = known?.iter().find(|pair| pair.key == key)?;
            pair.value.as_deref()
        };
        let damage = |what: String| corrupt(self.name(), what);
        match (value(schema::SIGNAL_KEY), value(schema::FORMAT_KEY)) {
            (Some(schema::SIGNAL), Some(schema::FORMAT_VERSION)) => {}
            (Some(schema::SIGNAL), version) => {
                return Err(damage(format!("format {version:?} of spans is not known")));
            }
            (signal, _) => return Err(damage(format!("it has {signal:?}, not spans"))),
        }
        let promoted = promoted_of(metadata.schema()).map_err(damage)?;
        Ok(Footer { metadata, promoted: promoted.into() })
    }

    /// The side file.
    pub fn side_file(&self) -> Result<Arc<SideFile>, StoreError> {
        Ok(Arc::clone(&self.side_index()?.file))
    }

    pub(super) fn side_index(&self) -> Result<Arc<SideIndex>, StoreError> {
        let mut known = self.side_index.lock();
        if let Some(index) = &*known {
            return Ok(Arc::clone(index));
        }
        let side = Arc::new(SideFile::open(Arc::clone(&self.side))?);
        let index = Arc::new(SideIndex {
            traces: BloomTable::open(Arc::clone(&side), Section::TraceBlooms)?,
            tags: BloomTable::open(Arc::clone(&side), Section::TagBlooms)?,
            file: side,
        });
        *known = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Begins to read columns of rows of a row group.
    pub(super) fn read(
        &self,
        footer: &Footer,
        row_group: usize,
        columns: Vec<usize>,
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<RowGroupReader, StoreError> {
        let selected = Selected { row_group, columns, rows, batch_rows };
        RowGroupReader::open(&self.data, &footer.metadata, selected)
    }

    /// The error of rows that make no sense.
    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> StoreError {
        corrupt(self.name(), what)
    }
}

impl Footer {
    /// How many row groups there are.
    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// All columns.
    pub(super) fn columns(&self) -> Vec<usize> {
        (0..self.metadata.schema().fields().len()).collect()
    }
}

impl SpanSource for SpanFile {
    fn extent(&self) -> TimeRange {
        self.extent
    }

    fn scan<'a>(
        &'a self,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Scan<'a, SpanHit> {
        Box::new(FileScan::new(self, filter, want, budget))
    }

    fn traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
        out: &mut Vec<SpanRecord>,
    ) -> Result<(), StoreError> {
        traces::read(self, ids, budget, out)
    }

    fn failed_traces(
        &self,
        ids: &[TraceId],
        budget: &Budget,
    ) -> Result<HashSet<TraceId>, StoreError> {
        traces::failed(self, ids, budget)
    }
}
