//! From a request as a client may write it to a file and back: every field of every span.

use carafe_store::{Records, SpanRecord, decode};
use carafe_store_local::files::metadata::MetadataCache;
use carafe_store_local::files::{FileAccess, MemoryFile};
use carafe_store_local::ingest::{IncomingSpans, Rules, index_traces};
use carafe_store_local::parquet_io::{RowGroupReader, Selected};
use carafe_store_local::spans::schema::promoted_of;
use carafe_store_local::spans::{
    ResourceRef, RowReader, ScopeRef, SpanBatchBuilder, SpanRef, SpanWriter,
};
use carafe_telemetry::testing::{scramble, traces_request};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{Request, UnixNanos};
use proptest::prelude::*;
use prost::Message;
use std::cmp::Reverse;
use std::sync::Arc;

const RULES: Rules = Rules { received: UnixNanos(1_767_225_650_000_000_000), accepted: None };

/// The Parquet file of a request's spans.
fn write(incoming: &IncomingSpans, batch_rows: usize, group_rows: usize) -> Vec<u8> {
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
    writer.finish().expect("finished");
    bytes
}

fn read(bytes: Vec<u8>) -> Vec<SpanRecord> {
    let file: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("spans.parquet", bytes));
    let metadata = MetadataCache::default().get(&file).expect("a footer");
    let mut rows = RowReader::new(promoted_of(metadata.schema()).expect("our schema").into());
    let columns: Vec<usize> = (0..metadata.schema().fields().len()).collect();
    let mut spans = Vec::new();
    for row_group in 0..metadata.metadata().num_row_groups() {
        let columns = columns.clone();
        let selected = Selected { row_group, columns, rows: None, batch_rows: 3 };
        for batch in RowGroupReader::open(&file, &metadata, selected).expect("a row group") {
            spans.extend(rows.read(&batch.expect("a batch")).expect("rows"));
        }
    }
    spans
}

/// All of a span, in bytes: NaN is not equal to itself.
fn all_of(span: &SpanRecord) -> impl PartialEq + std::fmt::Debug {
    (
        (span.trace_id, span.span_id, span.parent_span_id, span.start, span.end),
        (span.resource.service.clone(), span.resource.schema_url.clone()),
        span.resource.resource.encode_to_vec(),
        (span.scope.scope.encode_to_vec(), span.scope.schema_url.clone()),
        span.span.encode_to_vec(),
    )
}

proptest! {
    #[test]
    fn spans_survive_the_way_through_a_file(
        request in traces_request(),
        seed: u64,
        unusual: bool,
        batch_rows in 1..6_usize,
        group_rows in 1..9_usize,
    ) {
        let mut batch = Request::Traces(request).encode();
        if unusual {
            batch.bytes = scramble(batch.signal, &batch.bytes, seed, false).into();
        }
        let decoded = decode(&batch, RULES.received).expect("a valid request");
        let Records::Spans(mut expected) = decoded.records else { panic!("spans expected") };
        expected.sort_by_key(|span| (Reverse(span.start), span.span_id));
        let incoming = index_traces(&batch.bytes, &RULES).expect("a valid request").items;
        let found = read(write(&incoming, batch_rows, group_rows));
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(all_of(found), all_of(expected), "{:?}\n{:?}", found, expected);
        }
    }
}
