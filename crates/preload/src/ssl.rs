//! Messages inside TLS, seen at OpenSSL's read and write functions where the program's OpenSSL is
//! a shared library.
//!
//! An object with a socket of its own uses the socket's slot. One that works on memory (asyncio's)
//! gets a slot by its address; its socket is the one that the same thread used last for TLS
//! records.

use crate::connections::{self, Slot, SlotNumber};
use crate::observe;
use crate::openssl::{self, Function};
use crate::process;
use carafe_http1::Io;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// TLS objects without a socket that can be followed at once; a power of two. More are not seen.
const OBJECT_LIMIT: usize = 1_024;

/// Places after its own where an object is looked for.
const PROBE_LIMIT: usize = 16;

struct Object {
    address: AtomicUsize,
    slot: AtomicU16,
}

static OBJECTS: [Object; OBJECT_LIMIT] =
    [const { Object { address: AtomicUsize::new(0), slot: AtomicU16::new(0) } }; OBJECT_LIMIT];

thread_local! {
    /// The followed descriptor that this thread used last for bytes that are not HTTP.
    static LAST_IGNORED: Cell<RawFd> = const { Cell::new(-1) };
}

/// Notes that the thread moved bytes that the parser does not look at.
#[inline]
pub(crate) fn note_ignored(fd: RawFd) {
    LAST_IGNORED.set(fd);
}

/// Plaintext that went through a TLS object.
pub(crate) fn transferred(ssl: *mut c_void, io: Io, bytes: &[u8]) {
    process::enter(|| {
        let fd = descriptor(ssl);
        if fd >= 0 {
            if let Some(slot) = connections::of_descriptor(fd) {
                mark_tls(slot);
                observe::feed(slot, Some(fd), io, bytes.len().cast_signed(), [bytes].into_iter());
            }
            return;
        }
        let socket = LAST_IGNORED.get();
        if let Some(slot) = slot_of_object(ssl) {
            let fd = (socket >= 0).then_some(socket);
            observe::feed(slot, fd, io, bytes.len().cast_signed(), [bytes].into_iter());
        }
    });
}

/// The TLS object is about to be freed.
pub(crate) fn freed(ssl: *mut c_void) {
    process::enter(|| {
        let Some(object) = find(ssl) else { return };
        if process::is_this_process() {
            let number = object.slot.load(Ordering::Acquire);
            object.address.store(TOMBSTONE, Ordering::Release);
            connections::release(SlotNumber::from_raw(number));
        }
    });
}

/// What the parser saw of the socket so far were TLS records: it starts anew with the plaintext.
fn mark_tls(slot: &Slot) {
    if !slot.is_tls.swap(true, Ordering::Relaxed) {
        slot.is_ignored.store(false, Ordering::Relaxed);
        slot.with_http(carafe_http1::Connection::reset);
    }
}

/// Marks a place whose object was freed: searches go on behind it.
const TOMBSTONE: usize = 1;

fn places(ssl: *mut c_void) -> impl Iterator<Item = &'static Object> {
    // Objects are allocated at multiples of 16.
    let start = ssl.addr() >> 4;
    (0..PROBE_LIMIT).filter_map(move |step| OBJECTS.get((start + step) & (OBJECT_LIMIT - 1)))
}

fn find(ssl: *mut c_void) -> Option<&'static Object> {
    places(ssl)
        .take_while(|object| object.address.load(Ordering::Relaxed) != 0)
        .find(|object| object.address.load(Ordering::Acquire) == ssl.addr())
}

fn slot_of_object(ssl: *mut c_void) -> Option<&'static Slot> {
    if let Some(object) = find(ssl) {
        return connections::by_number(SlotNumber::from_raw(object.slot.load(Ordering::Acquire)));
    }
    let place = places(ssl).find(|object| {
        let address = object.address.load(Ordering::Relaxed);
        address <= TOMBSTONE
            && object
                .address
                .compare_exchange(address, TAKEN, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    })?;
    let Some(number) = connections::take() else {
        place.address.store(TOMBSTONE, Ordering::Release);
        return None;
    };
    let slot = connections::by_number(number)?;
    slot.is_tls.store(true, Ordering::Relaxed);
    place.slot.store(number.raw(), Ordering::Release);
    place.address.store(ssl.addr(), Ordering::Release);
    Some(slot)
}

/// Marks a place that is being filled; no object has this address.
const TAKEN: usize = 2;

/// The socket under a TLS object, or -1.
fn descriptor(ssl: *mut c_void) -> RawFd {
    let address = openssl::original(Function::GetFd, ssl);
    if address.is_null() {
        return -1;
    }
    // SAFETY: OpenSSL's SSL_get_fd has this signature since version 0.9.
    let get_fd: unsafe extern "C" fn(*mut c_void) -> c_int = unsafe {
        std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> c_int>(address)
    };
    // SAFETY: the app passed this object to SSL_read or SSL_write just now.
    unsafe { get_fd(ssl) }
}

/// Whether the thread is inside an OpenSSL call of ours already: SSL_read_ex may call SSL_read.
pub(crate) fn outermost<R>(call: impl FnOnce(bool) -> R) -> R {
    thread_local! {
        static NESTED: Cell<bool> = const { Cell::new(false) };
    }
    let is_outermost = !NESTED.replace(true);
    let result = call(is_outermost);
    if is_outermost {
        NESTED.set(false);
    }
    result
}
