//! From a request as a client may write it to memory, to a file and back: nothing is lost, and
//! both find each span by everything that it has.

use carafe_store::{Records, SpanFilter, SpanRecord, TagFilter, decode, value};
use carafe_store_local::budget::Budget;
use carafe_store_local::files::MemoryFile;
use carafe_store_local::files::metadata::MetadataCache;
use carafe_store_local::index::side_file::SideFileWriter;
use carafe_store_local::ingest::{IncomingSpans, Rules, index_traces};
use carafe_store_local::recent::RecentSpans;
use carafe_store_local::source::{SpanSource, Want};
use carafe_store_local::spans::{
    ResourceRef, ScopeRef, SpanBatchBuilder, SpanFile, SpanRef, SpanWriter,
};
use carafe_telemetry::otlp::KeyValue;
use carafe_telemetry::testing::{scramble, traces_request};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{Batch, Request, UnixNanos};
use proptest::prelude::*;
use prost::Message;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

const RULES: Rules = Rules { received: UnixNanos(1_767_225_650_000_000_000), accepted: None };

/// The files of a request's spans.
fn write(incoming: &IncomingSpans, batch_rows: usize, group_rows: usize) -> SpanFile {
    let mut spans: Vec<_> = incoming.spans.iter().collect();
    spans.sort_by_key(|span| (Reverse(span.start), span.span_id));
    let mut bytes = Vec::new();
    let mut writer = SpanWriter::with_group_rows(&mut bytes, group_rows).expect("a writer");
    let mut builder = SpanBatchBuilder::new();
    for spans in spans.chunks(batch_rows) {
        for span in spans {
            let resource = &incoming.resources[span.resource as usize];
            let scope = &incoming.scopes[span.scope as usize];
            let item = &incoming.bytes[span.item.start as usize..span.item.end as usize];
            let span = SpanRef {
                trace_id: span.trace_id,
                span_id: span.span_id,
                view: SpanView::reread(item).expect("an indexed span"),
                resource: ResourceRef {
                    bytes: &resource.bytes,
                    schema_url: &resource.record.schema_url,
                    service: &resource.record.service,
                },
                scope: ScopeRef { bytes: &scope.bytes, schema_url: &scope.record.schema_url },
                caller: None,
            };
            builder.push(&span).expect("room");
        }
        writer.write(&builder.finish().expect("a batch")).expect("written");
    }
    let mut side = SideFileWriter::new();
    for (section, bytes) in writer.finish().expect("finished").side {
        side.add(section, bytes);
    }
    let mut side_bytes = Vec::new();
    side.finish(&mut side_bytes).expect("a side file");
    let data = Arc::new(MemoryFile::new("a.parquet", bytes));
    let side = Arc::new(MemoryFile::new("a.idx", side_bytes));
    SpanFile::open(data, side, Arc::new(MetadataCache::default())).expect("our file")
}

/// All of a span, in bytes: NaN is not equal to itself.
type All = (Vec<u8>, Vec<u8>, Vec<u8>, String);

fn all_of(span: &SpanRecord) -> All {
    let ids = (span.trace_id, span.span_id, span.parent_span_id);
    let urls = (&span.resource.schema_url, &span.scope.schema_url);
    (
        span.span.encode_to_vec(),
        span.resource.resource.encode_to_vec(),
        span.scope.scope.encode_to_vec(),
        format!("{ids:?} {:?} {:?} {} {urls:?}", span.start, span.end, span.resource.service),
    )
}

fn search(source: &dyn SpanSource, filter: &SpanFilter) -> Vec<SpanRecord> {
    let budget = Budget::default();
    let hits = source.scan(filter, Want::Records, &budget);
    hits.map(|hit| hit.expect("a hit").record.expect("a record")).collect()
}

/// Each span once: an unusual request may have one twice, which memory keeps once.
fn set<'a>(spans: impl IntoIterator<Item = &'a SpanRecord>) -> BTreeSet<All> {
    spans.into_iter().map(all_of).collect()
}

/// A request, possibly in an unusual encoding, and its spans as the in-memory store decodes
/// them.
fn batch() -> impl Strategy<Value = (Batch, Vec<SpanRecord>)> {
    (traces_request(), any::<u64>(), any::<bool>()).prop_map(|(request, seed, unusual)| {
        let mut batch = Request::Traces(request).encode();
        if unusual {
            batch.bytes = scramble(batch.signal, &batch.bytes, seed, false).into();
        }
        let decoded = decode(&batch, RULES.received).expect("a valid request");
        let Records::Spans(mut spans) = decoded.records else { panic!("spans expected") };
        spans.sort_by_key(|span| (Reverse(span.start), span.span_id));
        (batch, spans)
    })
}

/// Every tag that one of the spans has.
fn tags(spans: &[SpanRecord]) -> BTreeSet<(String, String)> {
    let attributes = spans.iter().flat_map(|span| {
        let events = span.span.events.iter().flat_map(|event| &event.attributes);
        let own = span.span.attributes.iter().chain(events);
        own.chain(&span.resource.resource.attributes).chain(&span.scope.scope.attributes)
    });
    let tag = |kv: &KeyValue| {
        let value = value::text(kv.value.as_ref()?).into_owned();
        Some((kv.key.clone(), value))
    };
    attributes.filter_map(tag).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_give_spans_back_as_they_came(
        (batch, expected) in batch(),
        batch_rows in 1..6_usize,
        group_rows in 1..9_usize,
    ) {
        let incoming = index_traces(&batch.bytes, &RULES).expect("a valid request").items;
        let found = search(&write(&incoming, batch_rows, group_rows), &SpanFilter::default());
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(all_of(found), all_of(expected), "{:?}\n{:?}", found, expected);
        }
    }

    #[test]
    fn spans_are_found_by_all_that_they_have(
        (batch, spans) in batch(),
        (_, others) in batch(),
        group_rows in 1..9_usize,
    ) {
        let incoming = index_traces(&batch.bytes, &RULES).expect("a valid request").items;
        let file = write(&incoming, 3, group_rows);
        let recent = Arc::new(RecentSpans::default());
        recent.insert(&incoming, |_| false);
        let recent = recent.snapshot();
        // Tags that others have: mostly not there.
        for (key, value) in tags(&spans).into_iter().chain(tags(&others).into_iter().take(9)) {
            let tag = TagFilter::new(&key, &value);
            let filter = SpanFilter { tags: vec![tag], ..SpanFilter::default() };
            let expected = set(spans.iter().filter(|span| filter.matches_span(span)));
            for source in [&file as &dyn SpanSource, &recent] {
                prop_assert_eq!(&set(&search(source, &filter)), &expected, "{} {}", key, value);
            }
        }
    }
}
