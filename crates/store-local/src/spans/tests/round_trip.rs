//! What is written comes back as it was.

use super::support::{Files, T0, batches, records, small, write};
use crate::files::metadata::MetadataCache;
use crate::index::bloom_table::BloomTable;
use crate::index::side_file::{Section, SideFile};
use crate::parquet_io::{RowGroupReader, Selected};
use crate::spans::RowReader;
use crate::spans::schema::promoted_of;
use carafe_store::{SpanRecord, TimeRange};
use carafe_telemetry::UnixNanos;
use proptest::prelude::*;
use std::sync::Arc;

pub(super) fn read_all(files: &Files) -> Vec<SpanRecord> {
    let metadata = MetadataCache::default().get(&files.data).unwrap();
    let mut rows = RowReader::new(promoted_of(metadata.schema()).unwrap().into());
    let columns: Vec<usize> = (0..metadata.schema().fields().len()).collect();
    let group = |row_group| {
        let columns = columns.clone();
        let selected = Selected { row_group, columns, rows: None, batch_rows: 5 };
        RowGroupReader::open(&files.data, &metadata, selected).unwrap()
    };
    let groups = 0..metadata.metadata().num_row_groups();
    groups.flat_map(group).flat_map(|batch| rows.read(&batch.unwrap()).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn spans_come_back_as_they_were(spans in records(40), group_rows in 1..30_usize) {
        let files = write("a", &spans, group_rows);
        prop_assert_eq!(files.written.rows, spans.len() as u64);
        let read = read_all(&files);
        prop_assert_eq!(read.len(), spans.len());
        for (read, span) in read.iter().zip(&spans) {
            prop_assert_eq!(format!("{read:?}"), format!("{span:?}"));
        }
    }

    #[test]
    fn batches_come_back_as_they_were(spans in records(40)) {
        let promoted = promoted_of(&crate::spans::schema::spans()).unwrap();
        let mut rows = RowReader::new(promoted.into());
        let batches = batches(&spans, 9);
        let read: Vec<_> = batches.iter().flat_map(|batch| rows.read(batch).unwrap()).collect();
        prop_assert_eq!(format!("{read:?}"), format!("{spans:?}"));
    }
}

#[test]
fn files_know_their_extent_and_row_groups() {
    let spans: Vec<_> = (0..10).rev().map(|n| small(n, "shop", Vec::new())).collect();
    let files = write("a", &spans, 4);
    let written = files.written;
    let side = Arc::new(SideFile::open(files.side).unwrap());
    let traces = BloomTable::open(side, Section::TraceBlooms).unwrap().unwrap();
    assert_eq!(traces.groups(), 3);
    assert_eq!(written.extent, TimeRange { start: UnixNanos(T0), end: UnixNanos(T0 + 9) });
}

#[test]
fn resources_are_shared() {
    let spans: Vec<_> = (0..20).rev().map(|n| small(n, "shop", Vec::new())).collect();
    let read = read_all(&write("a", &spans, 8));
    assert_eq!(read.len(), 20);
    assert!(read.iter().all(|span| Arc::ptr_eq(&span.resource, &read[0].resource)));
    assert!(read.iter().all(|span| Arc::ptr_eq(&span.scope, &read[0].scope)));
}
