//! A process that root started is about to become someone else (nginx' and gunicorn's workers):
//! afterwards it could not create a file in the launcher's directory, so the ring is made before.

use crate::original::hooks;
use crate::process;
use libc::{c_int, uid_t};

hooks! {
    /// Hook of setuid(2).
    fn setuid(uid: uid_t) -> c_int = |original| {
        before_change();
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(uid) }
    }

    /// Hook of seteuid(2).
    fn seteuid(uid: uid_t) -> c_int = |original| {
        before_change();
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(uid) }
    }

    /// Hook of setreuid(2).
    fn setreuid(real: uid_t, effective: uid_t) -> c_int = |original| {
        before_change();
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(real, effective) }
    }

    /// Hook of setresuid(2).
    fn setresuid(real: uid_t, effective: uid_t, saved: uid_t) -> c_int = |original| {
        before_change();
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(real, effective, saved) }
    }
}

fn before_change() {
    process::enter(|| {
        // SAFETY: takes nothing, cannot fail.
        if process::is_this_process() && unsafe { libc::geteuid() } == 0 {
            process::make_ring_early();
        }
    });
}
