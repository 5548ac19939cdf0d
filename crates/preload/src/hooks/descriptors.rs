//! Descriptors end and multiply: close, dup and the calls that hide them.
//!
//! A descriptor that was closed unseen is found out when its number comes back from socket(2) or
//! accept(2).

use crate::connections;
use crate::original::hooks;
use crate::process;
use libc::{FILE, c_int, c_long, c_uint};

hooks! {
    /// Hook of close(2).
    fn close(fd: c_int) -> c_int = |original| {
        forget(fd);
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(fd) }
    }

    /// Hook of fclose(3), which closes within libc.
    fn fclose(stream: *mut FILE) -> c_int = |original| {
        if !stream.is_null() {
            // SAFETY: the caller's stream, still open.
            forget(unsafe { libc::fileno(stream) });
        }
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(stream) }
    }

    /// Hook of close_range(2).
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int = |original| {
        forget_range(first.into(), last.into(), flags.into());
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(first, last, flags) }
    }

    /// Hook of socket(2).
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(domain, kind, protocol) };
        forget(result);
        result
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

    /// Hook of prctl(2), whose variadic arguments travel in registers.
    fn prctl(option: c_int, a: c_long, b: c_long, c: c_long, d: c_long) -> c_int = |original| {
        if option == libc::PR_SET_SECCOMP {
            process::turn_off();
        }
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(option, a, b, c, d) }
    }

    /// Hook of syscall(2): libuv closes descriptors through it. The original is variadic; all
    /// arguments that a system call can have are passed on.
    fn syscall(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long, f: c_long) -> c_long = |original| {
        match number {
            libc::SYS_close => forget(a as c_int),
            libc::SYS_close_range => forget_range(a, b, c),
            libc::SYS_seccomp => process::turn_off(),
            _ => {}
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

/// CLOSE_RANGE_CLOEXEC of linux/close_range.h: nothing is closed yet.
const CLOSE_LATER: c_long = 4;

fn forget_range(first: c_long, last: c_long, flags: c_long) {
    if flags & CLOSE_LATER == 0 {
        // The unsigned arguments can be negative here: "to the end".
        let last = c_int::try_from(last).unwrap_or(c_int::MAX);
        let Ok(first) = c_int::try_from(first) else { return };
        (first..=last).take(connections::DESCRIPTOR_LIMIT).for_each(forget);
    }
}

fn duplicated(fd: c_int, duplicate: c_int) {
    let concerns_us =
        connections::of_descriptor(fd).is_some() || connections::of_descriptor(duplicate).is_some();
    if duplicate >= 0 && concerns_us {
        process::enter(|| connections::follow_duplicate(fd, duplicate));
    }
}
