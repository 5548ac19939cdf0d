//! The reader of rings over real files: processes that died early, programs that replaced one
//! another, damage, loss, and the last drain.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "rings/bench.rs"]
mod bench;
#[path = "rings/python.rs"]
mod python;

use bench::{Bench, Living, Writer, dead_pid, wait_until};
use carafe_telemetry::UnixNanos;
use carafe_wire::ring::Memory;
use std::sync::atomic::Ordering;

#[test]
fn a_process_that_died_before_the_first_look_is_read_to_its_end() {
    let bench = Bench::new();
    let mut writer = bench.ring(dead_pid(), 1);
    (0..3).for_each(|id| writer.exchange(id));
    // Answered by nobody: the span says so.
    writer.request(9);
    bench.read_once();
    assert_eq!(bench.spans.count(), 4);
    assert!(!writer.path.exists());
    assert_eq!(bench.counters.processes.load(Ordering::Relaxed), 1);
    assert_eq!(bench.unusable(), 0);
}

#[test]
fn rings_of_the_dead_go_while_the_living_keep_the_reader_busy() {
    let bench = Bench::new();
    let mut living = bench.ring(std::process::id(), 1);
    let dead = bench.ring(dead_pid(), 2);
    let thread = bench.start();
    let mut id = 0;
    wait_until("the dead process' ring is removed", || {
        living.exchange(id);
        id += 1;
        let sent = usize::try_from(id).unwrap();
        wait_until("the exchange is read", || bench.spans.count() == sent);
        !dead.path.exists()
    });
    assert!(living.path.exists());
    bench.finish(thread);
}

#[test]
fn the_last_drain_takes_all_that_was_written_before_the_stop() {
    for _ in 0..20 {
        let bench = Bench::new();
        let thread = bench.start();
        let mut early = bench.ring(std::process::id(), 1);
        (0..50).for_each(|id| early.exchange(id));
        let mut late = bench.ring(dead_pid(), 2);
        late.exchange(1);
        bench.finish(thread);
        assert_eq!(bench.spans.count(), 51);
    }
}

/// A program and the one that replaced it (exec), both seen first in one look at the directory,
/// in whatever order that lists them: the later one goes on being read and measured.
#[test]
fn of_two_programs_in_one_process_the_later_is_read_on() {
    let bench = Bench::new();
    let processes: Vec<Living> = (0..8).map(|_| Living::new()).collect();
    let mut pairs: Vec<(Writer, Writer)> = processes
        .iter()
        .map(|process| (bench.ring(process.0.id(), 1_000), bench.ring(process.0.id(), 999_000)))
        .collect();
    for (earlier, later) in &mut pairs {
        earlier.exchange(1);
        later.exchange(1);
    }
    let thread = bench.start();
    wait_until("the earlier rings are removed", || {
        pairs.iter().all(|(earlier, _)| !earlier.path.exists())
    });
    assert!(pairs.iter().all(|(_, later)| later.path.exists()));
    pairs.iter_mut().for_each(|(_, later)| later.exchange(2));
    wait_until("what the later ones wrote is read", || bench.spans.count() == 24);
    for _ in 0..2 {
        let reported = bench.registry.collect(UnixNanos::now()).unwrap().resource_metrics.len();
        assert_eq!(reported, processes.len(), "the replaced program must not end its instance");
    }
    bench.finish(thread);
}

#[test]
fn damage_stays_where_it_is_and_does_not_keep_the_reader_awake() {
    let bench = Bench::new();
    let pid = std::process::id();
    let mut sound = bench.ring(pid, 3);
    let lost = bench.ring(pid - 1, 1);
    let scratched = bench.ring(pid - 2, 2);
    scratched.producer.memory().write(0, &[0xff; 64]);
    lost.producer.memory().head().store(3, Ordering::Release);
    for name in ["5-6.ring", "not-a-ring.ring", "7-8.new"] {
        std::fs::write(bench.directory.path().join(name), b"garbage").unwrap();
    }
    sound.exchange(1);
    bench.read_once();
    assert_eq!(bench.spans.count(), 1);
    assert!(bench.unusable() >= 3, "{}", bench.unusable());
    assert!(!bench.directory.path().join("5-6.ring").exists());

    // Again, with a reader that must come to rest.
    let bench = Bench::new();
    let lost = bench.ring(pid, 1);
    lost.producer.memory().head().store(3, Ordering::Release);
    let thread = bench.start();
    wait_until("the reader sleeps", || bench.doorbell.sleeping.load(Ordering::Relaxed) == 1);
    assert_eq!(bench.unusable(), 1);
    bench.finish(thread);
}

#[test]
fn what_agents_dropped_is_counted() {
    let bench = Bench::new();
    let mut writer = bench.ring(dead_pid(), 1);
    let big = [b'x'; 1 << 12];
    let mut refused = 0;
    for _ in 0..20 {
        refused += u64::from(writer.producer.push(99, &[&big]).is_err());
    }
    assert!(refused > 0);
    bench.doorbell.unwritten.fetch_add(2, Ordering::Relaxed);
    bench.read_once();
    assert_eq!(bench.counters.dropped_records.load(Ordering::Relaxed), refused + 2);
}
