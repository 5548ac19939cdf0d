//! The engine in this process: whether it is on, and the ring that it writes.

use crate::attributes::{Attributes, Bounds};
use crate::environment::{self, Environment};
use crate::gil::GilCell;
use crate::ids::Ids;
use crate::otlp::Writer;
use carafe_wire::doorbell;
use carafe_wire::record::{Hello, Notice, NoticeKind, Record};
use carafe_wire::ring::{FRAME_LIMIT_BYTES, Producer};
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use carafe_wire::{DOORBELL_FILE, RING_CAPACITY_BYTES, RING_DIR_VARIABLE, RING_SUFFIX};
use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// What tells the Python engine's rings from the universal engine's of the same process.
const ENGINE_SUFFIX: &str = "-python";

/// Notices that one process may send; a loop that finds ever new libraries must not fill the ring.
const NOTICE_LIMIT: u32 = 1_000;

/// The longest item that fits into a frame with the record around it.
const ITEM_LIMIT_BYTES: usize = FRAME_LIMIT_BYTES - 128;

/// What is left of each text of an item that is too long, at first.
const CUT_TEXT_BYTES: usize = 16 << 10;

/// A buffer that one huge item has blown up is given back.
const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// Set once the engine has started, cleared where a fault has made it stop.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// A word on a page that the kernel wipes in every forked child: 0 means a process that has not
/// made its ring yet.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

/// Counts the processes from the first to this one: what was told to an earlier one's ring must be
/// told again.
static GENERATION: AtomicU32 = AtomicU32::new(0);

static ENGINE: GilCell<Option<Engine>> = GilCell::new(None);

struct Engine {
    directory: CString,
    doorbell: MappedDoorbell,
    environment: Environment,
    ids: Ids,
    instance_id: String,
    /// What Python code says of the process, as OTLP attributes.
    resource: Vec<u8>,
    ring: Ring,
    notices: u32,
    /// Reused for every item that is encoded.
    buffer: Vec<u8>,
}

enum Ring {
    /// To be made at the first record.
    None,
    Open(Producer<MappedRing>),
    /// It could not be made: not tried again in this process.
    Failed,
}

/// Nanoseconds since 1970.
#[inline]
pub(crate) fn unix_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

#[inline]
fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Whether the engine has started and had no fault.
#[inline]
#[pyfunction]
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Which of the processes since the first this is; things defined in another generation's ring
/// must be defined again. Asked before every use of such a definition.
#[inline]
pub(crate) fn generation(py: Python<'_>) -> u32 {
    if is_new_process() {
        become_process(py);
    }
    GENERATION.load(Ordering::Relaxed)
}

#[inline]
fn is_new_process() -> bool {
    let mark = MARK.load(Ordering::Relaxed);
    // SAFETY: the page is never unmapped.
    unsafe { mark.as_ref() }.is_some_and(|mark| mark.load(Ordering::Relaxed) == 0)
}

#[cold]
fn become_process(py: Python<'_>) {
    let mark = MARK.load(Ordering::Relaxed);
    // SAFETY: as above.
    if let Some(mark) = unsafe { mark.as_ref() } {
        mark.store(1, Ordering::Relaxed);
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if let Some(engine) = ENGINE.open(py).as_mut().and_then(|engine| engine.as_mut()) {
        // The parent's mapping is not in this process: it must not be unmapped either.
        std::mem::forget(std::mem::replace(&mut engine.ring, Ring::None));
        engine.ids = Ids::seeded();
        engine.instance_id = engine.ids.uuid();
        engine.notices = 0;
    }
}

/// Runs `work` with the engine; `None` where it is off or in use.
#[inline]
fn with<R>(py: Python<'_>, work: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    if is_new_process() {
        become_process(py);
    }
    ENGINE.open(py)?.as_mut().map(work)
}

/// New ids. Also where the engine is off: the SDK works without a launcher.
#[inline]
pub(crate) fn ids<R>(py: Python<'_>, make: impl FnOnce(&mut Ids) -> R) -> R {
    static WITHOUT_ENGINE: GilCell<Option<(i32, Ids)>> = GilCell::new(None);
    if is_on() {
        if is_new_process() {
            become_process(py);
        }
        if let Some(engine) = ENGINE.open(py).as_mut().and_then(|engine| engine.as_mut()) {
            return make(&mut engine.ids);
        }
    }
    // SAFETY: takes nothing, cannot fail.
    let pid = unsafe { libc::getpid() };
    match WITHOUT_ENGINE.open(py) {
        Some(mut own) => {
            if own.as_ref().is_none_or(|(owner, _)| *owner != pid) {
                *own = Some((pid, Ids::seeded()));
            }
            match own.as_mut() {
                Some((_, ids)) => make(ids),
                None => make(&mut Ids::seeded()),
            }
        }
        None => make(&mut Ids::seeded()),
    }
}

/// What the variables say; the defaults where the engine is off.
pub(crate) fn environment(py: Python<'_>) -> Environment {
    with(py, |engine| engine.environment.clone()).unwrap_or_else(Environment::read)
}

/// Writes a record; whether it was written.
#[inline]
pub(crate) fn write(py: Python<'_>, record: &Record<'_>) -> bool {
    with(py, |engine| engine.write(record)).unwrap_or(false)
}

/// Encodes an item into a buffer that is kept, and writes the record that `record` makes of the
/// bytes; whether it was written. No Python code may run in `encode`. An item that is too long for
/// the ring is encoded again with its texts cut.
#[inline]
pub(crate) fn write_encoded(
    py: Python<'_>,
    encode: impl Fn(&mut Writer<'_>),
    record: impl for<'a> FnOnce(&'a [u8]) -> Record<'a>,
) -> bool {
    with(py, |engine| {
        let mut buffer = std::mem::take(&mut engine.buffer);
        buffer.clear();
        encode(&mut Writer::new(&mut buffer));
        let mut text_limit = CUT_TEXT_BYTES;
        while buffer.len() > ITEM_LIMIT_BYTES && text_limit > 0 {
            buffer.clear();
            encode(&mut Writer::with_text_limit(&mut buffer, text_limit));
            text_limit /= 16;
        }
        let is_written = engine.write(&record(&buffer));
        if buffer.capacity() <= KEPT_BUFFER_BYTES {
            engine.buffer = buffer;
        }
        is_written
    })
    .unwrap_or(false)
}

impl Engine {
    #[inline]
    fn write(&mut self, record: &Record<'_>) -> bool {
        if !IS_ON.load(Ordering::Relaxed) {
            return false;
        }
        if matches!(self.ring, Ring::None) {
            self.make_ring();
        }
        let Ring::Open(ring) = &mut self.ring else { return false };
        let is_written = push(ring, record);
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
        is_written
    }

    #[cold]
    fn make_ring(&mut self) {
        self.ring = match self.create_and_publish() {
            Some(ring) => Ring::Open(ring),
            None => {
                self.doorbell.faults.fetch_add(1, Ordering::Relaxed);
                Ring::Failed
            }
        };
        self.doorbell.rings.fetch_add(1, Ordering::Release);
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
    }

    /// Creates the ring file under a temporary name, writes what a reader must know first, and
    /// renames it.
    fn create_and_publish(&self) -> Option<Producer<MappedRing>> {
        // SAFETY: takes nothing, cannot fail.
        let pid = unsafe { libc::getpid() }.cast_unsigned();
        let time_ns = clock_ns(libc::CLOCK_MONOTONIC);
        let path = |suffix: &str| {
            let name = format!("/{pid}-{time_ns}{ENGINE_SUFFIX}{suffix}");
            CString::new([self.directory.to_bytes(), name.as_bytes()].concat()).ok()
        };
        let (temporary, path) = (path(".new")?, path(RING_SUFFIX)?);
        let ring = self.create(&temporary, &path, pid, time_ns);
        if ring.is_none() {
            // SAFETY: a C string that outlives the call.
            unsafe { libc::unlink(temporary.as_ptr()) };
        }
        ring
    }

    fn create(
        &self,
        temporary: &CStr,
        path: &CStr,
        pid: u32,
        time_ns: u64,
    ) -> Option<Producer<MappedRing>> {
        let ring = MappedRing::create(temporary, RING_CAPACITY_BYTES, pid).ok()?;
        ring.keep_out_of_children();
        let mut ring = Producer::new(ring);
        let executable = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        let hello = Hello {
            pid,
            // SAFETY: takes nothing, cannot fail.
            parent_pid: unsafe { libc::getppid() }.cast_unsigned(),
            time_ns,
            executable: executable.as_os_str().as_encoded_bytes(),
        };
        let is_complete = push(&mut ring, &Record::Hello(hello))
            && push(&mut ring, &Record::Resource(&self.encode_resource()));
        // SAFETY: both are C strings that outlive the call.
        let is_published =
            is_complete && unsafe { libc::rename(temporary.as_ptr(), path.as_ptr()) } == 0;
        is_published.then_some(ring)
    }

    /// The OTLP resource of this process.
    fn encode_resource(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let mut writer = Writer::new(&mut bytes);
        for (key, value) in [
            ("telemetry.sdk.language", "python"),
            ("telemetry.sdk.name", "opentelemetry"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ] {
            writer.string_attribute(1, key, value);
        }
        if !self.environment.has_instance_id {
            writer.string_attribute(1, "service.instance.id", &self.instance_id);
        }
        for (key, value) in [
            ("telemetry.distro.name", "carafe"),
            ("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        ] {
            writer.string_attribute(1, key, value);
        }
        bytes.extend_from_slice(&self.resource);
        bytes
    }
}

#[inline]
fn push(ring: &mut Producer<MappedRing>, record: &Record<'_>) -> bool {
    let (kind, fixed, rest) = record.encode();
    ring.push(kind, &[fixed.as_slice(), rest]).is_ok()
}

/// Attributes that Python code adds to the resource of this process and of those that it forks.
fn set_resource(py: Python<'_>, attributes: Vec<u8>) {
    with(py, |engine| {
        engine.resource = attributes;
        if matches!(engine.ring, Ring::Open(_)) {
            let resource = engine.encode_resource();
            engine.write(&Record::Resource(&resource));
        }
    });
}

/// Attributes that Python code adds to the resource: a mapping of texts and numbers.
#[pyfunction]
fn set_resource_attributes(attributes: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = attributes.py();
    let mut own = Attributes::default();
    own.extend(attributes, Bounds { count: None, length: None })?;
    let mut bytes = Vec::new();
    own.encode(py, &mut Writer::new(&mut bytes), 1);
    set_resource(py, bytes);
    Ok(())
}

/// The id of this process among the instances of the service; a new one after every fork.
#[pyfunction]
fn instance_id(py: Python<'_>) -> Option<String> {
    with(py, |engine| engine.instance_id.clone())
}

/// Starts the engine; why it does not start, or `None` where it has.
#[pyfunction]
fn start(py: Python<'_>) -> Option<&'static str> {
    if is_on() {
        return None;
    }
    let Some(directory) = std::env::var_os(RING_DIR_VARIABLE) else {
        return Some("no launcher: CARAFE_RING_DIR is not set");
    };
    let environment = Environment::read();
    if environment.is_disabled {
        return Some("OTEL_SDK_DISABLED is set");
    }
    let mut doorbell = directory.clone();
    doorbell.push("/");
    doorbell.push(DOORBELL_FILE);
    let (Ok(directory), Ok(doorbell)) =
        (CString::new(directory.into_vec()), CString::new(doorbell.into_vec()))
    else {
        return Some("CARAFE_RING_DIR holds a zero byte");
    };
    let Ok(doorbell) = MappedDoorbell::open(&doorbell) else {
        return Some("the launcher is gone");
    };
    let Some(mark) = map_mark() else {
        doorbell.faults.fetch_add(1, Ordering::Relaxed);
        return Some("no page that forks wipe (Linux 4.14)");
    };
    let mut ids = Ids::seeded();
    let engine = Engine {
        directory,
        doorbell,
        environment,
        instance_id: ids.uuid(),
        ids,
        resource: Vec::new(),
        ring: Ring::None,
        notices: 0,
        buffer: Vec::with_capacity(2048),
    };
    *ENGINE.open(py)? = Some(engine);
    MARK.store(mark, Ordering::Relaxed);
    IS_ON.store(true, Ordering::Relaxed);
    None
}

/// Nothing is written any more, in this process and those that it forks.
#[pyfunction]
fn stop() {
    IS_ON.store(false, Ordering::Relaxed);
}

fn map_mark() -> Option<*mut AtomicU32> {
    const PAGE_BYTES: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_BYTES, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping just made.
    if unsafe { libc::madvise(page, PAGE_BYTES, libc::MADV_WIPEONFORK) } != 0 {
        return None;
    }
    let mark = page.cast::<AtomicU32>();
    // SAFETY: the page is zeroed, aligned, and nobody else knows of it.
    unsafe { (*mark).store(1, Ordering::Relaxed) };
    Some(mark)
}

/// A line for the start report: kind 0 instrumented, 1 left alone, 2 problem.
#[pyfunction]
fn notice(py: Python<'_>, kind: u8, name: &str, version: &str, reason: &str) {
    let kind = match kind {
        0 => NoticeKind::Instrumented,
        1 => NoticeKind::LeftAlone,
        _ => NoticeKind::Problem,
    };
    let mut text = Vec::with_capacity(name.len() + version.len() + reason.len() + 3);
    for part in [name, version, reason] {
        text.extend(part.bytes().filter(|byte| *byte != 0));
        text.push(0);
    }
    with(py, |engine| {
        if engine.notices < NOTICE_LIMIT {
            engine.notices += 1;
            engine.write(&Record::Notice(Notice { kind, text: &text }));
        }
    });
}

/// A problem for the start report.
pub(crate) fn problem(py: Python<'_>, name: &str, reason: &str) {
    notice(py, 2, name, "", reason);
}

/// Counts a fault of the engine, and says the first of each place.
#[pyfunction]
#[pyo3(signature = (place, error=None))]
pub(crate) fn fault(py: Python<'_>, place: &str, error: Option<&Bound<'_, PyAny>>) {
    static SEEN: GilCell<Vec<String>> = GilCell::new(Vec::new());
    /// Places that are told apart.
    const PLACE_LIMIT: usize = 64;
    let is_new = SEEN.open(py).is_some_and(|mut seen| {
        let is_new = seen.len() < PLACE_LIMIT && !seen.iter().any(|known| known == place);
        if is_new {
            seen.push(place.to_owned());
        }
        is_new
    });
    with(py, |engine| engine.doorbell.faults.fetch_add(1, Ordering::Relaxed));
    if is_new {
        let text = error.and_then(|error| error.repr().ok()).map(|text| text.to_string());
        notice(py, 2, place, "", &format!("fault of the engine: {}", text.unwrap_or_default()));
    }
}

/// Raises in the main thread, as soon as Python code runs there again, what is no fault of ours: an
/// interrupt that a signal's handler raised while the app's code ran inside ours. Handlers run in
/// the main thread only; what came in another is counted.
#[cold]
fn raise_soon(py: Python<'_>, interrupt: PyErr) {
    extern "C" fn raise(interrupt: *mut c_void) -> c_int {
        // SAFETY: the interpreter makes pending calls with its lock held, each once, with the
        // pointer that was given along.
        let (py, interrupt) =
            unsafe { (Python::assume_attached(), Box::from_raw(interrupt.cast::<PyErr>())) };
        interrupt.restore(py);
        -1
    }
    // SAFETY: both take nothing and cannot fail.
    let is_main_thread = unsafe { libc::getpid() == libc::gettid() };
    if is_main_thread {
        let interrupt = Box::into_raw(Box::new(interrupt));
        // SAFETY: the function has the type that is asked for, and takes what the pointer owns.
        if unsafe { ffi::Py_AddPendingCall(Some(raise), interrupt.cast()) } == 0 {
            return;
        }
        // SAFETY: the queue was full, so the pointer is still ours.
        drop(unsafe { Box::from_raw(interrupt) });
        fault(py, "interrupt", None);
    } else {
        fault(py, "interrupt", Some(interrupt.value(py)));
    }
}

/// Runs work of ours inside the app: an error of it is counted and goes no further, a panic also
/// stops the engine. An interrupt (what is no `Exception`) goes on once the work is left.
#[inline]
pub(crate) fn guard<R>(
    py: Python<'_>,
    place: &str,
    work: impl FnOnce() -> PyResult<R>,
) -> Option<R> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) if error.is_instance_of::<PyException>(py) => {
            fault(py, place, Some(error.value(py)));
            None
        }
        Ok(Err(interrupt)) => {
            raise_soon(py, interrupt);
            None
        }
        Err(_) => {
            fault(py, place, None);
            stop();
            None
        }
    }
}

/// Tells the universal engine, where it is in this process, that HTTP servers (1) or clients (2)
/// are seen here.
#[pyfunction]
pub(crate) fn yield_universal(halves: u32) {
    // SAFETY: the name is a C string; the result is null or the address of the function that the
    // universal engine exports under that name with this type.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"carafe_universal_yield".as_ptr());
        if !symbol.is_null() {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32)>(symbol)(halves);
        }
    }
}

/// Called as the interpreter ends: daemon threads must not be unwound through our frames. The
/// universal engine, where it is in this process, holds them.
#[pyfunction]
pub(crate) fn hold_threads() {
    // SAFETY: the name is a C string; the result is null or the address of the function that the
    // universal engine exports under that name with this type.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"carafe_universal_hold_threads".as_ptr());
        if !symbol.is_null() {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(symbol)();
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(start, module)?)?;
    module.add_function(wrap_pyfunction!(stop, module)?)?;
    module.add_function(wrap_pyfunction!(is_on, module)?)?;
    module.add_function(wrap_pyfunction!(instance_id, module)?)?;
    module.add_function(wrap_pyfunction!(set_resource_attributes, module)?)?;
    module.add_function(wrap_pyfunction!(notice, module)?)?;
    module.add_function(wrap_pyfunction!(fault, module)?)?;
    module.add_function(wrap_pyfunction!(yield_universal, module)?)?;
    module.add_function(wrap_pyfunction!(hold_threads, module)?)?;
    environment::register(module)
}
