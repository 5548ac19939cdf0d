//! New programs keep the engine even where the app passes an environment of its own making.

use crate::environment;
use crate::original::hooks;
use libc::{c_char, c_int, c_void, pid_t};

type Strings = *const *const c_char;

hooks! {
    /// Hook of execve(2).
    fn execve(path: *const c_char, arguments: Strings, environment: Strings) -> c_int = |original| {
        environment::with_ours(environment, |ours| {
            // SAFETY: the caller's arguments, with an environment that outlives the call.
            unsafe { original(path, arguments, ours) }
        })
    }

    /// Hook of execvpe(3).
    fn execvpe(file: *const c_char, arguments: Strings, environment: Strings) -> c_int = |original| {
        environment::with_ours(environment, |ours| {
            // SAFETY: the caller's arguments, with an environment that outlives the call.
            unsafe { original(file, arguments, ours) }
        })
    }

    /// Hook of posix_spawn(3).
    fn posix_spawn(pid: *mut pid_t, path: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, environment: Strings) -> c_int = |original| {
        environment::with_ours(environment, |ours| {
            // SAFETY: the caller's arguments, with an environment that outlives the call.
            unsafe { original(pid, path, actions, attributes, arguments, ours) }
        })
    }

    /// Hook of posix_spawnp(3).
    fn posix_spawnp(pid: *mut pid_t, file: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, environment: Strings) -> c_int = |original| {
        environment::with_ours(environment, |ours| {
            // SAFETY: the caller's arguments, with an environment that outlives the call.
            unsafe { original(pid, file, actions, attributes, arguments, ours) }
        })
    }
}
