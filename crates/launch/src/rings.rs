//! Reads the rings of all processes of the app on one thread.
//!
//! While data comes the thread looks at the rings every [`BUSY_POLL`], so that writers never have
//! to wake it; after a quiet while it sleeps on the doorbell. Every [`LIVENESS_INTERVAL`] it looks
//! which processes have ended; a dead process' ring is read to its end and removed.

use crate::clock::{Clock, monotonic_ns};
use crate::directory::{Engine, RingName, c_path, is_alive};
use crate::exchange::{Assembler, Progress};
use crate::http::{self, HttpOptions, Request};
use crate::interpreter;
use crate::origin::Origin;
use crate::python::PythonEngine;
use crate::registry::{Instance, Registry};
use crate::resource::ProcessInfo;
use crate::route::Routes;
use carafe_telemetry::UnixNanos;
use carafe_wire::doorbell;
use carafe_wire::record::{Notice, NoticeKind, Record};
use carafe_wire::ring::{Consumer, Memory};
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the rings are looked at while data comes.
const BUSY_POLL: Duration = Duration::from_millis(4);

/// How long nothing must have come before the thread sleeps on the doorbell.
const QUIET_BEFORE_SLEEP: Duration = Duration::from_millis(40);

/// How often the thread looks whether processes have ended.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(1);

/// Rings that are read at once; further processes are not seen, which is said once.
const RING_LIMIT: usize = 4_096;

/// Takes what was read. Must not wait.
pub trait Sink: Send {
    /// A finished span: an OTLP `Span` in protobuf.
    fn span(&mut self, origin: &Arc<Origin>, otlp: &[u8]);
    /// A log record: an OTLP `LogRecord` in protobuf.
    fn log(&mut self, origin: &Arc<Origin>, otlp: &[u8]);
    /// A line for the start report.
    fn notice(&mut self, notice: &Notice<'_>);
}

/// What the reader counts, for messages and self-telemetry.
#[derive(Debug, Default)]
pub struct ReaderCounters {
    /// Records that agents dropped because their ring was full.
    pub dropped_records: AtomicU64,
    /// Records that could not be used, and rings that were found damaged.
    pub unusable_records: AtomicU64,
    /// Processes that had a ring.
    pub processes: AtomicU64,
    /// Processes in which an agent was disabled by a fault.
    pub agent_faults: AtomicU64,
}

/// Reads rings until it is stopped.
pub struct RingReader<S> {
    directory: PathBuf,
    doorbell: Arc<MappedDoorbell>,
    options: HttpOptions,
    registry: Arc<Registry>,
    counters: Arc<ReaderCounters>,
    sink: S,
    routes: Routes,
    rings: HashMap<OsString, Ring>,
    seen_rings: u32,
    seen_faults: u32,
    seen_unwritten: u32,
    has_warned: Warned,
    last_liveness_check: Instant,
    /// Where the Python engine lies; `None`: it is not wanted.
    python_path: Option<PathBuf>,
    /// Processes that had a ring of the Python engine, up to [`RING_LIMIT`].
    python_pids: HashSet<u32>,
}

#[derive(Default)]
struct Warned {
    dropped: bool,
    damaged: bool,
    too_many: bool,
}

/// One process.
struct Ring {
    path: PathBuf,
    name: RingName,
    consumer: Consumer<MappedRing>,
    assembler: Assembler,
    instance: Option<Arc<Instance>>,
    /// Of a ring that it writes.
    python: Option<PythonEngine>,
    /// Who wrote this, until it was looked at whether the Python engine should be there.
    unexamined: Option<ProcessInfo>,
    /// The process has replaced itself by another program, which has a ring of its own.
    is_superseded: bool,
    seen_dropped: u64,
    seen_orphans: u64,
}

impl<S: Sink> RingReader<S> {
    /// A reader of the rings in `directory`.
    pub fn new(
        directory: &Path,
        doorbell: Arc<MappedDoorbell>,
        options: HttpOptions,
        registry: Arc<Registry>,
        counters: Arc<ReaderCounters>,
        sink: S,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            doorbell,
            options,
            registry,
            counters,
            sink,
            routes: Routes::default(),
            rings: HashMap::new(),
            seen_rings: 0,
            seen_faults: 0,
            seen_unwritten: 0,
            has_warned: Warned::default(),
            last_liveness_check: Instant::now(),
            python_path: None,
            python_pids: HashSet::new(),
        }
    }

    /// Says so where a Python process shows up without the engine, which lies in that directory.
    pub fn expecting_python(mut self, engine: Option<PathBuf>) -> Self {
        self.python_path = engine;
        self
    }

    /// Reads until `stop` is set and the bell was rung; then once more all there is.
    pub fn run(mut self, stop: &AtomicBool) {
        let mut last_data = Instant::now();
        loop {
            let is_last = stop.load(Ordering::Acquire);
            if self.read_all() > 0 {
                last_data = Instant::now();
            }
            if is_last {
                self.finish();
                return;
            }
            if last_data.elapsed() < QUIET_BEFORE_SLEEP {
                std::thread::sleep(BUSY_POLL);
            } else {
                self.sleep(stop);
            }
            // Also while data never ceases: the rings of the dead hold memory.
            if self.last_liveness_check.elapsed() >= LIVENESS_INTERVAL {
                self.last_liveness_check = Instant::now();
                self.note_python_without_engine();
                self.remove_ended();
                self.note_faults();
            }
        }
    }

    fn sleep(&mut self, stop: &AtomicBool) {
        let ticket = self.doorbell.announce_sleep();
        let has_news = self.doorbell.rings.load(Ordering::Acquire) != self.seen_rings
            || self.rings.values().any(|ring| !ring.consumer.is_empty())
            || stop.load(Ordering::Acquire);
        if !has_news {
            doorbell::wait(&self.doorbell, ticket, LIVENESS_INTERVAL);
        }
        self.doorbell.announce_awake();
    }

    /// Reads what waits in all rings; how many records it was.
    fn read_all(&mut self) -> usize {
        self.find_new_rings();
        let clock = Clock::now();
        let Self { rings, options, registry, routes, sink, counters, has_warned, .. } = self;
        let mut context = Context { options, registry, routes, sink, clock };
        let mut count = 0;
        for ring in rings.values_mut() {
            count += ring.read(&mut context, counters, has_warned);
        }
        count
    }

    fn find_new_rings(&mut self) {
        let rings = self.doorbell.rings.load(Ordering::Acquire);
        if rings == self.seen_rings {
            return;
        }
        self.seen_rings = rings;
        let mut fresh: Vec<(RingName, OsString, PathBuf)> = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let parsed = RingName::parse(name.to_str()?)?;
                (!self.rings.contains_key(&name)).then(|| (parsed, name, entry.path()))
            })
            .collect();
        // Of two programs in one process the later one lives.
        fresh.sort();
        for (parsed, name, path) in fresh {
            self.open(parsed, name, path);
        }
    }

    fn open(&mut self, parsed: RingName, name: OsString, path: PathBuf) {
        if self.rings.len() >= RING_LIMIT {
            if !std::mem::replace(&mut self.has_warned.too_many, true) {
                tracing::warn!("more than {RING_LIMIT} processes; further ones are not observed");
            }
            return;
        }
        match c_path(&path).and_then(|path| MappedRing::open(&path)) {
            Ok(memory) => {
                self.supersede(parsed);
                if parsed.engine == Engine::Python && self.python_pids.len() < RING_LIMIT {
                    self.python_pids.insert(parsed.pid);
                }
                let mut others = self.rings.values().filter(|ring| ring.name.pid == parsed.pid);
                if others.all(|ring| ring.is_superseded) {
                    self.counters.processes.fetch_add(1, Ordering::Relaxed);
                }
                self.rings.insert(name, Ring::new(path, parsed, memory));
            }
            Err(error) => {
                self.counters.unusable_records.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("cannot read ring {}: {error}", path.display());
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Of two rings of one engine in one process the older belongs to a program that has replaced
    /// itself (exec), and so does what the other engine wrote before.
    fn supersede(&mut self, new: RingName) {
        let same_process = |ring: &&mut Ring| ring.name.pid == new.pid;
        let replaced = self
            .rings
            .values()
            .map(|ring| ring.name)
            .filter(|name| name.pid == new.pid && name.engine == new.engine)
            .max();
        let Some(replaced) = replaced else { return };
        for ring in self.rings.values_mut().filter(same_process) {
            // The new program can have started the other engine before this one, but then that
            // ring is younger than the one that is replaced here.
            ring.is_superseded |= ring.name.engine == new.engine
                || match new.engine {
                    Engine::Universal => ring.name.time_ns < replaced.time_ns,
                    Engine::Python => ring.name.time_ns < new.time_ns,
                };
        }
    }

    /// Reads the rings of processes that have ended to their end and forgets them.
    fn remove_ended(&mut self) {
        let ended: Vec<OsString> = self
            .rings
            .iter()
            .filter(|(_, ring)| ring.is_superseded || !is_alive(ring.name.pid))
            .map(|(name, _)| name.clone())
            .collect();
        if !ended.is_empty() {
            // What they wrote before they ended is there now.
            self.read_all();
        }
        for name in ended {
            if let Some(ring) = self.rings.remove(&name) {
                self.end(ring);
            }
        }
    }

    fn finish(&mut self) {
        self.note_faults();
        let is_running = |ring: &&Ring| !ring.is_superseded && is_alive(ring.name.pid);
        let running: HashSet<u32> =
            self.rings.values().filter(is_running).map(|ring| ring.name.pid).collect();
        let running = running.len();
        if running > 0 {
            tracing::warn!(
                "the app's main process has ended; {running} other process(es) of it still run \
                 and are not observed any more; hint: run the app in the foreground"
            );
        }
        for (_, ring) in std::mem::take(&mut self.rings) {
            self.end(ring);
        }
    }

    fn end(&mut self, mut ring: Ring) {
        let Self { options, registry, routes, sink, rings, .. } = self;
        let mut context = Context { options, registry, routes, sink, clock: Clock::now() };
        if let Some(python) = &ring.python {
            python.end();
        }
        if let Some(instance) = ring.instance.take() {
            ring.assembler.process_ended(monotonic_ns(), &mut |progress| {
                context.progress(&instance, progress);
            });
            // A program that replaced this one goes on measuring in its instance.
            let is_shared = rings
                .values()
                .filter_map(|other| other.instance.as_ref())
                .any(|other| Arc::ptr_eq(other, &instance));
            if !is_shared {
                registry.ended(&instance);
            }
        }
        let _ = std::fs::remove_file(&ring.path);
    }

    /// Looks once at each process: the engine starts before the app, and so before any message.
    fn note_python_without_engine(&mut self) {
        let Some(engine) = &self.python_path else { return };
        for ring in self.rings.values_mut() {
            let Some(process) = ring.unexamined.take() else { continue };
            if self.python_pids.contains(&process.pid) {
                continue;
            }
            // A forked process has its parent's engine, which has not said anything there yet.
            let has_parents = self.python_pids.contains(&process.parent_pid);
            if let Some(reason) = interpreter::why_without_engine(&process, engine, has_parents) {
                let text = [b"python\0\0", reason.as_bytes(), b"\0"].concat();
                self.sink.notice(&Notice { kind: NoticeKind::Problem, text: &text });
            }
        }
    }

    fn note_faults(&mut self) {
        let unwritten = self.doorbell.unwritten.load(Ordering::Relaxed);
        let news = unwritten.wrapping_sub(self.seen_unwritten);
        self.seen_unwritten = unwritten;
        self.counters.dropped_records.fetch_add(news.into(), Ordering::Relaxed);
        let faults = self.doorbell.faults.load(Ordering::Relaxed);
        if faults != self.seen_faults {
            self.counters.agent_faults.store(faults.into(), Ordering::Relaxed);
            self.seen_faults = faults;
            tracing::warn!(
                "an engine was disabled by a fault in {faults} process(es); \
                 the app goes on without it there"
            );
        }
    }
}

impl Ring {
    fn new(path: PathBuf, name: RingName, memory: MappedRing) -> Self {
        Self {
            path,
            name,
            consumer: Consumer::new(memory),
            assembler: Assembler::default(),
            instance: None,
            python: None,
            unexamined: None,
            is_superseded: false,
            seen_dropped: 0,
            seen_orphans: 0,
        }
    }

    fn read<S: Sink>(
        &mut self,
        context: &mut Context<'_, S>,
        counters: &ReaderCounters,
        has_warned: &mut Warned,
    ) -> usize {
        let Self { consumer, assembler, instance, python, unexamined, name, .. } = self;
        let mut unusable = 0;
        let result = consumer.drain(|kind, payload| {
            let Some(record) = Record::decode(kind, payload) else {
                unusable += 1;
                return;
            };
            if let Record::Hello(hello) = record {
                let process = ProcessInfo {
                    pid: name.pid,
                    parent_pid: hello.parent_pid,
                    executable: String::from_utf8_lossy(hello.executable).into_owned(),
                };
                let started = context.registry.started(&process);
                if name.engine == Engine::Python && python.is_none() {
                    *python = Some(PythonEngine::new(Arc::clone(&started), context.registry));
                }
                *instance = Some(started);
                *unexamined = Some(process);
            } else if let Some(python) = python {
                unusable += u64::from(!python.record(&record, context.sink));
            } else if let Some(instance) = instance {
                assembler.record(record, &mut |progress| context.progress(instance, progress));
            }
        });
        unusable += assembler.orphans() - self.seen_orphans;
        self.seen_orphans = assembler.orphans();
        let count = result.unwrap_or_else(|corrupt| {
            unusable += 1;
            if !std::mem::replace(&mut has_warned.damaged, true) {
                tracing::warn!("the ring of process {} is damaged ({corrupt:?})", self.name.pid);
            }
            1
        });
        counters.unusable_records.fetch_add(unusable, Ordering::Relaxed);
        self.note_dropped(counters, has_warned);
        count
    }

    fn note_dropped(&mut self, counters: &ReaderCounters, has_warned: &mut Warned) {
        let dropped = self.consumer.memory().dropped().load(Ordering::Relaxed);
        if dropped > self.seen_dropped {
            counters.dropped_records.fetch_add(dropped - self.seen_dropped, Ordering::Relaxed);
            self.seen_dropped = dropped;
            if !std::mem::replace(&mut has_warned.dropped, true) {
                tracing::warn!(
                    "process {} writes records faster than they are read; some are dropped \
                     (counted in carafe.agent.records.dropped)",
                    self.name.pid
                );
            }
        }
    }
}

/// What turns progress into telemetry.
struct Context<'a, S> {
    options: &'a HttpOptions,
    registry: &'a Registry,
    routes: &'a mut Routes,
    sink: &'a mut S,
    clock: Clock,
}

impl<S: Sink> Context<'_, S> {
    fn progress(&mut self, instance: &Instance, progress: Progress<'_>) {
        match progress {
            Progress::Started(connection, head) => {
                if connection.is_server
                    && let Some(request) = Request::parse(connection, head)
                {
                    let labels = request.active_labels(connection, self.options.semconv);
                    instance.metrics.lock().request_started(labels);
                }
            }
            Progress::Finished(exchange) => {
                let traced = http::trace(&exchange, self.options, self.routes, &self.clock);
                if let Some(traced) = traced {
                    instance.metrics.lock().finished(&traced, UnixNanos::now());
                    if let Some(span) = traced.span {
                        self.sink.span(&instance.universal(), &span.encode_to_vec());
                    }
                }
            }
        }
    }
}
