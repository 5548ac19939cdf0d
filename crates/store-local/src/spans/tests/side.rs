//! The side file says of the rows what the spans say.

use super::support::{Files, T0, batches_with_callers, files, records, small, write};
use crate::calls::CallSums;
use crate::files::metadata::MetadataCache;
use crate::index::side_file::{Section, SideFile};
use crate::rollup::RollupBuilder;
use crate::rollup::edges::EdgesView;
use crate::rollup::keys::KeysView;
use crate::rollup::totals::Totals;
use crate::spans::{SpanFile, SpanWriter, merge_spans};
use carafe_store::value;
use carafe_telemetry::UnixNanos;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn side(files: &Files) -> Arc<SideFile> {
    Arc::new(SideFile::open(Arc::clone(&files.side)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sums_are_those_of_the_spans(spans in records(60), group_rows in 1..30_usize) {
        let side = side(&write("a", &spans, group_rows));
        let mut expected = RollupBuilder::new();
        spans.iter().for_each(|span| expected.add_record(span));
        let totals = Totals::decode(&side.section(Section::Totals).unwrap().unwrap()).unwrap();
        prop_assert_eq!(totals.summaries(), expected.totals().summaries());
        let red = side.section(Section::Rollup).unwrap().unwrap();
        prop_assert_eq!(red, expected.red().encode());
    }

    #[test]
    fn keys_and_values_are_counted(spans in records(60), group_rows in 1..30_usize) {
        let side = side(&write("a", &spans, group_rows));
        let keys = KeysView::open(side).unwrap().unwrap().to_keys().unwrap();
        let mut expected = BTreeMap::<&str, BTreeMap<String, u64>>::new();
        for span in &spans {
            // A view has a missing value of a span's attribute as an empty one.
            let own = span.span.attributes.iter().map(|attribute| {
                let text = attribute.value.as_ref().map(value::text).unwrap_or_default();
                (&*attribute.key, text.into_owned())
            });
            let resource = span.resource.resource.attributes.iter().filter_map(|attribute| {
                let text = value::text(attribute.value.as_ref()?).into_owned();
                Some((&*attribute.key, text))
            });
            for (key, text) in own.chain(resource) {
                *expected.entry(key).or_default().entry(text).or_default() += 1;
            }
        }
        let names: Vec<_> = keys.names(None).into_iter().map(|name| &**name).collect();
        prop_assert_eq!(names, expected.keys().copied().collect::<Vec<_>>());
        for (key, values) in &expected {
            let summary = keys.get(key).unwrap();
            let counted = summary.values.values();
            let counted = counted.iter().map(|c| (c.value.to_owned(), c.at_least));
            prop_assert_eq!(&counted.collect::<BTreeMap<_, _>>(), values, "{}", key);
        }
        for service in ["a", "b"] {
            let of_service = spans.iter().filter(|span| **span.service() == *service);
            let mut names: Vec<_> = of_service
                .flat_map(|span| span.span.attributes.iter().chain(
                    span.resource.resource.attributes.iter().filter(|kv| kv.value.is_some()),
                ))
                .map(|attribute| &*attribute.key)
                .collect();
            names.sort_unstable();
            names.dedup();
            let found = keys.names(Some(service));
            prop_assert_eq!(found.into_iter().map(|name| &**name).collect::<Vec<_>>(), names);
        }
    }
}

#[test]
fn calls_are_counted_and_stay_when_files_are_merged() {
    let spans: Vec<_> = (0..20).rev().map(|n| small(n, "shop", Vec::new())).collect();
    let written = |name: &str, callers: &[Option<&str>]| {
        let mut bytes = Vec::new();
        let mut writer = SpanWriter::with_group_rows(&mut bytes, 8).unwrap();
        batches_with_callers(&spans, callers).iter().for_each(|batch| writer.write(batch).unwrap());
        files(name, writer.finish().unwrap(), bytes)
    };
    let inputs = [written("a", &[Some("web"), None]), written("b", &[Some("web"), None])];
    let cache = Arc::new(MetadataCache::default());
    let open = |files: &Files| {
        SpanFile::open(Arc::clone(&files.data), Arc::clone(&files.side), Arc::clone(&cache))
    };
    let opened: Vec<_> = inputs.iter().map(|files| open(files).unwrap()).collect();
    let mut bytes = Vec::new();
    let merged = crate::spans::write_spans(merge_spans(&opened).unwrap(), &mut bytes).unwrap();
    for files in inputs.iter().chain([&files("merged", merged, bytes)]) {
        let edges = EdgesView::open(side(files)).unwrap().unwrap();
        let mut sums = CallSums::default();
        edges.edges_into(0..u64::MAX, &mut sums).unwrap();
        let mut expected = CallSums::default();
        expected.add(&"web".into(), &"shop".into(), 10, 0);
        assert_eq!(sums, expected);
        let cell = crate::rollup::red::cell_of(UnixNanos(T0));
        assert_eq!(edges.extent(), cell..cell + 1);
    }
}
