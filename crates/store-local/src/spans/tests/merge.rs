//! Merged files have what the files had, once.

use super::round_trip::read_all;
use super::support::{Files, files, records, small, sort, write};
use crate::files::metadata::MetadataCache;
use crate::spans::{SpanFile, SpanWriter, merge_spans};
use carafe_store::{SpanRecord, StoreErrorKind};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

fn open(files: &Files) -> SpanFile {
    let (data, side) = (Arc::clone(&files.data), Arc::clone(&files.side));
    SpanFile::open(data, side, Arc::new(MetadataCache::default())).unwrap()
}

fn merged(inputs: &[Files], group_rows: usize) -> (Files, u64) {
    let inputs: Vec<_> = inputs.iter().map(open).collect();
    let mut merge = merge_spans(&inputs).unwrap();
    let mut bytes = Vec::new();
    let mut writer = SpanWriter::with_group_rows(&mut bytes, group_rows).unwrap();
    for batch in &mut merge {
        writer.write(&batch.unwrap()).unwrap();
    }
    let duplicates = merge.duplicates();
    (files("merged", writer.finish().unwrap(), bytes), duplicates)
}

/// All spans in order, each once.
fn once(spans: &[&[SpanRecord]]) -> Vec<SpanRecord> {
    let mut seen = HashSet::new();
    let mut all: Vec<_> = spans.concat();
    all.retain(|span| {
        seen.insert((span.trace_id, span.span_id, span.span.kind, span.start, span.end))
    });
    sort(&mut all);
    all
}

fn identities(spans: &[SpanRecord]) -> Vec<String> {
    let mut texts: Vec<_> = spans
        .iter()
        .map(|span| (span.start, span.span_id, span.trace_id, span.span.kind, span.end))
        .map(|identity| format!("{identity:?}"))
        .collect();
    texts.sort();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_span_is_there_once(
        parts in prop::collection::vec(records(30), 1..5),
        group_rows in 1..30_usize,
        repeated in any::<prop::sample::Index>(),
    ) {
        let mut parts = parts;
        parts.push(parts[repeated.index(parts.len())].clone());
        let inputs: Vec<_> = parts.iter().zip(0..).map(|(spans, n)| write(&format!("{n}"), spans, 9)).collect();
        let (files, duplicates) = merged(&inputs, group_rows);
        let read = read_all(&files);
        let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let expected = once(&slices);
        prop_assert!(read.is_sorted_by_key(|span| (std::cmp::Reverse(span.start), span.span_id)));
        prop_assert_eq!(identities(&read), identities(&expected));
        prop_assert_eq!(duplicates as usize + read.len(), slices.iter().map(|s| s.len()).sum::<usize>());
    }

    #[test]
    fn different_spans_stay_as_they_were(spans in records(60), group_rows in 1..30_usize) {
        let mut spans = once(&[&spans]);
        sort(&mut spans);
        spans.dedup_by_key(|span| (span.start, span.span_id));
        let part = |n: usize| {
            spans.iter().enumerate().filter(move |(at, _)| at % 3 == n).map(|(_, span)| span.clone())
        };
        let inputs: Vec<_> = (0..3).map(|n| write(&format!("{n}"), &part(n).collect::<Vec<_>>(), 5)).collect();
        let (files, duplicates) = merged(&inputs, group_rows);
        prop_assert_eq!(duplicates, 0);
        prop_assert_eq!(format!("{:?}", read_all(&files)), format!("{spans:?}"));
    }
}

#[test]
fn files_that_do_not_overlap_follow_each_other() {
    let part = |range: std::ops::Range<u64>| -> Vec<_> {
        range.rev().map(|n| small(n, "shop", Vec::new())).collect()
    };
    let inputs = [part(0..10_000), part(20_000..30_000), part(10_000..20_000)];
    let inputs: Vec<_> =
        inputs.iter().zip(0..).map(|(spans, n)| write(&format!("{n}"), spans, 6_000)).collect();
    let (files, duplicates) = merged(&inputs, 16_384);
    assert_eq!((files.written.rows, duplicates), (30_000, 0));
    let read = read_all(&files);
    assert!(read.windows(2).all(|pair| pair[0].start.0 == pair[1].start.0 + 1));
}

#[test]
fn a_damaged_file_ends_the_merge() {
    let spans: Vec<_> = (0..100).rev().map(|n| small(n, "shop", Vec::new())).collect();
    let good = write("good", &spans, 50);
    let mut bytes = good.data.read(0, good.data.len() as usize).unwrap().to_vec();
    bytes[100..600].fill(0xff);
    let bad = Files {
        data: Arc::new(crate::files::MemoryFile::new("bad.parquet", bytes)),
        side: Arc::clone(&good.side),
        written: good.written.clone(),
    };
    let inputs = [open(&good), open(&bad)];
    let error = match merge_spans(&inputs) {
        Ok(merge) => merge.filter_map(Result::err).next().unwrap(),
        Err(error) => error,
    };
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("bad.parquet"), "{error}");
}
