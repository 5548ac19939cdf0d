//! OpenSSL's read and write. A program can have several OpenSSLs in it: the original is that of the
//! library which the object belongs to, see [`crate::openssl`].

use crate::openssl::{self, Function};
use crate::ssl;
use carafe_http1::Io;
use libc::{c_int, c_void, size_t};

/// Declares hooks of OpenSSL's functions; `$failure` is what the function returns where the
/// program has no OpenSSL after all.
macro_rules! tls_hooks {
    ($($(#[$meta:meta])* fn $name:ident($object:ident: $object_type:ty $(, $arg:ident: $type:ty)*) -> $ret:ty, from $function:expr, or $failure:expr, = |$original:ident| $body:block)*) => {
        $(
            $(#[$meta])*
            ///
            /// # Safety
            /// As OpenSSL's function of this name.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C-unwind" fn $name($object: $object_type $(, $arg: $type)*) -> $ret {
                let address = openssl::original($function, $object);
                if address.is_null() {
                    return $failure;
                }
                let $original: unsafe extern "C-unwind" fn($object_type $(, $type)*) -> $ret = {
                    // SAFETY: OpenSSL's function of this name has this signature.
                    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn($object_type $(, $type)*) -> $ret>(address) }
                };
                $body
            }
        )*
    };
}

tls_hooks! {
    /// Hook of SSL_read(3).
    fn SSL_read(object: *mut c_void, buffer: *mut c_void, count: c_int) -> c_int, from Function::Read, or -1, = |original| {
        ssl::outermost(|is_outermost| {
            // SAFETY: the caller's arguments, unchanged.
            let result = unsafe { original(object, buffer, count) };
            if is_outermost {
                observe(object, Io::Read, buffer, usize::try_from(result).unwrap_or(0));
            }
            result
        })
    }

    /// Hook of SSL_read_ex(3).
    fn SSL_read_ex(object: *mut c_void, buffer: *mut c_void, count: size_t, read: *mut size_t) -> c_int, from Function::ReadEx, or 0, = |original| {
        ssl::outermost(|is_outermost| {
            // SAFETY: the caller's arguments, unchanged.
            let result = unsafe { original(object, buffer, count, read) };
            if is_outermost && result == 1 {
                // SAFETY: on success OpenSSL has stored the count.
                observe(object, Io::Read, buffer, unsafe { *read });
            }
            result
        })
    }

    /// Hook of SSL_write(3).
    fn SSL_write(object: *mut c_void, buffer: *const c_void, count: c_int) -> c_int, from Function::Write, or -1, = |original| {
        ssl::outermost(|is_outermost| {
            // SAFETY: the caller's arguments, unchanged.
            let result = unsafe { original(object, buffer, count) };
            if is_outermost {
                observe(object, Io::Write, buffer, usize::try_from(result).unwrap_or(0));
            }
            result
        })
    }

    /// Hook of SSL_write_ex(3).
    fn SSL_write_ex(object: *mut c_void, buffer: *const c_void, count: size_t, written: *mut size_t) -> c_int, from Function::WriteEx, or 0, = |original| {
        ssl::outermost(|is_outermost| {
            // SAFETY: the caller's arguments, unchanged.
            let result = unsafe { original(object, buffer, count, written) };
            if is_outermost && result == 1 {
                // SAFETY: on success OpenSSL has stored the count.
                observe(object, Io::Write, buffer, unsafe { *written });
            }
            result
        })
    }

    /// Hook of SSL_free(3).
    #[expect(clippy::unused_unit, reason = "the macro wants a type")]
    fn SSL_free(object: *mut c_void) -> (), from Function::Free, or (), = |original| {
        if !object.is_null() {
            ssl::freed(object);
        }
        // SAFETY: the caller's argument, unchanged.
        unsafe { original(object) }
    }
}

fn observe(object: *mut c_void, io: Io, buffer: *const c_void, count: usize) {
    if count > 0 {
        // SAFETY: OpenSSL has just read or filled `count` bytes there.
        ssl::transferred(object, io, unsafe { std::slice::from_raw_parts(buffer.cast(), count) });
    }
}
