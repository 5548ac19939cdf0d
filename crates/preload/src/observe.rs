//! From bytes that went through a hook to records in the ring.

use crate::connections::{self, Slot};
use crate::process::{self, emit, now_ns};
use carafe_http1::{Event, EventKind, Io, Message, Outcome, Role, Sink};
use carafe_wire::record::{self, Record};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;

/// Bytes that were read from or written to a descriptor, in order.
#[inline]
pub(crate) fn transferred<'a>(
    fd: RawFd,
    io: Io,
    total: isize,
    slices: impl Iterator<Item = &'a [u8]>,
) {
    if total < 0 {
        return;
    }
    let Some(slot) = followed(fd) else { return };
    process::enter(|| feed(slot, Some(fd), io, total, slices));
}

/// Bytes of which only the number is known (sendfile, splice).
pub(crate) fn counted(fd: RawFd, io: Io, count: isize) {
    let Some(slot) = followed(fd) else { return };
    let Ok(count @ 1..) = u64::try_from(count) else { return };
    process::enter(|| {
        let now_ns = now_ns();
        slot.with_http(|http| {
            http.skip(
                io,
                count,
                now_ns,
                &mut Records { slot, fd: Some(fd), io, role: http.role() },
            );
        });
    });
}

#[inline]
fn followed(fd: RawFd) -> Option<&'static Slot> {
    let slot = connections::of_descriptor(fd)?;
    if slot.is_ignored.load(Ordering::Relaxed) || slot.is_tls.load(Ordering::Relaxed) {
        crate::ssl::note_ignored(fd);
        return None;
    }
    Some(slot)
}

/// The bytes of one call. `total` is what the call returned: 0 on a read is the peer's end.
pub(crate) fn feed<'a>(
    slot: &Slot,
    fd: Option<RawFd>,
    io: Io,
    total: isize,
    slices: impl Iterator<Item = &'a [u8]>,
) {
    let Ok(mut left) = usize::try_from(total) else { return };
    let now_ns = now_ns();
    slot.with_http(|http| {
        let mut records = Records { slot, fd, io, role: http.role() };
        if left == 0 {
            if io == Io::Read {
                http.eof(io, now_ns, &mut records);
            }
            return;
        }
        for slice in slices {
            let seen = slice.get(..left.min(slice.len())).unwrap_or_default();
            left -= seen.len();
            if !seen.is_empty() {
                http.feed(io, seen, now_ns, &mut records);
            }
            if left == 0 {
                break;
            }
        }
        if http.is_dead() {
            slot.is_ignored.store(true, Ordering::Relaxed);
        }
    });
}

/// The connection has ended. A process that wrote nothing of it has nothing to say: it may be a
/// forked child that closes what it inherited.
pub(crate) fn closed(slot: &Slot) {
    if slot.announced_pid.load(Ordering::Relaxed) != process::pid() {
        return;
    }
    let now_ns = now_ns();
    slot.with_http(|http| {
        http.close(now_ns, &mut Records { slot, fd: None, io: Io::Read, role: http.role() });
    });
    let connection = slot.id.load(Ordering::Relaxed);
    emit(&Record::Close(record::Close { connection, time_ns: now_ns }));
}

/// Writes the parser's events to the ring.
struct Records<'a> {
    slot: &'a Slot,
    fd: Option<RawFd>,
    io: Io,
    /// As known before the call.
    role: Option<Role>,
}

impl Records<'_> {
    /// Until the first request nobody's role is known: whoever reads it is the server.
    fn role(&self) -> Role {
        self.role.unwrap_or(match self.io {
            Io::Read => Role::Server,
            Io::Write => Role::Client,
        })
    }

    /// Leaves the connection to another engine when its next request begins. What is still open
    /// on it (pipelining) can no longer be followed.
    fn yields(&self, event: &Event<'_>) -> bool {
        let half = match self.role() {
            Role::Server => process::SERVER,
            Role::Client => process::CLIENT,
        };
        let begins =
            event.message == Message::Request && !matches!(event.kind, EventKind::End { .. });
        if !begins || !process::has_yielded(half) {
            return false;
        }
        self.slot.is_ignored.store(true, Ordering::Relaxed);
        if self.slot.announced_pid.swap(0, Ordering::Relaxed) == process::pid() {
            let connection = self.slot.id.load(Ordering::Relaxed);
            emit(&Record::End(record::End {
                connection,
                half: record::Half::Response,
                outcome: record::Outcome::Lost,
                time_ns: event.at_ns,
                body_bytes: 0,
            }));
            emit(&Record::Close(record::Close { connection, time_ns: event.at_ns }));
        }
        true
    }

    /// The addresses go before the first message in every process' ring.
    fn announce(&self) {
        let pid = process::pid();
        if self.slot.announced_pid.swap(pid, Ordering::Relaxed) == pid {
            return;
        }
        let is_written = emit(&Record::Connection(record::Connection {
            id: self.slot.id.load(Ordering::Relaxed),
            is_server: self.role() == Role::Server,
            is_tls: self.slot.is_tls.load(Ordering::Relaxed),
            local: self.fd.and_then(|fd| address(fd, libc::getsockname)),
            peer: self.fd.and_then(|fd| address(fd, libc::getpeername)),
        }));
        if !is_written {
            // Again before the next message, which could not be placed without it.
            self.slot.announced_pid.store(0, Ordering::Relaxed);
        }
    }
}

impl Sink for Records<'_> {
    #[inline]
    fn message(&mut self, event: Event<'_>) {
        // More of a message that was yielded can come in the same call.
        if self.slot.is_ignored.load(Ordering::Relaxed) || self.yields(&event) {
            return;
        }
        let connection = self.slot.id.load(Ordering::Relaxed);
        let half = match event.message {
            Message::Request => record::Half::Request,
            Message::Response => record::Half::Response,
        };
        let message = |head, is_truncated, complete_body_bytes| {
            Record::Message(record::Message {
                connection,
                half,
                is_truncated,
                complete_body_bytes,
                started_ns: event.started_ns,
                time_ns: event.at_ns,
                head,
            })
        };
        let record = match event.kind {
            EventKind::Head { head, truncated } => message(head, truncated, None),
            EventKind::Complete { head, truncated, body_bytes } => {
                message(head, truncated, Some(body_bytes))
            }
            EventKind::End { body_bytes, outcome } => Record::End(record::End {
                connection,
                half,
                outcome: match outcome {
                    Outcome::Complete => record::Outcome::Complete,
                    Outcome::Aborted => record::Outcome::Aborted,
                    Outcome::Upgraded => record::Outcome::Upgraded,
                    Outcome::Lost => record::Outcome::Lost,
                },
                time_ns: event.at_ns,
                body_bytes,
            }),
        };
        self.announce();
        emit(&record);
    }
}

type NameCall =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

/// An end of the connection; `None` where it is not an internet address.
fn address(fd: RawFd, call: NameCall) -> Option<SocketAddr> {
    // SAFETY: all zero bytes are a valid socket address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&storage) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the storage.
    if unsafe { call(fd, (&raw mut storage).cast(), &mut length) } != 0 {
        return None;
    }
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what the storage holds, and it is large enough.
            let v4 = unsafe { *(&raw const storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some((ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { *(&raw const storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical();
            Some((ip, u16::from_be(v6.sin6_port)).into())
        }
        _ => None,
    }
}
