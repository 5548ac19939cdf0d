//! Threads that are still there when an interpreter ends.

use crate::original::Original;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether threads that want to end are held instead.
static HOLDS: AtomicBool = AtomicBool::new(false);

static EXIT: Original = Original::new(c"pthread_exit");

/// Called by the Python engine as its interpreter ends. CPython before 3.14 then ends daemon
/// threads by `pthread_exit` as soon as they ask for the interpreter's lock. That unwinds their
/// stacks, also through the engine's frames, whose `catch_unwind` would end the program. From now
/// on such threads wait for the end of the process, as those of CPython 3.14 do.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn carafe_universal_hold_threads() {
    HOLDS.store(true, Ordering::Relaxed);
}

/// Ends the calling thread.
///
/// # Safety
/// As the C function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pthread_exit(value: *mut c_void) -> ! {
    let original = EXIT.address();
    while HOLDS.load(Ordering::Relaxed) || original.is_null() {
        // SAFETY: a system call without arguments.
        unsafe { libc::pause() };
    }
    // SAFETY: the symbol of this name has this C signature.
    let original = unsafe {
        std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn(*mut c_void) -> !>(original)
    };
    // SAFETY: the caller's value goes on as it is.
    unsafe { original(value) }
}
