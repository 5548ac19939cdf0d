//! The functions that the hooks stand in front of.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

/// An original function, looked up at first use: the app may call before our constructor ran.
pub(crate) struct Original {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Original {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The address in the libraries after this one; null when none has it.
    #[inline]
    pub(crate) fn address(&self) -> *mut c_void {
        let address = self.address.load(Ordering::Relaxed);
        if address.is_null() { self.look_up() } else { address }
    }

    #[cold]
    fn look_up(&self) -> *mut c_void {
        // SAFETY: the name is a C string; dlsym has no other requirement.
        let address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(address, Ordering::Relaxed);
        address
    }
}

/// Declares hooks: each `fn` becomes an exported C function of that name, in whose body
/// `original(...)` calls the function that it hides. Where there is no original (a program
/// without that library asks for it all the same) the call fails with ENOSYS. A thread that is
/// cancelled (pthread_cancel) unwinds through them: therefore `C-unwind`, and nothing in a hook
/// that needs to be dropped while the original runs.
macro_rules! hooks {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $ret:ty = |$original:ident| $body:block)*) => {
        $(
            $(#[$meta])*
            ///
            /// # Safety
            /// As the C function of this name.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $ret {
                static ORIGINAL: $crate::original::Original = {
                    const NAME: &std::ffi::CStr =
                        match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => c"",
                        };
                    $crate::original::Original::new(NAME)
                };
                let address = ORIGINAL.address();
                if address.is_null() {
                    $crate::original::set_errno(libc::ENOSYS);
                    return -1;
                }
                let $original: unsafe extern "C-unwind" fn($($type),*) -> $ret = {
                    // SAFETY: the symbol of this name has this C signature.
                    unsafe { std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C-unwind" fn($($type),*) -> $ret>(address) }
                };
                $body
            }
        )*
    };
}
pub(crate) use hooks;

/// The calling thread's `errno`.
#[inline]
pub(crate) fn errno() -> i32 {
    // SAFETY: glibc returns the address of the calling thread's errno, always valid.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's `errno`.
#[inline]
pub(crate) fn set_errno(value: i32) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = value }
}
