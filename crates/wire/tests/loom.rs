//! Model checking of the ring, the lock and the doorbell over all interleavings:
//! `RUSTFLAGS="--cfg loom" cargo test -p carafe-wire --test loom --release`.
#![cfg(loom)]

use carafe_wire::doorbell::Doorbell;
use carafe_wire::lock::BoundedLock;
use carafe_wire::ring::{Consumer, Memory, Producer};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

const CAPACITY: usize = 32;

/// Shared memory whose bytes loom watches: a read and a write that are not ordered fail the test.
struct Shared {
    head: AtomicU64,
    tail: AtomicU64,
    dropped: AtomicU64,
    bytes: Vec<UnsafeCell<u8>>,
}

#[derive(Clone)]
struct Model(Arc<Shared>);

impl Model {
    fn new() -> Self {
        Self(Arc::new(Shared {
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: (0..CAPACITY).map(|_| UnsafeCell::new(0)).collect(),
        }))
    }
}

// SAFETY: loom's cells check every access; that is the purpose of the test.
unsafe impl Send for Model {}

impl Memory for Model {
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
            // SAFETY: checked by loom.
            cell.with_mut(|cell| unsafe { *cell = *byte });
        }
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        for (cell, byte) in self.0.bytes[offset..].iter().zip(into) {
            // SAFETY: checked by loom.
            *byte = cell.with(|cell| unsafe { *cell });
        }
    }
}

#[test]
fn frames_arrive_whole_and_in_order_around_the_end() {
    arrive_whole_and_in_order(u64::MAX);
}

#[test]
fn frames_arrive_whole_and_in_order_when_the_writer_turns_back() {
    arrive_whole_and_in_order(16);
}

fn arrive_whole_and_in_order(working_set: u64) {
    loom::model(move || {
        let model = Model::new();
        let mut producer = Producer::with_working_set(model.clone(), working_set);
        let mut consumer = Consumer::new(model);
        let writer = thread::spawn(move || {
            (0u8..3).filter(|number| producer.push(1, &[&[*number; 4]]).is_ok()).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        let mut note = |_: u16, payload: &[u8]| {
            assert!(payload.iter().all(|byte| *byte == payload[0]));
            seen.push(payload[0]);
        };
        consumer.drain(&mut note).unwrap();
        let written = writer.join().unwrap();
        consumer.drain(&mut note).unwrap();
        assert_eq!(seen, written);
    });
}

#[test]
fn the_lock_excludes() {
    loom::model(|| {
        let shared = Arc::new((BoundedLock::new(), UnsafeCell::new(0)));
        let other = Arc::clone(&shared);
        let add = |shared: &(BoundedLock, UnsafeCell<u32>)| {
            if let Some(_guard) = shared.0.try_lock() {
                // SAFETY: checked by loom.
                shared.1.with_mut(|count| unsafe { *count += 1 });
            }
        };
        let thread = thread::spawn(move || add(&other));
        add(&shared);
        thread.join().unwrap();
    });
}

/// The reader is about to sleep while the writer publishes: either the reader sees the data in its
/// last look, or the bell has been rung since it took its ticket.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let shared = Arc::new((Doorbell::default(), AtomicU64::new(0)));
        let writer = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            writer.1.store(1, std::sync::atomic::Ordering::Release);
            writer.0.must_wake()
        });
        let ticket = shared.0.announce_sleep();
        let seen = shared.1.load(std::sync::atomic::Ordering::Acquire) == 1;
        let woken = thread.join().unwrap();
        let rung = shared.0.rung.load(std::sync::atomic::Ordering::Acquire) != ticket;
        assert!(seen || (woken && rung));
    });
}
