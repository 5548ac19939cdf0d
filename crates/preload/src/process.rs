//! What the engine keeps per process: whether it is on, the ring, the lock before it.
//!
//! The state lives on a page that the kernel wipes in every forked child, however the child was
//! made, so a child starts as a process of its own: no ring, no lock held by a thread that does
//! not exist there. A `vfork` child shares all memory with its parent; what could do harm there
//! asks [`is_this_process`] first.

use carafe_wire::doorbell;
use carafe_wire::lock::BoundedLock;
use carafe_wire::record::{Gap, Hello, Record};
use carafe_wire::ring::Producer;
use carafe_wire::shm::{MappedDoorbell, MappedRing};
use carafe_wire::{DOORBELL_FILE, RING_CAPACITY_BYTES, RING_DIR_VARIABLE, RING_SUFFIX};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, CString};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// Longest path of a ring file. The launcher's directory names are far shorter.
const PATH_LIMIT_BYTES: usize = 256;

/// What does not change after the constructor: inherited by forked children.
struct Engine {
    directory: CString,
    doorbell: MappedDoorbell,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Set by a fault or by [`turn_off`]: the engine does nothing more in this process and its
/// children.
static DISABLED: AtomicBool = AtomicBool::new(false);

/// Which halves of HTTP another engine in this process records, as bits: [`SERVER`], [`CLIENT`].
/// Forked children inherit it together with that engine.
static YIELDED: AtomicU32 = AtomicU32::new(0);

/// Requests that this process receives.
pub(crate) const SERVER: u32 = 1;
/// Requests that it sends.
pub(crate) const CLIENT: u32 = 2;

/// Called by an engine that sees more in this process than this one does: from now on it records
/// new messages of these halves ([`SERVER`], [`CLIENT`]) alone.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn carafe_universal_yield(halves: u32) {
    YIELDED.fetch_or(halves & (SERVER | CLIENT), Ordering::Relaxed);
}

/// Whether another engine records that half.
#[inline]
pub(crate) fn has_yielded(half: u32) -> bool {
    YIELDED.load(Ordering::Relaxed) & half != 0
}

/// The page that forked children find wiped. Null while the engine is off.
static STATE: AtomicPtr<State> = AtomicPtr::new(std::ptr::null_mut());

/// All zero is the state of a new process.
struct State {
    pid: AtomicU32,
    /// Guards `ring`.
    ring_lock: BoundedLock,
    ring: UnsafeCell<Option<Producer<MappedRing>>>,
    has_ring: AtomicBool,
    /// Set when the ring could not be made: not tried again.
    has_failed: AtomicBool,
    /// A record was dropped since the last that was written: the reader must know where.
    has_gap: AtomicBool,
    /// Guards the free list of connections.
    connections_lock: BoundedLock,
}

thread_local! {
    /// True while this thread is inside the engine: a signal handler that interrupts it, or a
    /// hooked function that the engine itself calls, passes through.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Reads the environment and maps the launcher's doorbell; leaves the engine off where there is
/// no launcher.
pub(crate) fn initialise() {
    let Some(directory) = std::env::var_os(RING_DIR_VARIABLE) else { return };
    let directory = std::os::unix::ffi::OsStringExt::into_vec(directory);
    let mut doorbell = directory.clone();
    doorbell.push(b'/');
    doorbell.extend_from_slice(DOORBELL_FILE.as_bytes());
    let (Ok(directory), Ok(doorbell)) = (CString::new(directory), CString::new(doorbell)) else {
        return;
    };
    let Ok(doorbell) = MappedDoorbell::open(&doorbell) else { return };
    crate::environment::remember();
    let Some(state) = map_state() else {
        doorbell.faults.fetch_add(1, Ordering::Relaxed);
        return;
    };
    if ENGINE.set(Engine { directory, doorbell }).is_ok() {
        STATE.store(state, Ordering::Release);
        note_pid();
        // SAFETY: the handler is an async-signal-safe function of the required type.
        unsafe { libc::pthread_atfork(None, None, Some(note_pid_in_child)) };
    }
}

/// Writes down whose memory this is, before anybody can ask in a `vfork` child.
unsafe extern "C" fn note_pid_in_child() {
    note_pid();
}

fn note_pid() {
    let state = STATE.load(Ordering::Acquire);
    // SAFETY: as in `state`.
    if let Some(state) = unsafe { state.as_ref() } {
        state.pid.store(own_pid(), Ordering::Relaxed);
    }
}

fn map_state() -> Option<*mut State> {
    let length = size_of::<State>().next_multiple_of(4096);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping just made.
    if unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) } != 0 {
        return None;
    }
    Some(page.cast())
}

/// The state of this process; `None` while the engine is off.
#[inline]
fn state() -> Option<&'static State> {
    let state = STATE.load(Ordering::Acquire);
    // SAFETY: the mapping is never unmapped, and all zero bytes are a valid State: atomics and
    // locks by their documentation; the ring's cell is read only where `has_ring` was set.
    let state = unsafe { state.as_ref() }?;
    if DISABLED.load(Ordering::Relaxed) {
        return None;
    }
    if state.pid.load(Ordering::Relaxed) == 0 {
        // A child that was not made by libc's fork.
        state.pid.store(own_pid(), Ordering::Relaxed);
    }
    Some(state)
}

fn own_pid() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    u32::try_from(unsafe { libc::getpid() }).unwrap_or(0)
}

/// The process that this memory belongs to: changes in forked children. 0 while the engine is off.
#[inline]
pub(crate) fn pid() -> u32 {
    state().map_or(0, |state| state.pid.load(Ordering::Relaxed))
}

/// False in a `vfork` child, which must not change the memory that it shares with its parent.
pub(crate) fn is_this_process() -> bool {
    state().is_some_and(|state| state.pid.load(Ordering::Relaxed) == own_pid())
}

/// The lock before the free list of connections.
pub(crate) fn connections_lock() -> Option<&'static BoundedLock> {
    state().map(|state| &state.connections_lock)
}

/// Runs `work` unless the engine is off or this thread is inside it already. Keeps `errno`. A
/// panic in it disables the engine.
#[inline]
pub(crate) fn enter(work: impl FnOnce()) {
    let is_off = STATE.load(Ordering::Relaxed).is_null() || DISABLED.load(Ordering::Relaxed);
    if is_off || INSIDE.get() {
        return;
    }
    INSIDE.set(true);
    let errno = crate::original::errno();
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        disable();
    }
    crate::original::set_errno(errno);
    INSIDE.set(false);
}

/// The process is about to give up system calls (seccomp), and one of ours could end it.
pub(crate) fn turn_off() {
    DISABLED.store(true, Ordering::Relaxed);
}

#[cold]
fn disable() {
    turn_off();
    if let Some(engine) = ENGINE.get() {
        engine.doorbell.faults.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nanoseconds of CLOCK_MONOTONIC, through the vDSO.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Writes a record to this process' ring, which is made at the first one; whether it was written.
#[inline]
pub(crate) fn emit(record: &Record<'_>) -> bool {
    let (Some(state), Some(engine)) = (state(), ENGINE.get()) else { return false };
    let Some(_guard) = state.ring_lock.lock() else {
        engine.doorbell.unwritten.fetch_add(1, Ordering::Relaxed);
        state.has_gap.store(true, Ordering::Relaxed);
        return false;
    };
    // SAFETY: the lock is held, so nobody else has a reference to the cell's content.
    let ring = unsafe { &mut *state.ring.get() };
    if !state.has_ring.load(Ordering::Relaxed) && !make_ring(state, engine, ring) {
        return false;
    }
    let Some(ring) = ring else { return false };
    let is_written =
        (!state.has_gap.load(Ordering::Relaxed) || push_gap(state, ring)) && push(ring, record);
    if !is_written {
        // The ring has counted the drop itself.
        state.has_gap.store(true, Ordering::Relaxed);
    }
    if engine.doorbell.must_wake() {
        doorbell::wake(&engine.doorbell);
    }
    is_written
}

#[inline]
fn push(ring: &mut Producer<MappedRing>, record: &Record<'_>) -> bool {
    let (kind, fixed, rest) = record.encode();
    ring.push(kind, &[fixed.as_slice(), rest]).is_ok()
}

#[cold]
fn push_gap(state: &State, ring: &mut Producer<MappedRing>) -> bool {
    let is_written = push(ring, &Record::Gap(Gap { time_ns: now_ns() }));
    state.has_gap.store(!is_written, Ordering::Relaxed);
    is_written
}

/// Makes the ring now: before a process that was started by root gives up the right to.
pub(crate) fn make_ring_early() {
    let (Some(state), Some(engine)) = (state(), ENGINE.get()) else { return };
    let Some(_guard) = state.ring_lock.lock() else { return };
    if !state.has_ring.load(Ordering::Relaxed) {
        // SAFETY: as in `emit`.
        make_ring(state, engine, unsafe { &mut *state.ring.get() });
    }
}

#[cold]
fn make_ring(state: &State, engine: &Engine, slot: &mut Option<Producer<MappedRing>>) -> bool {
    if state.has_failed.load(Ordering::Relaxed) {
        return false;
    }
    let pid = state.pid.load(Ordering::Relaxed);
    let Some(ring) = create_and_publish(engine, pid) else {
        state.has_failed.store(true, Ordering::Relaxed);
        engine.doorbell.faults.fetch_add(1, Ordering::Relaxed);
        return false;
    };
    // SAFETY: overwrites without dropping: a wiped cell's bytes are no value that was ever made.
    unsafe { std::ptr::write(slot, Some(ring)) };
    state.has_ring.store(true, Ordering::Relaxed);
    engine.doorbell.rings.fetch_add(1, Ordering::Release);
    true
}

/// Creates the ring file under a temporary name, writes the hello, and renames it.
fn create_and_publish(engine: &Engine, pid: u32) -> Option<Producer<MappedRing>> {
    // A program that replaced itself (exec) keeps its pid: the time makes the name its own.
    let time_ns = now_ns();
    let mut temporary = PathBuffer::default();
    let mut path = PathBuffer::default();
    let directory = engine.directory.to_bytes();
    temporary.fill(directory, pid, time_ns, ".new")?;
    path.fill(directory, pid, time_ns, RING_SUFFIX)?;
    let producer = create(temporary.as_c_str()?, path.as_c_str()?, pid, time_ns);
    if producer.is_none() {
        // What a full file system gave so far is not kept from the app.
        // SAFETY: a C string that outlives the call.
        unsafe { libc::unlink(temporary.as_c_str()?.as_ptr()) };
    }
    producer
}

fn create(temporary: &CStr, path: &CStr, pid: u32, time_ns: u64) -> Option<Producer<MappedRing>> {
    let ring = MappedRing::create(temporary, RING_CAPACITY_BYTES, pid).ok()?;
    ring.keep_out_of_children();
    let mut producer = Producer::new(ring);
    let mut executable = [0; carafe_wire::record::EXECUTABLE_LIMIT_BYTES];
    let hello = Record::Hello(Hello {
        pid,
        // SAFETY: takes nothing, cannot fail.
        parent_pid: u32::try_from(unsafe { libc::getppid() }).unwrap_or(0),
        time_ns,
        executable: read_executable(&mut executable),
    });
    let (kind, fixed, rest) = hello.encode();
    producer.push(kind, &[fixed.as_slice(), rest]).ok()?;
    // SAFETY: both are C strings that outlive the call.
    let renamed = unsafe { libc::rename(temporary.as_ptr(), path.as_ptr()) };
    (renamed == 0).then_some(producer)
}

fn read_executable(buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the kernel writes at most the buffer's length.
    let length = unsafe {
        libc::readlink(c"/proc/self/exe".as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
    };
    usize::try_from(length).ok().and_then(|length| buffer.get(..length)).unwrap_or_default()
}

/// A path put together without allocating.
struct PathBuffer {
    bytes: [u8; PATH_LIMIT_BYTES],
}

impl Default for PathBuffer {
    fn default() -> Self {
        Self { bytes: [0; PATH_LIMIT_BYTES] }
    }
}

impl PathBuffer {
    /// `DIRECTORY/PID-TIME.SUFFIX`; `None` where it does not fit.
    fn fill(&mut self, directory: &[u8], pid: u32, time_ns: u64, suffix: &str) -> Option<()> {
        let (content, _end) = self.bytes.split_last_chunk_mut::<1>()?;
        let mut rest: &mut [u8] = content;
        rest.write_all(directory).ok()?;
        write!(rest, "/{pid}-{time_ns}{suffix}").ok()
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}
