//! What making the requests costs. Run with `cargo bench -p carafe-gen`.

use carafe_gen::{Blocks, Fraction, Recipe, Scratch, Signals, World};
use carafe_telemetry::UnixNanos;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use std::time::Duration;

fn main() {
    divan::main();
}

fn world(signals: Signals) -> World {
    World::new(Recipe {
        seed: 1,
        spans: 1_000_000,
        // 2026-01-01T00:00:00Z.
        start: UnixNanos(1_767_225_600_000_000_000),
        range: Duration::from_secs(24 * 3_600),
        signals,
        batch: 1_000,
        late: Fraction::NONE,
        duplicate: Fraction::NONE,
        skew: Fraction::NONE,
    })
}

/// Makes and encodes a block of about 8,000 items.
fn block(bencher: Bencher<'_, '_>, signals: Signals) {
    let world = world(signals);
    let blocks = Blocks::new(&world);
    let mut scratch = Scratch::default();
    let (mut items, mut bytes) = (0, 0);
    blocks.step(0, &mut scratch, &mut |request| {
        items += request.items;
        bytes += request.batch.bytes.len();
    });
    bencher.counter(ItemsCount::new(items)).counter(BytesCount::new(bytes)).bench_local(|| {
        blocks.step(0, &mut scratch, &mut |request| {
            divan::black_box(request);
        });
    });
}

#[divan::bench]
fn spans(bencher: Bencher<'_, '_>) {
    block(bencher, Signals { traces: true, logs: false, metrics: false });
}

#[divan::bench]
fn logs(bencher: Bencher<'_, '_>) {
    block(bencher, Signals { traces: false, logs: true, metrics: false });
}

#[divan::bench]
fn points(bencher: Bencher<'_, '_>) {
    block(bencher, Signals { traces: false, logs: false, metrics: true });
}
