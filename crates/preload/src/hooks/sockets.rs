//! Connections come into being: accept, connect, and descriptors that arrive in a message.

use crate::connections;
use crate::original::hooks;
use crate::process;
use libc::{c_int, msghdr, sockaddr, socklen_t};

hooks! {
    /// Hook of accept(2).
    fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, address, length) };
        accepted(result);
        result
    }

    /// Hook of accept4(2).
    fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, address, length, flags) };
        accepted(result);
        result
    }

    /// Hook of connect(2).
    fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int = |original| {
        // Followed before the call: another thread may use the descriptor as soon as it connects.
        // SAFETY: a non-null address is valid for `length` bytes, as the kernel requires too.
        let family = unsafe { address.as_ref() }
            .filter(|_| length as usize >= size_of::<libc::sa_family_t>())
            .map_or(libc::AF_UNSPEC, |address| address.sa_family.into());
        let is_followed = matches!(family, libc::AF_INET | libc::AF_INET6 | libc::AF_UNIX);
        if is_followed && connections::of_descriptor(fd).is_none() {
            process::enter(|| {
                let is_wanted = !process::has_yielded(process::CLIENT);
                if is_wanted && process::is_this_process() && is_stream(fd) {
                    connections::follow(fd);
                }
            });
        }
        // SAFETY: the caller's arguments, unchanged.
        unsafe { original(fd, address, length) }
    }
}

pub(super) fn accepted(fd: c_int) {
    if fd >= 0 {
        process::enter(|| {
            if process::has_yielded(process::SERVER) {
                // Its number can be that of a connection whose end was not seen.
                connections::forget(fd);
            } else if process::is_this_process() {
                connections::follow(fd);
            }
        });
    }
}

/// Follows the stream sockets among the descriptors that came with a message (SCM_RIGHTS): the
/// way in which a cluster's master hands connections to its workers.
pub(super) fn follow_received(header: &msghdr) {
    if header.msg_controllen == 0 || header.msg_control.is_null() {
        return;
    }
    process::enter(|| {
        // SAFETY: the kernel filled the control buffer that the header describes; the CMSG
        // functions stay within it.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while let Some(entry) = control.as_ref() {
                if entry.cmsg_level == libc::SOL_SOCKET && entry.cmsg_type == libc::SCM_RIGHTS {
                    let data = libc::CMSG_DATA(control).cast::<c_int>();
                    let start = libc::CMSG_LEN(0) as usize;
                    let count = entry.cmsg_len.saturating_sub(start) / size_of::<c_int>();
                    for index in 0..count {
                        let fd = data.add(index).read_unaligned();
                        if process::is_this_process() && is_stream(fd) {
                            connections::follow(fd);
                        }
                    }
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
    });
}

/// Whether the descriptor is a connected or connecting stream socket, not a listening one.
fn is_stream(fd: c_int) -> bool {
    option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
        && option(fd, libc::SO_ACCEPTCONN) != Some(1)
}

fn option(fd: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of_val(&value) as socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the value.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &mut length)
    };
    (result == 0).then_some(value)
}
