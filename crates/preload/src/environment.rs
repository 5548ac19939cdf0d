//! The engine's two variables in the environment of a new program.
//!
//! Works on the stack: the caller may be a `vfork` child, which shares its parent's memory.

use crate::process;
use carafe_wire::RING_DIR_VARIABLE;
use libc::c_char;
use std::ffi::CStr;
use std::sync::OnceLock;

/// Variables of an environment that can be extended; larger ones are passed on as they are.
const VARIABLE_LIMIT: usize = 2_048;

const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// `NAME=value` strings as this process got them, made at the constructor's time.
static OURS: OnceLock<[std::ffi::CString; 2]> = OnceLock::new();

/// Remembers the variables with which this process was started.
pub(crate) fn remember() {
    let strings = [PRELOAD_VARIABLE, RING_DIR_VARIABLE].map(|name| {
        let value = std::env::var_os(name).unwrap_or_default();
        let bytes =
            [name.as_bytes(), b"=", std::os::unix::ffi::OsStrExt::as_bytes(&*value)].concat();
        std::ffi::CString::new(bytes).unwrap_or_default()
    });
    let _ = OURS.set(strings);
}

type Strings = *const *const c_char;

/// Gives `call` the environment with our variables, unless it has them, the engine is off, or
/// LD_PRELOAD is set to something else there: what the app chose stays.
pub(crate) fn with_ours<R>(environment: Strings, call: impl FnOnce(Strings) -> R) -> R {
    let (true, Some(ours), false) = (process::pid() != 0, OURS.get(), environment.is_null()) else {
        return call(environment);
    };
    // The caller's stack may be small (a signal's): no more of it than needed.
    match extensible(environment) {
        Some(count) if count + ADDED <= SMALL => {
            extended::<SMALL, R>(environment, count, ours, call)
        }
        Some(count) => extended::<VARIABLE_LIMIT, R>(environment, count, ours, call),
        None => call(environment),
    }
}

/// Pointers with which most environments can be extended.
const SMALL: usize = 128;

/// How many variables the environment has; `None` where it stays as it is.
fn extensible(environment: Strings) -> Option<usize> {
    for count in 0..VARIABLE_LIMIT - ADDED {
        // SAFETY: an environment is an array of C strings that ends with a null pointer.
        let entry = unsafe { *environment.add(count) };
        if entry.is_null() {
            return Some(count);
        }
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(entry) }.to_bytes().split(|byte| *byte == b'=').next();
        if [PRELOAD_VARIABLE, RING_DIR_VARIABLE].map(str::as_bytes).map(Some).contains(&name) {
            return None;
        }
    }
    None
}

/// Our two variables and the null pointer.
const ADDED: usize = 3;

#[inline(never)]
fn extended<const N: usize, R>(
    environment: Strings,
    count: usize,
    ours: &[std::ffi::CString; 2],
    call: impl FnOnce(Strings) -> R,
) -> R {
    let mut pointers = [std::ptr::null(); N];
    for (index, place) in pointers.iter_mut().enumerate().take(count) {
        // SAFETY: the environment has `count` entries.
        *place = unsafe { *environment.add(index) };
    }
    for (place, string) in pointers.iter_mut().skip(count).zip(ours) {
        *place = string.as_ptr();
    }
    call(pointers.as_ptr())
}
