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

/// An environment for `execve`.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one call; must not allocate")]
pub(crate) enum Environment {
    /// The caller's own.
    Unchanged(*const *const c_char),
    /// The caller's, and our variables.
    Extended([*const c_char; VARIABLE_LIMIT]),
}

impl Environment {
    /// `environment` with our variables, unless it has them, the engine is off, or LD_PRELOAD is
    /// set to something else there: what the app chose stays.
    pub(crate) fn keep(environment: *const *const c_char) -> Self {
        let unchanged = Self::Unchanged(environment);
        let (true, Some(ours), false) = (process::pid() != 0, OURS.get(), environment.is_null())
        else {
            return unchanged;
        };
        let mut pointers = [std::ptr::null(); VARIABLE_LIMIT];
        let mut count = 0;
        loop {
            // SAFETY: an environment is an array of C strings that ends with a null pointer.
            let entry = unsafe { *environment.add(count) };
            if entry.is_null() {
                break;
            }
            // SAFETY: as above.
            let name =
                unsafe { CStr::from_ptr(entry) }.to_bytes().split(|byte| *byte == b'=').next();
            if name == Some(PRELOAD_VARIABLE.as_bytes())
                || name == Some(RING_DIR_VARIABLE.as_bytes())
                || count + ours.len() + 1 >= VARIABLE_LIMIT
            {
                return unchanged;
            }
            pointers[count] = entry;
            count += 1;
        }
        for (place, string) in pointers[count..].iter_mut().zip(ours) {
            *place = string.as_ptr();
        }
        Self::Extended(pointers)
    }

    /// For the original function.
    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        match self {
            Self::Unchanged(environment) => *environment,
            Self::Extended(pointers) => pointers.as_ptr(),
        }
    }
}
