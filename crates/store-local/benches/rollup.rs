//! What the side index of a file costs for each span, and what a question to it costs.

use carafe_store_local::files::MemoryFile;
use carafe_store_local::index::bloom_table::{BloomTable, BloomTableBuilder};
use carafe_store_local::index::hash::hash_tag;
use carafe_store_local::index::side_file::{Section, SideFile, SideFileWriter};
use carafe_store_local::rollup::red::{CELL_NANOS, RedPoints, RedRequest, RedView};
use carafe_store_local::rollup::totals::Totals;
use carafe_store_local::rollup::{RolledSpan, RollupBuilder, SeriesId};
use carafe_telemetry::UnixNanos;
use divan::Bencher;
use divan::counter::ItemsCount;
use std::sync::Arc;

fn main() {
    divan::main();
}

const SPANS: u64 = 500_000;
const WINDOW_CELLS: u64 = 360;

fn spread(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// An hour of spans, newest first, of 20 services with 15 operations each.
fn spans(builder: &mut RollupBuilder) -> Vec<(SeriesId, RolledSpan)> {
    let series: Vec<_> = (0..300)
        .map(|n| {
            let (service, operation) = (format!("service-{}", n % 20), format!("GET /{}", n / 20));
            builder.series(&service, &operation, [2, 3, 1][n % 3])
        })
        .collect();
    (0..SPANS)
        .map(|n| {
            let random = spread(n);
            let at = (SPANS - n) * (WINDOW_CELLS * CELL_NANOS / SPANS);
            let span = RolledSpan {
                start: UnixNanos(3_600_000_000_000 * 490_000 + at),
                // Most around 5 ms, some much longer.
                duration: 1_000_000 + random % 8_000_000 * (1 + (random >> 60)),
                answers: random.is_multiple_of(3),
                is_error: random.is_multiple_of(50),
            };
            (series[(random >> 32) as usize % series.len()], span)
        })
        .collect()
}

fn built() -> RollupBuilder {
    let mut builder = RollupBuilder::new();
    let spans = spans(&mut builder);
    spans.iter().for_each(|(series, span)| builder.add(*series, span));
    builder
}

fn side(section: Section, bytes: Vec<u8>) -> Arc<SideFile> {
    let mut writer = SideFileWriter::new();
    writer.add(section, bytes);
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory takes what is written");
    let file = SideFile::open(Arc::new(MemoryFile::new("bench.idx", file)));
    Arc::new(file.expect("a sound file"))
}

#[divan::bench]
fn add_spans(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(SPANS))
        .with_inputs(|| {
            let mut builder = RollupBuilder::new();
            let spans = spans(&mut builder);
            (builder, spans)
        })
        .bench_values(|(mut builder, spans)| {
            spans.iter().for_each(|(series, span)| builder.add(*series, span));
            builder
        });
}

#[divan::bench]
fn encode_an_hour(bencher: Bencher<'_, '_>) {
    let builder = built();
    let red = builder.red().encode().len();
    let totals = builder.totals().encode().len();
    eprintln!("requests {red} bytes, totals {totals} bytes, of {SPANS} spans");
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench_local(|| (builder.red().encode(), builder.totals().encode()));
}

/// A day of everything with 5 minutes a point: 24 files of an hour.
#[divan::bench]
fn red_of_a_day(bencher: Bencher<'_, '_>) {
    let file = side(Section::Rollup, built().red().encode());
    bencher.bench_local(|| {
        for _ in 0..24 {
            let view = RedView::open(Arc::clone(&file)).expect("sound").expect("there");
            let mut points = RedPoints::new(view.extent().start / 30 * 30, 30, 13);
            let request = RedRequest { cells: view.extent(), ..RedRequest::default() };
            assert!(view.red_into(&request, &mut points).expect("sound"));
        }
    });
}

/// The same of one operation.
#[divan::bench]
fn red_of_a_day_of_an_operation(bencher: Bencher<'_, '_>) {
    let file = side(Section::Rollup, built().red().encode());
    bencher.bench_local(|| {
        for _ in 0..24 {
            let view = RedView::open(Arc::clone(&file)).expect("sound").expect("there");
            let mut points = RedPoints::new(view.extent().start / 30 * 30, 30, 13);
            let (service, operation) = (Some("service-3"), Some("GET /7"));
            let request = RedRequest { service, operation, cells: view.extent() };
            assert!(view.red_into(&request, &mut points).expect("sound"));
        }
    });
}

#[divan::bench]
fn take_a_file_out_of_the_totals(bencher: Bencher<'_, '_>) {
    let totals = built().totals();
    let mut all = Totals::default();
    (0..2).for_each(|_| all.add(&totals));
    bencher.with_inputs(|| all.clone()).bench_values(|mut all| {
        all.subtract(&totals);
        all
    });
}

const TAGS: u64 = 200_000;

fn filled(groups: u64) -> BloomTableBuilder {
    let mut builder = BloomTableBuilder::new(12);
    for group in 0..groups {
        (0..TAGS).for_each(|tag| builder.insert(spread(group * TAGS + tag)));
        builder.end_group();
    }
    builder
}

/// One row group's tags, each of which is met eight times.
#[divan::bench]
fn insert_tags(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(TAGS * 8)).bench_local(|| {
        let mut builder = BloomTableBuilder::new(12);
        (0..TAGS * 8).for_each(|tag| builder.insert(spread(tag % TAGS)));
        builder.end_group();
        builder
    });
}

/// One tag in a file of 80 row groups, in memory.
#[divan::bench]
fn look_up_a_tag(bencher: Bencher<'_, '_>) {
    let file = side(Section::TagBlooms, filled(80).finish());
    let table = BloomTable::open(file, Section::TagBlooms).expect("sound").expect("there");
    let hash = hash_tag("http.host", "shop.example.org");
    bencher.bench_local(|| table.row_groups_with(hash, 80).expect("sound"));
}
