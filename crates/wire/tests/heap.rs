//! The ring over plain memory, for interpreters and sanitizers that know nothing of shared
//! mappings: two threads, bytes without any protection but the ring's own.
#![cfg(not(loom))]

use carafe_wire::record::{End, Half, Message, Outcome, Record};
use carafe_wire::ring::{Consumer, Corrupt, Memory, Producer};
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 256;

/// Frames that the threads pass on; an interpreter is some hundred times slower.
const FRAMES: u64 = if cfg!(miri) { 300 } else { 100_000 };

struct Shared {
    head: AtomicU64,
    tail: AtomicU64,
    dropped: AtomicU64,
    bytes: [UnsafeCell<u8>; CAPACITY],
}

// SAFETY: the ring orders all accesses to the bytes; that is what the test is about.
unsafe impl Sync for Shared {}

#[derive(Clone)]
struct Heap(Arc<Shared>);

impl Heap {
    fn new() -> Self {
        Self(Arc::new(Shared {
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: [const { UnsafeCell::new(0) }; CAPACITY],
        }))
    }
}

impl Memory for Heap {
    fn capacity(&self) -> u64 {
        CAPACITY as u64
    }
    fn head(&self) -> &AtomicU64 {
        &self.0.head
    }
    fn tail(&self) -> &AtomicU64 {
        &self.0.tail
    }
    fn dropped(&self) -> &AtomicU64 {
        &self.0.dropped
    }
    fn commit(&mut self, _: u64) -> bool {
        true
    }
    fn write(&self, offset: usize, bytes: &[u8]) {
        for (cell, byte) in self.0.bytes[offset..].iter().zip(bytes) {
            // SAFETY: not atomic on purpose: a race here is a fault of the ring.
            unsafe { *cell.get() = *byte };
        }
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        for (cell, byte) in self.0.bytes[offset..].iter().zip(into) {
            // SAFETY: as in `write`.
            *byte = unsafe { *cell.get() };
        }
    }
}

#[test]
fn two_threads_pass_frames_on_without_a_race() {
    let memory = Heap::new();
    let mut producer = Producer::new(memory.clone());
    let mut consumer = Consumer::new(memory);
    let writer = std::thread::spawn(move || {
        let mut number = 0u64;
        while number < FRAMES {
            let rest = [number as u8; 40];
            let parts = [&number.to_le_bytes()[..], &rest[..(number % 41) as usize]];
            if producer.push((number % 7) as u16, &parts).is_ok() {
                number += 1;
            } else {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0u64;
    while expected < FRAMES {
        consumer
            .drain(|kind, payload| {
                let (number, rest) = payload.split_first_chunk().unwrap();
                assert_eq!(u64::from_le_bytes(*number), expected);
                assert_eq!(u64::from(kind), expected % 7);
                assert_eq!(rest.len() as u64, expected % 41);
                assert!(rest.iter().all(|byte| *byte == expected as u8));
                expected += 1;
            })
            .unwrap();
        std::thread::yield_now();
    }
    writer.join().unwrap();
    assert!(consumer.is_empty());
}

#[test]
fn records_survive_the_way_through_the_ring() {
    let memory = Heap::new();
    let mut producer = Producer::new(memory.clone());
    let mut consumer = Consumer::new(memory);
    let records = [
        Record::Message(Message {
            connection: u64::MAX,
            half: Half::Response,
            is_truncated: true,
            complete_body_bytes: Some(0),
            started_ns: 1,
            time_ns: 2,
            head: b"HTTP/1.1 200 OK\r\n\r\n",
        }),
        Record::End(End {
            connection: 1,
            half: Half::Request,
            outcome: Outcome::Upgraded,
            time_ns: 3,
            body_bytes: 4,
        }),
    ];
    // Often enough to pass the end of the memory at many offsets.
    for _ in 0..20 {
        for record in records {
            let (kind, fixed, rest) = record.encode();
            producer.push(kind, &[fixed.as_slice(), rest]).unwrap();
        }
        let mut left = records.iter();
        let count = consumer.drain(|kind, payload| {
            assert_eq!(Record::decode(kind, payload).as_ref(), left.next());
        });
        assert_eq!(count, Ok(records.len()));
    }
}

#[test]
fn any_counter_is_survived() {
    for head in [0, 1, 8, 255, 256, 257, 264, u64::MAX, u64::MAX - 7, 1 << 63] {
        for tail in [0, 3, 8, 256, u64::MAX - 7, u64::MAX] {
            let memory = Heap::new();
            memory.head().store(head, Ordering::Relaxed);
            memory.tail().store(tail, Ordering::Relaxed);
            memory.write(0, &[0xff; CAPACITY]);
            let result = Consumer::new(memory).drain(|_, _| panic!("there is no frame"));
            let is_empty = head == tail && head.is_multiple_of(8);
            assert_eq!(result.is_ok(), is_empty, "{head} {tail}: {result:?}");
            if head.wrapping_sub(tail) > CAPACITY as u64 {
                assert_eq!(result, Err(Corrupt::Counters));
            }
        }
    }
}
