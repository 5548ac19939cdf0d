//! Any bytes in place of a file of spans: an error or spans, never a panic.

#![no_main]

use carafe_store::{SpanFilter, TimeRange};
use carafe_store_local::budget::Budget;
use carafe_store_local::files::metadata::MetadataCache;
use carafe_store_local::files::{FileAccess, MemoryFile};
use carafe_store_local::source::{SpanSource, Want};
use carafe_store_local::spans::{SpanFile, merge_spans};
use carafe_telemetry::TraceId;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

const GOLDEN: &[u8] = include_bytes!("../../crates/store-local/tests/golden/v1/spans.parquet");
const SIDE: &[u8] = include_bytes!("../../crates/store-local/tests/golden/v1/spans.idx");

/// The Parquet reader panics on some damaged files; that is caught where files are read, and
/// libFuzzer, which aborts on any panic, must not see it.
static QUIET: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| {})));

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&QUIET);
    // The first bytes say where the rest is put into a sound file; without them it is the file.
    let bytes = match data {
        [255, a, b, patch @ ..] => {
            let at = usize::from(u16::from_le_bytes([*a, *b])) % GOLDEN.len();
            let mut bytes = GOLDEN.to_vec();
            let end = (at + patch.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&patch[..end - at]);
            bytes
        }
        whole => whole.to_vec(),
    };
    let data: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("a.parquet", bytes));
    let side: Arc<dyn FileAccess> = Arc::new(MemoryFile::new("a.idx", SIDE));
    let cache = Arc::new(MetadataCache::default());
    let file = SpanFile::new(data, side, cache, TimeRange::ALL);
    let (filter, budget) = (SpanFilter::default(), Budget::default());
    for want in [Want::Hits, Want::Records] {
        file.scan(&filter, want, &budget).for_each(drop);
    }
    let mut spans = Vec::new();
    let _ = file.traces(&[TraceId([1; 16]), TraceId([2; 16])], &budget, &mut spans);
    if let Ok(merge) = merge_spans([&file]) {
        merge.for_each(drop);
    }
});
