//! Power that fails between any two changes of the disk, on disks that fail otherwise too.

use super::RECEIVED;
use super::{Place, options, payload_of, request, wait};
use crate::disk::random::Random;
use crate::disk::simulated::Faults;
use crate::log::LogOptions;
use carafe_telemetry::Signal;
use std::collections::BTreeSet;

const SEEDS: u64 = 400;
/// Times that the power fails on the same data.
const LOSSES: u64 = 3;

/// What one seed went through.
#[derive(Default)]
struct Past {
    acknowledged: BTreeSet<u64>,
    acknowledged_ever: usize,
    tried: BTreeSet<u64>,
    watermark: u64,
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power() {
    let mut acknowledged = 0;
    let mut torn = 0;
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut place = Place::new();
        let mut past = Past::default();
        for loss in 0..LOSSES {
            run(&place, &mut random, &mut past);
            let after = tempfile::tempdir().unwrap();
            place.disk.power_loss(seed * LOSSES + loss, after.path()).unwrap();
            place = Place::at(after, seed);
            torn += check(&place, &mut past, seed);
        }
        acknowledged += past.acknowledged_ever;
    }
    assert!(acknowledged > 20_000 && torn > 100, "{acknowledged} {torn}");
}

fn faults(random: &mut Random) -> Faults {
    let one_in = |random: &mut Random, limit| u32::from(random.below(limit) == 0);
    Faults {
        capacity_bytes: (random.below(6) == 0).then(|| 2_000 + random.below(20_000) as u64),
        failing_syncs: one_in(random, 4) * 2,
        failing_truncations: one_in(random, 4),
        failing_writes: one_in(random, 4),
        power_off_after: Some(random.below(150) as u64),
    }
}

/// Appends in bursts and removes, until the power is off.
fn run(place: &Place, random: &mut Random, past: &mut Past) {
    let options = LogOptions { segment_bytes: 500 + random.below(4_000) as u64, ..options() };
    place.disk.set_faults(faults(random));
    let Ok((log, mut replay)) = place.try_open(options, past.watermark) else { return };
    replay.by_ref().for_each(drop);
    for _ in 0..400 {
        if place.disk.is_off() {
            break;
        }
        let burst = 1 + random.below(8);
        let answers: Vec<_> = (0..burst)
            .map(|_| {
                let payload = past.tried.last().map_or(1, |last| last + 1);
                past.tried.insert(payload);
                log.append(Signal::Logs, RECEIVED, request(payload, random.below(700)), payload)
            })
            .collect();
        for payload in answers.into_iter().filter_map(|answer| wait(answer).ok()) {
            past.acknowledged.insert(payload);
            past.acknowledged_ever += 1;
        }
        if random.below(10) == 0 {
            // As after a flush: what is in the files is not needed here any more.
            past.watermark = log.last_sequence();
            past.acknowledged.clear();
            // A failing disk keeps what it should remove; that must not matter.
            drop(log.remove_through(past.watermark));
        }
        if random.below(20) == 0 {
            let off = Some(random.below(100) as u64);
            place.disk.set_faults(Faults { power_off_after: off, ..faults(random) });
        }
    }
}

/// Opens what is left, and gives the bytes that were torn.
fn check(place: &Place, past: &mut Past, seed: u64) -> u64 {
    let (log, mut replay) = place.open(options(), past.watermark);
    let mut found = BTreeSet::new();
    let mut last = past.watermark;
    for frame in replay.by_ref() {
        let frame = frame.unwrap();
        assert!(frame.sequence > last, "seed {seed}: {} after {last}", frame.sequence);
        last = frame.sequence;
        let payload = payload_of(&frame);
        assert!(past.tried.contains(&payload), "seed {seed}: nobody sent {payload}");
        assert!(found.insert(payload), "seed {seed}: {payload} came back twice");
    }
    assert!(log.last_sequence() >= last);
    let lost: Vec<_> = past.acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    assert_eq!(replay.report().damaged, [], "seed {seed}: a loss of power is no damage");
    // What came back without having been acknowledged counts from now on.
    past.acknowledged = found;
    replay.report().torn_bytes
}
