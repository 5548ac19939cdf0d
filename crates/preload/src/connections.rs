//! Which descriptors are connections, and what is known of each.
//!
//! A table maps descriptors to slots; duplicates of a descriptor share one. Slots are taken at
//! accept, connect and when a descriptor arrives in a message, and returned at the last close.
//! The table is a copy in forked children, as the descriptors are.

use crate::process;
use carafe_http1 as http1;
use carafe_wire::lock::BoundedLock;
use std::cell::UnsafeCell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Descriptors that can be followed; connections on higher ones are not seen.
pub(crate) const DESCRIPTOR_LIMIT: usize = 65_536;

/// Connections that can be followed at once in one process; more are not seen. Memory is used
/// only for slots that were ever taken.
const CONNECTION_LIMIT: usize = 8_192;

/// Slot numbers plus one; 0: not a connection. Untouched parts of it cost no memory.
static SLOT_OF: [AtomicU16; DESCRIPTOR_LIMIT] = [const { AtomicU16::new(0) }; DESCRIPTOR_LIMIT];

static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());

/// Numbers of slots that were returned, as a stack; then the slots never taken.
static FREE: [AtomicU16; CONNECTION_LIMIT] = [const { AtomicU16::new(0) }; CONNECTION_LIMIT];
static FREE_COUNT: AtomicU32 = AtomicU32::new(0);
static TAKEN_EVER: AtomicU32 = AtomicU32::new(0);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// One connection. Fresh slots are zeroed memory.
pub(crate) struct Slot {
    /// Descriptors (or TLS objects) that refer to the slot.
    references: AtomicU32,
    /// Not HTTP/1: nothing to look at. Lets the hooks return at once.
    pub(crate) is_ignored: AtomicBool,
    /// The bytes on the descriptor are TLS records; the messages come from the TLS library.
    pub(crate) is_tls: AtomicBool,
    /// The process whose ring has the connection's addresses.
    pub(crate) announced_pid: AtomicU32,
    pub(crate) id: AtomicU64,
    lock: BoundedLock,
    http: UnsafeCell<http1::Connection>,
}

// SAFETY: `http` is only reached through `with_http`, which holds the lock.
unsafe impl Sync for Slot {}

impl Slot {
    /// Gives `work` the parser, unless another thread holds it for long.
    #[inline]
    pub(crate) fn with_http(&self, work: impl FnOnce(&mut http1::Connection)) {
        let Some(_guard) = self.lock.lock() else {
            self.is_ignored.store(true, Ordering::Relaxed);
            return;
        };
        // SAFETY: the lock is held.
        work(unsafe { &mut *self.http.get() });
    }
}

/// A number for something that can name a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotNumber(u16);

impl SlotNumber {
    /// For keeping in an atomic.
    pub(crate) fn raw(self) -> u16 {
        self.0
    }

    /// What [`SlotNumber::raw`] gave.
    pub(crate) fn from_raw(number: u16) -> Self {
        Self(number)
    }
}

fn cell(fd: RawFd) -> Option<&'static AtomicU16> {
    SLOT_OF.get(usize::try_from(fd).ok()?)
}

/// The slot of a descriptor. One load and a comparison when it is no connection.
#[inline]
pub(crate) fn of_descriptor(fd: RawFd) -> Option<&'static Slot> {
    match cell(fd)?.load(Ordering::Relaxed) {
        0 => None,
        number => by_number(SlotNumber(number - 1)),
    }
}

/// The slot of that number.
pub(crate) fn by_number(number: SlotNumber) -> Option<&'static Slot> {
    let slots = SLOTS.load(Ordering::Acquire);
    if slots.is_null() || usize::from(number.0) >= CONNECTION_LIMIT {
        return None;
    }
    // SAFETY: the mapping has CONNECTION_LIMIT zeroed slots, each valid, and is never unmapped.
    Some(unsafe { &*slots.add(number.0.into()) })
}

/// Starts to follow a descriptor that is a new connection. What was known of the number before
/// is forgotten (it can have been closed by a call that is not hooked).
pub(crate) fn follow(fd: RawFd) {
    let Some(cell) = cell(fd) else { return };
    forget(fd);
    if let Some(number) = take() {
        cell.store(number.0 + 1, Ordering::Release);
    }
}

/// Follows `duplicate` as another name of `fd`.
pub(crate) fn follow_duplicate(fd: RawFd, duplicate: RawFd) {
    if fd == duplicate || !process::is_this_process() {
        return;
    }
    forget(duplicate);
    let (Some(from), Some(to)) = (cell(fd), cell(duplicate)) else { return };
    let number = from.load(Ordering::Relaxed);
    if number != 0
        && let Some(slot) = by_number(SlotNumber(number - 1))
    {
        slot.references.fetch_add(1, Ordering::Relaxed);
        to.store(number, Ordering::Release);
    }
}

/// Stops to follow a descriptor, if it was a connection: it is being closed.
#[inline]
pub(crate) fn forget(fd: RawFd) {
    if cell(fd).is_some_and(|cell| cell.load(Ordering::Relaxed) != 0) {
        forget_slowly(fd);
    }
}

fn forget_slowly(fd: RawFd) {
    if !process::is_this_process() {
        return;
    }
    let number = cell(fd).map_or(0, |cell| cell.swap(0, Ordering::AcqRel));
    if number != 0 {
        release(SlotNumber(number - 1));
    }
}

/// Takes a free slot with one reference; `None` at the limit.
pub(crate) fn take() -> Option<SlotNumber> {
    let slots = slots()?;
    let number = {
        let _guard = process::connections_lock()?.lock()?;
        // A fork can copy the free list between any two of these steps: each order loses at most
        // a slot and never hands one out twice.
        match FREE_COUNT.load(Ordering::Relaxed) {
            0 => {
                let number = TAKEN_EVER.load(Ordering::Relaxed);
                if number as usize >= CONNECTION_LIMIT {
                    return None;
                }
                TAKEN_EVER.store(number + 1, Ordering::Relaxed);
                number as u16
            }
            count => {
                let number = FREE.get(count as usize - 1)?.load(Ordering::Relaxed);
                FREE_COUNT.store(count - 1, Ordering::Relaxed);
                number
            }
        }
    };
    // SAFETY: as in `by_number`; the number is below the limit.
    let slot = unsafe { &*slots.add(number.into()) };
    slot.references.store(1, Ordering::Relaxed);
    slot.is_ignored.store(false, Ordering::Relaxed);
    slot.is_tls.store(false, Ordering::Relaxed);
    slot.announced_pid.store(0, Ordering::Relaxed);
    slot.id.store(NEXT_ID.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    slot.with_http(http1::Connection::reset);
    Some(SlotNumber(number))
}

/// Gives back one reference; with the last one the connection has ended.
pub(crate) fn release(number: SlotNumber) {
    let Some(slot) = by_number(number) else { return };
    if slot.references.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    crate::observe::closed(slot);
    let Some(_guard) = process::connections_lock().and_then(BoundedLock::lock) else { return };
    let count = FREE_COUNT.load(Ordering::Relaxed);
    if let Some(place) = FREE.get(count as usize) {
        place.store(number.0, Ordering::Relaxed);
        FREE_COUNT.store(count + 1, Ordering::Relaxed);
    }
}

/// The slots' memory, mapped at first use; reserved address space until touched.
fn slots() -> Option<*mut Slot> {
    let slots = SLOTS.load(Ordering::Acquire);
    if !slots.is_null() {
        return Some(slots);
    }
    let length = CONNECTION_LIMIT * size_of::<Slot>();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    let memory = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if memory == libc::MAP_FAILED {
        return None;
    }
    let mapped = memory.cast();
    match SLOTS.compare_exchange(std::ptr::null_mut(), mapped, Ordering::AcqRel, Ordering::Acquire)
    {
        Ok(_) => Some(mapped),
        Err(other) => {
            // SAFETY: another thread was faster; nobody has seen this mapping.
            unsafe { libc::munmap(memory, length) };
            Some(other)
        }
    }
}
