//! Prints what spans take in a file, column by column, and what it costs to write, to merge
//! and to search them: `cargo run --release -p carafe-store-local --example span_files -- FILE`.
//! FILE has export requests in protobuf, each after its length in four bytes, little endian.
//! With a second argument, the Parquet file is left there.

use bytes::Bytes;
use carafe_store::{SpanFilter, TagFilter, TimeRange};
use carafe_store_local::budget::{Budget, QueryLimits};
use carafe_store_local::files::metadata::MetadataCache;
use carafe_store_local::files::{FileAccess, MemoryFile};
use carafe_store_local::index::side_file::SideFileWriter;
use carafe_store_local::ingest::{IncomingSpans, Rules, index_traces};
use carafe_store_local::source::{SpanSource, Want};
use carafe_store_local::spans::{
    ResourceRef, ScopeRef, SpanBatchBuilder, SpanFile, SpanRef, merge_spans, write_spans,
};
use carafe_telemetry::view::SpanView;
use carafe_telemetry::{TraceId, UnixNanos};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which file of requests?")?;
    let requests = requests(&std::fs::read(path)?)?;
    let wire: usize = requests.iter().map(|request| request.bytes.len()).sum();
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        order.extend((0..request.spans.len()).map(|span| (at, span)));
    }
    order.sort_by_key(|(request, span)| {
        let span = &requests[*request].spans[*span];
        (Reverse(span.start), span.span_id)
    });
    println!("{} spans, {} B each on the wire", order.len(), wire / order.len().max(1));

    let whole = write("whole", &requests, &order)?;
    if let Some(path) = std::env::args().nth(2) {
        std::fs::write(path, &whole.bytes)?;
    }
    columns(&whole.bytes)?;
    let file = whole.open()?;
    search(&file)?;

    let parts = (0..8).map(|part| {
        let order: Vec<_> = order.iter().skip(part).step_by(8).copied().collect();
        write(&format!("part {part}"), &requests, &order)?.open()
    });
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    let mut bytes = Vec::new();
    let written = write_spans(merge_spans(&parts)?, &mut bytes)?;
    report("merged from 8 files", written.rows, started.elapsed());
    Ok(())
}

/// The requests of a file.
fn requests(mut bytes: &[u8]) -> Result<Vec<IncomingSpans>, Box<dyn Error>> {
    let rules = Rules { received: UnixNanos::now(), accepted: None };
    let mut requests = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let (request, rest) = rest
            .split_at_checked(u32::from_le_bytes(*len) as usize)
            .ok_or("the file ends within a request")?;
        requests.push(index_traces(&Bytes::copy_from_slice(request), &rules)?.items);
        bytes = rest;
    }
    Ok(requests)
}

/// A file in memory.
struct Stored {
    bytes: Bytes,
    side: Bytes,
}

impl Stored {
    fn open(&self) -> Result<SpanFile, Box<dyn Error>> {
        let data: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("a", self.bytes.clone()));
        let side = Arc::new(MemoryFile::new("a.idx", self.side.clone()));
        Ok(SpanFile::open(data, side, Arc::new(MetadataCache::default()))?)
    }
}

fn write(
    name: &str,
    requests: &[IncomingSpans],
    order: &[(usize, usize)],
) -> Result<Stored, Box<dyn Error>> {
    let started = Instant::now();
    let mut building = Duration::ZERO;
    let mut builder = SpanBatchBuilder::new();
    let batches = order.chunks(8_192).map(|rows| {
        let started = Instant::now();
        for (request, span) in rows {
            let request = &requests[*request];
            let span = &request.spans[*span];
            let item = &request.bytes[span.item.start as usize..span.item.end as usize];
            let resource = &request.resources[span.resource as usize];
            let scope = &request.scopes[span.scope as usize];
            builder.push(&SpanRef {
                trace_id: span.trace_id,
                span_id: span.span_id,
                view: SpanView::reread(item)
                    .map_err(|error| carafe_store::StoreError::invalid(error.to_string()))?,
                resource: ResourceRef {
                    bytes: &resource.bytes,
                    schema_url: &resource.record.schema_url,
                    service: &resource.record.service,
                },
                scope: ScopeRef { bytes: &scope.bytes, schema_url: &scope.record.schema_url },
                caller: None,
            })?;
        }
        let batch = builder.finish();
        building += started.elapsed();
        batch
    });
    let mut bytes = Vec::new();
    let written = write_spans(batches, &mut bytes)?;
    report(&format!("{name}: written"), written.rows, started.elapsed());
    report(&format!("{name}: of that, built"), written.rows, building);
    let mut side = SideFileWriter::new();
    for (section, bytes) in written.side {
        println!("    {section:?}: {:.2} B/span", bytes.len() as f64 / written.rows as f64);
        side.add(section, bytes);
    }
    let mut side_bytes = Vec::new();
    side.finish(&mut side_bytes)?;
    println!("    file: {:.2} B/span", bytes.len() as f64 / written.rows as f64);
    Ok(Stored { bytes: bytes.into(), side: side_bytes.into() })
}

fn report(what: &str, rows: u64, took: Duration) {
    println!("{what}: {} ns/span", took.as_nanos() / u128::from(rows.max(1)));
}

/// What each column takes.
fn columns(bytes: &Bytes) -> Result<(), Box<dyn Error>> {
    let reader = SerializedFileReader::new(bytes.clone())?;
    let rows = reader.metadata().file_metadata().num_rows() as f64;
    let mut sizes = BTreeMap::<String, (i64, i64)>::new();
    for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
        let sums = sizes.entry(column.column_path().string()).or_default();
        sums.0 += column.compressed_size();
        sums.1 += column.uncompressed_size();
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by_key(|(_, (size, _))| Reverse(*size));
    for (column, (size, raw)) in sizes {
        println!("    {column:26} {:7.3} B/span of {:7.3}", size as f64 / rows, raw as f64 / rows);
    }
    Ok(())
}

fn search(file: &SpanFile) -> Result<(), Box<dyn Error>> {
    let all = SpanFilter::default();
    let budget =
        Budget::new(QueryLimits { time: Duration::from_secs(3_600), ..QueryLimits::default() });
    let first: Vec<_> =
        file.scan(&all, Want::Records, &budget).take(2_000).collect::<Result<_, _>>()?;
    let (Some(hit), Some(newest)) = (first.last(), first.first()) else { return Ok(()) };
    let ids = |count: usize| -> Vec<TraceId> {
        let mut ids: Vec<_> = first.iter().map(|hit| hit.trace_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(count);
        ids
    };
    for count in [1, 20] {
        let ids = ids(count);
        time(&format!("{count} traces by id"), || {
            let mut spans = Vec::new();
            file.traces(&ids, &Budget::default(), &mut spans)?;
            Ok(spans.len())
        })?;
    }
    let tag = |key: &str, value: &str| SpanFilter {
        tags: vec![TagFilter::new(key, value)],
        ..SpanFilter::default()
    };
    let mut filters = vec![
        ("newest", all.clone()),
        ("http.method=GET", tag("http.method", "GET")),
        ("http.status_code=500", tag("http.status_code", "500")),
        ("error=true", tag("error", "true")),
        ("not there", tag("http.host", "nowhere.example")),
        ("service", SpanFilter { service: Some(hit.service.to_string()), ..all.clone() }),
        (
            "service, over 100 ms",
            SpanFilter {
                service: Some(hit.service.to_string()),
                min_duration: Some(Duration::from_millis(100)),
                ..all.clone()
            },
        ),
        (
            "oldest second",
            SpanFilter {
                range: TimeRange {
                    start: file.extent().start,
                    end: UnixNanos(file.extent().start.0 + 1_000_000_000),
                },
                ..all.clone()
            },
        ),
    ];
    let attributes: Vec<_> = newest
        .record
        .iter()
        .chain(&hit.record)
        .flat_map(|record| &record.span.attributes)
        .map(|kv| {
            (
                kv.key.clone(),
                kv.value.as_ref().map(carafe_store::value::text).unwrap_or_default().into_owned(),
            )
        })
        .collect();
    let names: Vec<_> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    for ((key, value), name) in attributes.iter().zip(&names) {
        filters.push((name, tag(key, value)));
    }
    for (name, filter) in &filters {
        time(&format!("newest 20 of {name}"), || {
            let scan = file.scan(filter, Want::Records, &budget).take(20);
            Ok(scan.collect::<Result<Vec<_>, _>>()?.len())
        })?;
    }
    time("all hits", || Ok(file.scan(&all, Want::Hits, &Budget::default()).count()))?;
    Ok(())
}

/// The best of five.
fn time(what: &str, run: impl Fn() -> Result<usize, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let mut best = Duration::MAX;
    let mut found = 0;
    for _ in 0..5 {
        let started = Instant::now();
        found = run()?;
        best = best.min(started.elapsed());
    }
    println!("{what}: {found} in {:.2} ms", best.as_secs_f64() * 1e3);
    Ok(())
}
