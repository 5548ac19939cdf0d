//! Bytes in and out: read, write, recv, send and their relatives.

use crate::observe;
use crate::original::hooks;
use carafe_http1::Io;
use libc::{c_int, c_void, iovec, msghdr, off_t, off64_t, size_t, sockaddr, socklen_t, ssize_t};

/// Flags of a receive that takes nothing out of the stream, or not from the stream.
const NOT_A_TRANSFER: c_int = libc::MSG_PEEK | libc::MSG_OOB | libc::MSG_ERRQUEUE;

/// What a call moved: the first `count` bytes at `buffer`.
///
/// # Safety
/// `buffer` is valid for `count` bytes if `count` is positive: the kernel has just read or
/// written them.
#[inline]
unsafe fn moved<'a>(buffer: *const c_void, count: ssize_t) -> std::iter::Once<&'a [u8]> {
    let length = usize::try_from(count).unwrap_or(0);
    if length == 0 || buffer.is_null() {
        return std::iter::once(&[]);
    }
    // SAFETY: as the caller promises.
    std::iter::once(unsafe { std::slice::from_raw_parts(buffer.cast(), length) })
}

/// The buffers of a vectored call; the kernel has used the first bytes of them.
///
/// # Safety
/// `vectors` points to `count` entries, each of which is valid for its length.
unsafe fn vectored<'a>(vectors: *const iovec, count: usize) -> impl Iterator<Item = &'a [u8]> {
    (0..count).map(move |index| {
        // SAFETY: as the caller promises.
        let vector = unsafe { &*vectors.add(index) };
        if vector.iov_base.is_null() {
            return &[][..];
        }
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(vector.iov_base.cast(), vector.iov_len) }
    })
}

#[inline]
fn entries(count: c_int) -> usize {
    usize::try_from(count).unwrap_or(0)
}

hooks! {
    /// Hook of read(2).
    fn read(fd: c_int, buffer: *mut c_void, count: size_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count) };
        if count > 0 {
            // SAFETY: the kernel filled `result` bytes.
            observe::transferred(fd, Io::Read, result, unsafe { moved(buffer, result) });
        }
        result
    }

    /// Hook of glibc's checked read.
    fn __read_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, size) };
        if count > 0 {
            // SAFETY: the kernel filled `result` bytes.
            observe::transferred(fd, Io::Read, result, unsafe { moved(buffer, result) });
        }
        result
    }

    /// Hook of write(2).
    fn write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count) };
        if result > 0 {
            // SAFETY: the kernel read `result` bytes.
            observe::transferred(fd, Io::Write, result, unsafe { moved(buffer, result) });
        }
        result
    }

    /// Hook of readv(2).
    fn readv(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, vectors, count) };
        // SAFETY: the kernel accepted the vectors.
        observe::transferred(fd, Io::Read, result, unsafe { vectored(vectors, entries(count)) });
        result
    }

    /// Hook of writev(2).
    fn writev(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, vectors, count) };
        if result > 0 {
            // SAFETY: the kernel accepted the vectors.
            observe::transferred(fd, Io::Write, result, unsafe { vectored(vectors, entries(count)) });
        }
        result
    }

    /// Hook of recv(2).
    fn recv(fd: c_int, buffer: *mut c_void, count: size_t, flags: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, flags) };
        received(fd, buffer, count, flags, result);
        result
    }

    /// Hook of glibc's checked recv.
    fn __recv_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t, flags: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, size, flags) };
        received(fd, buffer, count, flags, result);
        result
    }

    /// Hook of recvfrom(2).
    fn recvfrom(fd: c_int, buffer: *mut c_void, count: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, flags, address, length) };
        received(fd, buffer, count, flags, result);
        result
    }

    /// Hook of glibc's checked recvfrom.
    fn __recvfrom_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, size, flags, address, length) };
        received(fd, buffer, count, flags, result);
        result
    }

    /// Hook of recvmsg(2).
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, message, flags) };
        if result >= 0 && flags & NOT_A_TRANSFER == 0 {
            // SAFETY: the kernel accepted the message header.
            let header = unsafe { &*message };
            // SAFETY: as above, for its vectors.
            observe::transferred(fd, Io::Read, result, unsafe { vectored(header.msg_iov, header.msg_iovlen) });
            super::sockets::follow_received(header);
        }
        result
    }

    /// Hook of send(2).
    fn send(fd: c_int, buffer: *const c_void, count: size_t, flags: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, flags) };
        sent(fd, buffer, flags, result);
        result
    }

    /// Hook of sendto(2).
    fn sendto(fd: c_int, buffer: *const c_void, count: size_t, flags: c_int, address: *const sockaddr, length: socklen_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, buffer, count, flags, address, length) };
        sent(fd, buffer, flags, result);
        result
    }

    /// Hook of sendmsg(2).
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(fd, message, flags) };
        if result > 0 && flags & libc::MSG_OOB == 0 {
            // SAFETY: the kernel accepted the message header and its vectors.
            let slices = unsafe { vectored((*message).msg_iov, (*message).msg_iovlen) };
            observe::transferred(fd, Io::Write, result, slices);
        }
        result
    }

    /// Hook of sendfile(2).
    fn sendfile(out: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(out, from, offset, count) };
        observe::counted(out, Io::Write, result);
        result
    }

    /// Hook of sendfile(2) with 64-bit offsets.
    fn sendfile64(out: c_int, from: c_int, offset: *mut off64_t, count: size_t) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(out, from, offset, count) };
        observe::counted(out, Io::Write, result);
        result
    }

    /// Hook of splice(2).
    fn splice(from: c_int, offset_in: *mut off64_t, out: c_int, offset_out: *mut off64_t, count: size_t, flags: libc::c_uint) -> ssize_t = |original| {
        // SAFETY: the caller's arguments, unchanged.
        let result = unsafe { original(from, offset_in, out, offset_out, count, flags) };
        observe::counted(from, Io::Read, result);
        observe::counted(out, Io::Write, result);
        result
    }
}

#[inline]
fn received(fd: c_int, buffer: *const c_void, count: size_t, flags: c_int, result: ssize_t) {
    if flags & NOT_A_TRANSFER != 0 || count == 0 {
        return;
    }
    if flags & libc::MSG_TRUNC != 0 {
        // Taken out of the stream but not stored (tcp(7)).
        observe::counted(fd, Io::Read, result);
        return;
    }
    // SAFETY: the kernel filled `result` bytes.
    observe::transferred(fd, Io::Read, result, unsafe { moved(buffer, result) });
}

#[inline]
fn sent(fd: c_int, buffer: *const c_void, flags: c_int, result: ssize_t) {
    if result > 0 && flags & libc::MSG_OOB == 0 {
        // SAFETY: the kernel read `result` bytes.
        observe::transferred(fd, Io::Write, result, unsafe { moved(buffer, result) });
    }
}
