//! Descriptors end and multiply: close, dup and the calls that hide them.

use crate::connections;
use crate::original::hooks;
use crate::process;
use libc::{c_int, c_long};

hooks! {
    /// Hook of close(2).
    fn close(fd: c_int) -> c_int = |original| {
        forget(fd);
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(fd) }
    }

    /// Hook of dup(2).
    fn dup(fd: c_int) -> c_int = |original| {
        // SAFETY: the caller's argument, unchanged.
        let result = unsafe { original(fd) };
        duplicated(fd, result);
        result
    }

    /// Hook of dup2(2).
    fn dup2(fd: c_int, new: c_int) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, new) };
        duplicated(fd, result);
        result
    }

    /// Hook of dup3(2).
    fn dup3(fd: c_int, new: c_int, flags: c_int) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, new, flags) };
        duplicated(fd, result);
        result
    }

    /// Hook of fcntl(2). The third argument of the variadic original travels in a register
    /// whether it was given or not.
    fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, command, argument) };
        if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
            duplicated(fd, result);
        }
        result
    }

    /// Hook of fcntl(2) with 64-bit offsets.
    fn fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, command, argument) };
        if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
            duplicated(fd, result);
        }
        result
    }

    /// Hook of syscall(2): libuv closes descriptors through it. The original is variadic; all
    /// arguments that a system call can have are passed on.
    fn syscall(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long, f: c_long) -> c_long = |original| {
        if number == libc::SYS_close {
            forget(a as c_int);
        }
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(number, a, b, c, d, e, f) }
    }
}

/// Before the descriptor is closed: afterwards its number may already be someone else's.
#[inline]
fn forget(fd: c_int) {
    if connections::of_descriptor(fd).is_some() {
        process::enter(|| connections::forget(fd));
    }
}

fn duplicated(fd: c_int, duplicate: c_int) {
    let concerns_us =
        connections::of_descriptor(fd).is_some() || connections::of_descriptor(duplicate).is_some();
    if duplicate >= 0 && concerns_us {
        process::enter(|| connections::follow_duplicate(fd, duplicate));
    }
}
