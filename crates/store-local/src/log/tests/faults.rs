//! Queues that are full, disks that are full, syncs and sinks that fail; and groups.

use super::RECEIVED;
use super::{Place, TestLog, append, kind, options, replayed, request, wait};
use crate::disk::simulated::Faults;
use crate::log::frame::FRAME_LIMIT_BYTES;
use crate::log::{Log, LogOptions};
use bytes::Bytes;
use carafe_store::StoreErrorKind;
use carafe_telemetry::Signal;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A log whose sink waits for a word before each request with the payload 0.
fn gated(place: &Place, options: LogOptions) -> (TestLog, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let disk = Arc::new(place.disk.clone());
    let (log, replay) = Log::open(disk, place.path(), options, 0, move |_, payload| {
        if payload == 0 {
            gate.recv().unwrap();
        }
        payload
    })
    .unwrap();
    assert_eq!(replay.count(), 0);
    (log, open)
}

#[test]
fn those_who_wait_together_share_a_sync_and_a_lone_one_does_not_wait() {
    let place = Place::new();
    // If a lone request waited, this test would never end.
    let group_delay = Duration::from_secs(1 << 30);
    let patient = LogOptions { group_delay, segment_bytes: 1 << 20, ..options() };
    let (log, open) = gated(&place, patient);
    let first = log.append(Signal::Traces, RECEIVED, request(0, 10), 0);
    let rest: Vec<_> =
        (1..=100).map(|n| log.append(Signal::Traces, RECEIVED, request(n, 10), n)).collect();
    open.send(()).unwrap();
    wait(first).unwrap();
    for answer in rest {
        wait(answer).unwrap();
    }
    // One for the segment's header, one for the first request, perhaps with some others, and
    // one for all that came meanwhile.
    assert!(place.disk.counts().syncs <= 4, "{:?}", place.disk.counts());
    let before = place.disk.counts().syncs;
    append(&log, 101, 10).unwrap();
    append(&log, 102, 10).unwrap();
    assert_eq!(place.disk.counts().syncs, before + 2);
}

#[test]
fn a_group_ends_at_its_size() {
    let place = Place::new();
    let small = LogOptions { group_bytes: 1_000, segment_bytes: 1 << 20, ..options() };
    let (log, open) = gated(&place, small);
    let first = log.append(Signal::Traces, RECEIVED, request(0, 10), 0);
    open.send(()).unwrap();
    wait(first).unwrap();
    let hold = log.append(Signal::Traces, RECEIVED, request(0, 10), 0);
    let rest: Vec<_> =
        (1..=50).map(|n| log.append(Signal::Traces, RECEIVED, request(n, 200), n)).collect();
    open.send(()).unwrap();
    wait(hold).unwrap();
    for answer in rest {
        wait(answer).unwrap();
    }
    // 228 bytes each: five to a group; and one for the segment's header.
    let syncs = place.disk.counts().syncs;
    assert!((10..=14).contains(&syncs), "{syncs}");
}

#[test]
fn a_full_queue_refuses_and_takes_again() {
    let place = Place::new();
    let (log, open) = gated(&place, LogOptions { queue_bytes: 1_000, ..options() });
    // Larger than the limit, but alone.
    let first = log.append(Signal::Traces, RECEIVED, request(0, 5_000), 0);
    let error = append(&log, 1, 10).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Full);
    assert!(error.message.contains("the limit is 1000; hint: "), "{error}");
    open.send(()).unwrap();
    wait(first).unwrap();
    // The room is free a moment after the answer is given.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while append(&log, 1, 10).is_err() {
        assert!(std::time::Instant::now() < deadline, "the queue stays full");
        std::thread::yield_now();
    }
}

#[test]
fn a_request_beyond_the_limit_is_invalid() {
    let place = Place::new();
    let log = place.begin(options());
    let long = Bytes::from(vec![0; FRAME_LIMIT_BYTES + 1]);
    assert_eq!(
        kind(wait(log.append(Signal::Traces, RECEIVED, long, 1))),
        StoreErrorKind::InvalidData
    );
}

#[test]
fn a_full_disk_refuses_and_recovers_when_there_is_room() {
    for segment_bytes in [1_000, 100_000] {
        let place = Place::new();
        let log = place.begin(LogOptions { segment_bytes, ..options() });
        let full = Faults { capacity_bytes: Some(10_000), ..Faults::default() };
        place.disk.set_faults(full);
        let mut acknowledged = Vec::new();
        let refused = (1..).find_map(|payload| match append(&log, payload, 300) {
            Ok(payload) => {
                acknowledged.push(payload);
                None
            }
            Err(error) => Some(error),
        });
        let error = refused.unwrap();
        assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
        assert!(acknowledged.len() > 20);
        assert_eq!(kind(append(&log, 500, 300)), StoreErrorKind::Full, "still full");
        // A smaller one may have room where a larger one has not, and room may come.
        place.disk.set_faults(Faults { capacity_bytes: Some(20_000), ..full });
        for payload in 1_000..1_010 {
            append(&log, payload, 300).unwrap();
            acknowledged.push(payload);
        }
        drop(log);
        let (_log, mut replay) = place.open(options(), 0);
        assert_eq!(replayed(&mut replay), acknowledged, "segments of {segment_bytes}");
        assert_eq!((&replay.report().damaged, replay.report().torn_bytes), (&vec![], 0));
    }
}

#[test]
fn flushing_makes_room() {
    let place = Place::new();
    let log = place.begin(options());
    place.disk.set_faults(Faults { capacity_bytes: Some(10_000), ..Faults::default() });
    while append(&log, 1, 300).is_ok() {}
    log.remove_through(log.last_sequence()).unwrap();
    append(&log, 1, 300).unwrap();
}

#[test]
fn after_a_failed_sync_the_group_is_written_elsewhere() {
    let place = Place::new();
    let log = place.begin(LogOptions { segment_bytes: 1 << 20, ..options() });
    for payload in 1..=3 {
        append(&log, payload, 100).unwrap();
    }
    place.disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
    append(&log, 4, 100).unwrap();
    append(&log, 5, 100).unwrap();
    assert_eq!(place.files().len(), 2);
    drop(log);
    let (log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), [1, 2, 3, 4, 5]);
    assert_eq!(replay.report().damaged, []);

    place.disk.set_faults(Faults { failing_syncs: 3, ..Faults::default() });
    assert_eq!(kind(append(&log, 6, 100)), StoreErrorKind::Unavailable);
    append(&log, 7, 100).unwrap();
    drop(log);
    let (_log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), [1, 2, 3, 4, 5, 7], "what was refused is not there");
    assert_eq!(replay.report().damaged, []);
}

#[test]
fn after_a_failed_write_the_end_is_cut_back_or_left_behind() {
    for failing_truncations in [0, 1] {
        let place = Place::new();
        let log = place.begin(LogOptions { segment_bytes: 1 << 20, ..options() });
        append(&log, 1, 100).unwrap();
        place.disk.set_faults(Faults {
            failing_writes: 1,
            failing_truncations,
            ..Faults::default()
        });
        assert_eq!(kind(append(&log, 2, 100)), StoreErrorKind::Unavailable);
        append(&log, 3, 100).unwrap();
        assert_eq!(place.files().len(), 1 + failing_truncations as usize);
        drop(log);
        let (_log, mut replay) = place.open(options(), 0);
        assert_eq!(replayed(&mut replay), [1, 3]);
        assert_eq!(replay.report().damaged, []);
    }
}

#[test]
fn a_sink_that_panics_fails_its_request_only() {
    let place = Place::new();
    let disk = Arc::new(place.disk.clone());
    let (log, _) = Log::open(disk, place.path(), options(), 0, |sequence, payload| {
        assert_ne!(payload, 2, "this request is not liked");
        sequence
    })
    .unwrap();
    assert_eq!(append(&log, 1, 10).unwrap(), 1);
    assert_eq!(kind(append(&log, 2, 10)), StoreErrorKind::Internal);
    assert_eq!(append(&log, 3, 10).unwrap(), 3);
    drop(log);
    let (_log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), [1, 2, 3], "it is safe all the same");
}
