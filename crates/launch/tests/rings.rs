//! The reader of rings over real files: processes that died early, programs that replaced one
//! another, damage, loss, and the last drain.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use carafe_launch::http::HttpOptions;
use carafe_launch::metrics::MetricOptions;
use carafe_launch::origin::Origin;
use carafe_launch::registry::Registry;
use carafe_launch::resource::ResourceOptions;
use carafe_launch::rings::{ReaderCounters, RingReader, Sink};
use carafe_telemetry::UnixNanos;
use carafe_wire::doorbell;
use carafe_wire::record::{Connection, Half, Hello, Message, Notice, Record};
use carafe_wire::ring::{Memory, Producer};
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Spans(Arc<AtomicUsize>);

impl Sink for Spans {
    fn span(&mut self, _origin: &Arc<Origin>, _otlp: &[u8]) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn log(&mut self, _origin: &Arc<Origin>, _otlp: &[u8]) {}

    fn notice(&mut self, _notice: &Notice<'_>) {}
}

impl Spans {
    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// A launcher's side without an app.
struct Bench {
    directory: tempfile::TempDir,
    doorbell: Arc<MappedDoorbell>,
    registry: Arc<Registry>,
    counters: Arc<ReaderCounters>,
    spans: Spans,
    stop: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let doorbell = MappedDoorbell::create(&c_path(&directory.path().join("doorbell"))).unwrap();
        Self {
            doorbell: Arc::new(doorbell),
            registry: Arc::new(Registry::new(ResourceOptions::default(), MetricOptions::default())),
            counters: Arc::default(),
            spans: Spans::default(),
            stop: Arc::default(),
            directory,
        }
    }

    /// A ring as an agent in process `pid` makes it.
    fn ring(&self, pid: u32, time_ns: u64) -> Writer {
        let path = self.directory.path().join(format!("{pid}-{time_ns}.ring"));
        let temporary = path.with_extension("new");
        let ring = MappedRing::create(&c_path(&temporary), 1 << 16, pid).unwrap();
        let mut writer =
            Writer { producer: Producer::new(ring), path, doorbell: Arc::clone(&self.doorbell) };
        let hello = Hello { pid, parent_pid: 1, time_ns, executable: b"/bin/app" };
        writer.push(&Record::Hello(hello));
        std::fs::rename(&temporary, &writer.path).unwrap();
        self.doorbell.rings.fetch_add(1, Ordering::Release);
        writer
    }

    fn reader(&self) -> RingReader<Spans> {
        RingReader::new(
            self.directory.path(),
            Arc::clone(&self.doorbell),
            HttpOptions::default(),
            Arc::clone(&self.registry),
            Arc::clone(&self.counters),
            self.spans.clone(),
        )
    }

    /// Reads on a thread, as the launcher does.
    fn start(&self) -> JoinHandle<()> {
        let (reader, stop) = (self.reader(), Arc::clone(&self.stop));
        std::thread::spawn(move || reader.run(&stop))
    }

    /// What the launcher does when the app has ended.
    fn finish(&self, thread: JoinHandle<()>) {
        self.stop.store(true, Ordering::Release);
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
        thread.join().unwrap();
    }

    /// Reads once, as a launcher whose app has ended before it looked.
    fn read_once(&self) {
        self.reader().run(&AtomicBool::new(true));
    }

    fn unusable(&self) -> u64 {
        self.counters.unusable_records.load(Ordering::Relaxed)
    }
}

struct Writer {
    producer: Producer<MappedRing>,
    path: PathBuf,
    doorbell: Arc<MappedDoorbell>,
}

impl Writer {
    fn push(&mut self, record: &Record<'_>) {
        let (kind, fixed, rest) = record.encode();
        self.producer.push(kind, &[fixed.as_slice(), rest]).unwrap();
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
    }

    fn request(&mut self, id: u64) {
        self.push(&Record::Connection(Connection {
            id,
            is_server: true,
            is_tls: false,
            local: None,
            peer: None,
        }));
        self.message(id, Half::Request, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    fn exchange(&mut self, id: u64) {
        self.request(id);
        self.message(id, Half::Response, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }

    fn message(&mut self, connection: u64, half: Half, head: &[u8]) {
        self.push(&Record::Message(Message {
            connection,
            half,
            is_truncated: false,
            complete_body_bytes: Some(0),
            started_ns: 1,
            time_ns: 2,
            head,
        }));
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// A process that has ended and been collected.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// A process that lives until it is dropped.
struct Living(Child);

impl Living {
    fn new() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

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
