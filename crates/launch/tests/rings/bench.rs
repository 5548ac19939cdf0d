//! A launcher's side without an app, and the rings of processes.

use carafe_launch::http::HttpOptions;
use carafe_launch::metrics::MetricOptions;
use carafe_launch::origin::Origin;
use carafe_launch::registry::Registry;
use carafe_launch::resource::ResourceOptions;
use carafe_launch::rings::{ReaderCounters, RingReader, Sink};
use carafe_wire::doorbell;
use carafe_wire::record::{Connection, Half, Hello, Message, Notice, Record};
use carafe_wire::ring::Producer;
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use parking_lot::Mutex;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// What the reader gives out.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Taken>);

#[derive(Default)]
struct Taken {
    spans: AtomicUsize,
    items: Mutex<Vec<(Arc<Origin>, Vec<u8>)>>,
    notices: Mutex<Vec<String>>,
}

impl Sink for Spans {
    fn span(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        self.log(origin, otlp);
        self.0.spans.fetch_add(1, Ordering::AcqRel);
    }

    fn log(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        self.0.items.lock().push((Arc::clone(origin), otlp.to_vec()));
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        self.0.notices.lock().push(String::from_utf8_lossy(notice.text).replace('\0', "|"));
    }
}

impl Spans {
    pub(crate) fn count(&self) -> usize {
        self.0.spans.load(Ordering::Acquire)
    }

    /// Spans and log records.
    pub(crate) fn items(&self) -> Vec<(Arc<Origin>, Vec<u8>)> {
        self.0.items.lock().clone()
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        self.0.notices.lock().clone()
    }
}

/// A launcher's side without an app.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) doorbell: Arc<MappedDoorbell>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: Arc<ReaderCounters>,
    pub(crate) spans: Spans,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Bench {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn ring(&self, pid: u32, time_ns: u64) -> Writer {
        self.ring_of("", pid, time_ns)
    }

    /// A ring as the Python engine makes it.
    pub(crate) fn python_ring(&self, pid: u32, time_ns: u64) -> Writer {
        self.ring_of("-python", pid, time_ns)
    }

    fn ring_of(&self, engine: &str, pid: u32, time_ns: u64) -> Writer {
        let path = self.directory.path().join(format!("{pid}-{time_ns}{engine}.ring"));
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

    pub(crate) fn reader(&self) -> RingReader<Spans> {
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
    pub(crate) fn start(&self) -> JoinHandle<()> {
        let (reader, stop) = (self.reader(), Arc::clone(&self.stop));
        std::thread::spawn(move || reader.run(&stop))
    }

    /// What the launcher does when the app has ended.
    pub(crate) fn finish(&self, thread: JoinHandle<()>) {
        self.stop.store(true, Ordering::Release);
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
        thread.join().unwrap();
    }

    /// Reads once, as a launcher whose app has ended before it looked.
    pub(crate) fn read_once(&self) {
        self.reader().run(&AtomicBool::new(true));
    }

    pub(crate) fn unusable(&self) -> u64 {
        self.counters.unusable_records.load(Ordering::Relaxed)
    }
}

pub(crate) struct Writer {
    pub(crate) producer: Producer<MappedRing>,
    pub(crate) path: PathBuf,
    pub(crate) doorbell: Arc<MappedDoorbell>,
}

impl Writer {
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        let (kind, fixed, rest) = record.encode();
        self.producer.push(kind, &[fixed.as_slice(), rest]).unwrap();
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
    }

    pub(crate) fn request(&mut self, id: u64) {
        self.push(&Record::Connection(Connection {
            id,
            is_server: true,
            is_tls: false,
            local: None,
            peer: None,
        }));
        self.message(id, Half::Request, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    pub(crate) fn exchange(&mut self, id: u64) {
        self.request(id);
        self.message(id, Half::Response, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }

    pub(crate) fn message(&mut self, connection: u64, half: Half, head: &[u8]) {
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

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// A process that has ended and been collected.
pub(crate) fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// A process that lives until it is dropped.
pub(crate) struct Living(pub(crate) Child);

impl Living {
    pub(crate) fn new() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}
