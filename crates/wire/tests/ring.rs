//! The ring over real shared memory: order, wrapping, limits, damage, and writers that die.
//! Not proven here: the memory ordering, which `tests/loom.rs` checks.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use carafe_wire::record::{
    Close, Connection, End, Gap, Half, Hello, Message, Outcome, Record, WIRE_VERSION,
};
use carafe_wire::ring::{Consumer, Corrupt, FRAME_LIMIT_BYTES, Memory, Producer};
use carafe_wire::shm::MappedRing;
use proptest::prelude::*;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering;

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn ring(
    directory: &tempfile::TempDir,
    capacity: u64,
) -> (Producer<MappedRing>, Consumer<MappedRing>) {
    let path = c_path(&directory.path().join("a.ring"));
    let producer = Producer::new(MappedRing::create(&path, capacity, 7).unwrap());
    let consumer = Consumer::new(MappedRing::open(&path).unwrap());
    assert_eq!(consumer.memory().pid(), 7);
    (producer, consumer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a model that is a plain queue: what was accepted comes out once, whole, in order.
    #[test]
    fn gives_back_what_it_accepted(
        working_set in prop_oneof![Just(64u64), Just(512), Just(2048), Just(4096)],
        steps in prop::collection::vec((0u16..9, prop::collection::vec(any::<u8>(), 0..900), any::<bool>()), 1..200)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (producer, mut consumer) = ring(&directory, 4096);
        drop(producer);
        let path = c_path(&directory.path().join("a.ring"));
        let mut producer =
            Producer::with_working_set(MappedRing::open(&path).unwrap(), working_set);
        let mut accepted = Vec::new();
        let mut received = Vec::new();
        let mut dropped = 0;
        for (kind, payload, drain) in steps {
            let (first, second) = payload.split_at(payload.len() / 2);
            match producer.push(kind, &[first, second]) {
                Ok(()) => accepted.push((kind, payload)),
                Err(_) => dropped += 1,
            }
            if drain {
                consumer.drain(|kind, payload| received.push((kind, payload.to_vec()))).unwrap();
                prop_assert!(consumer.is_empty());
            }
        }
        consumer.drain(|kind, payload| received.push((kind, payload.to_vec()))).unwrap();
        prop_assert_eq!(received, accepted);
        prop_assert_eq!(consumer.memory().dropped().load(Ordering::Relaxed), dropped);
    }

    /// Whatever the shared bytes and counters are, the reader neither panics nor reads outside,
    /// and it goes on with what is written afterwards, or gives up for good.
    #[test]
    fn survives_any_damage(head in prop_oneof![any::<u64>(), (0..=512u64).prop_map(|words| words * 8)], garbage in prop::collection::vec(any::<u8>(), 4096)) {
        let directory = tempfile::tempdir().unwrap();
        let (producer, mut consumer) = ring(&directory, 4096);
        producer.memory().write(0, &garbage);
        producer.memory().head().store(head, Ordering::Release);
        let result = consumer.drain(|kind, payload| {
            let _ = Record::decode(kind, payload);
        });
        if result == Err(Corrupt::Counters) {
            prop_assert!(consumer.is_empty());
            prop_assert_eq!(consumer.drain(|_, _| ()), Ok(0));
            return Ok(());
        }
        let tail = consumer.memory().tail().load(Ordering::Relaxed);
        producer.memory().head().store(tail, Ordering::Relaxed);
        let mut producer = Producer::new(
            MappedRing::open(&c_path(&directory.path().join("a.ring"))).unwrap(),
        );
        producer.push(1, &[b"whole again"]).unwrap();
        let mut seen = Vec::new();
        consumer.drain(|_, payload| seen.push(payload.to_vec())).unwrap();
        prop_assert_eq!(seen, vec![b"whole again".to_vec()]);
    }

    #[test]
    fn records_round_trip(
        id in any::<u64>(), time_ns in any::<u64>(), head in prop::collection::vec(any::<u8>(), 0..300),
        body in proptest::option::of(any::<u64>()), flag in any::<bool>(), ip in any::<std::net::IpAddr>(), port in any::<u16>()
    ) {
        let half = if flag { Half::Request } else { Half::Response };
        let address = (!flag).then(|| std::net::SocketAddr::new(ip.to_canonical(), port));
        for record in [
            Record::Hello(Hello { pid: port.into(), parent_pid: 1, time_ns, executable: &head }),
            Record::Connection(Connection { id, is_server: flag, is_tls: !flag, local: address, peer: address }),
            Record::Message(Message { connection: id, half, is_truncated: flag, complete_body_bytes: body, started_ns: 4, time_ns, head: &head }),
            Record::End(End { connection: id, half, outcome: Outcome::Lost, time_ns, body_bytes: 9 }),
            Record::Close(Close { connection: id, time_ns }),
            Record::Gap(Gap { time_ns }),
        ] {
            let (kind, fixed, rest) = record.encode();
            let bytes = [fixed.as_slice(), rest].concat();
            prop_assert_eq!(Record::decode(kind, &bytes), Some(record));
            for cut in 0..fixed.as_slice().len() {
                let _ = Record::decode(kind, &bytes[..cut]);
            }
        }
    }
}

#[test]
fn drops_and_counts_what_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let (mut producer, mut consumer) = ring(&directory, 4096);
    while producer.push(1, &[&[0; 100]]).is_ok() {}
    assert!(producer.push(1, &[&[0; FRAME_LIMIT_BYTES]]).is_err());
    assert_eq!(consumer.memory().dropped().load(Ordering::Relaxed), 2);
    assert_eq!(consumer.drain(|_, _| ()), Ok(4096 / 112));
    assert!(producer.push(1, &[&[0; 100]]).is_ok());
}

#[test]
fn stays_within_its_working_set_while_the_reader_keeps_up() {
    let directory = tempfile::tempdir().unwrap();
    let (mut producer, mut consumer) = ring(&directory, 16 << 20);
    let path = directory.path().join("a.ring");
    let used = || std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
    for number in 0..100_000u64 {
        producer.push(1, &[&number.to_le_bytes(), &[7; 300]]).unwrap();
        if number.is_multiple_of(100) {
            consumer.drain(|_, payload| assert_eq!(payload.len(), 308)).unwrap();
        }
    }
    assert!(used() < 3 << 20, "{} bytes of 30 MB that went through", used());
    let burst =
        std::iter::repeat_with(|| producer.push(1, &[&[7; 1000]])).take_while(Result::is_ok);
    assert!(burst.count() > 2_000, "the capacity is there for bursts");
}

#[test]
fn says_what_is_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let (mut producer, mut consumer) = ring(&directory, 4096);
    producer.push(1, &[b"x"]).unwrap();
    producer.memory().write(0, &[0xff; 8]);
    assert_eq!(consumer.drain(|_, _| ()), Err(Corrupt::Frame));
    producer.memory().head().store(3, Ordering::Release);
    assert_eq!(consumer.drain(|_, _| ()), Err(Corrupt::Counters));
    assert!(consumer.is_empty(), "a reader that waits for more must not be kept awake");
    assert_eq!(consumer.drain(|_, _| ()), Ok(0));
}

#[test]
fn refuses_files_that_are_no_rings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.ring");
    for bytes in [vec![], vec![0; 100], vec![0; 4096 + 4096], vec![0; 4096 + 100]] {
        std::fs::write(&path, bytes).unwrap();
        let error = MappedRing::open(&c_path(&path)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
    assert_eq!(WIRE_VERSION, 1, "a new version needs a reader for the old one");
}

/// The writer is killed at a random point, many times: the reader finds whole frames with
/// consecutive numbers, and nothing after the kill disturbs it.
#[test]
fn a_killed_writer_damages_nothing() {
    for round in 0..40u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = c_path(&directory.path().join("a.ring"));
        let ring = MappedRing::create(&path, 1 << 16, 1).unwrap();
        let mut consumer = Consumer::new(MappedRing::open(&path).unwrap());
        // SAFETY: the child calls nothing but the ring's own code, which neither allocates nor
        // locks, until it is killed.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut producer = Producer::new(ring);
            let mut number = 0u64;
            loop {
                let payload = [number.to_le_bytes(); 20];
                let length = 8 + (number % 150) as usize;
                if producer.push(1, &[&payload.as_flattened()[..length]]).is_ok() {
                    number += 1;
                }
            }
        }
        let mut expected = 0u64;
        let mut check = |_: u16, payload: &[u8]| {
            assert_eq!(payload.len(), 8 + (expected % 150) as usize);
            assert!(payload.chunks_exact(8).all(|chunk| chunk == expected.to_le_bytes()));
            expected += 1;
        };
        let enough = 2_000 + round * 137;
        let mut seen = 0;
        while seen < enough {
            seen += consumer.drain(&mut check).unwrap() as u64;
        }
        // SAFETY: the child is ours and has not been waited for.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        consumer.drain(&mut check).unwrap();
        assert!(consumer.is_empty());
    }
}
