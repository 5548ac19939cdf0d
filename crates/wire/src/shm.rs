//! Rings and doorbells as files that are mapped into memory.

use crate::doorbell::Doorbell;
use crate::record::WIRE_VERSION;
use crate::ring::Memory;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;

/// First eight bytes of a ring file.
const RING_MAGIC: u64 = u64::from_le_bytes(*b"CARAFE\0R");

/// Bytes before the data of a ring: one page.
const HEADER_BYTES: usize = 4096;

/// The largest capacity that a reader maps: a damaged header must not exhaust its address space.
const CAPACITY_LIMIT_BYTES: u64 = 1 << 30;

/// Memory is taken from the kernel in steps of this size as the ring is first filled.
const COMMIT_STEP_BYTES: u64 = 256 << 10;

/// The capacity of rings whose memory must be taken at once.
const WHOLE_COMMIT_BYTES: u64 = 4 << 20;

/// The header of a ring file. The counters stand on cache lines of their own, because two
/// processes write them.
#[repr(C, align(64))]
struct Header {
    magic: u64,
    version: u32,
    pid: u32,
    capacity: u64,
    head: CacheLine,
    tail: CacheLine,
    dropped: CacheLine,
}

#[repr(C, align(64))]
struct CacheLine(AtomicU64);

/// A mapped ring. Unmapped when dropped.
#[derive(Debug)]
pub struct MappedRing {
    base: *mut u8,
    capacity: u64,
    /// Bytes of the data, from its start, that have memory behind them.
    committed: u64,
}

// SAFETY: the mapping belongs to the value, not to a thread. Its counters are atomic; its data is
// only touched by the one producer or the one consumer that owns the value.
unsafe impl Send for MappedRing {}

impl MappedRing {
    /// Creates a ring file at `path`, which must not exist, readable by its owner alone.
    ///
    /// Makes system calls only: no allocation, so that it can be used inside other programs.
    pub fn create(path: &CStr, capacity: u64, pid: u32) -> io::Result<Self> {
        assert!(capacity.is_power_of_two());
        let length = HEADER_BYTES as u64 + capacity;
        if length > file_size_limit() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let file = open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
        let mut ring = Self::map_new(&file, capacity)?;
        if !ring.commit_first_step() {
            drop(ring);
            ring = Self::map_new(&file, capacity.min(WHOLE_COMMIT_BYTES))?;
            ring.commit_whole(&file)?;
        }
        let base = ring.base;
        // SAFETY: the fresh mapping is page-aligned, zeroed, larger than the header, and nobody
        // else knows of it yet.
        unsafe {
            let header = base.cast::<Header>();
            (*header).version = WIRE_VERSION;
            (*header).pid = pid;
            (*header).capacity = ring.capacity;
            (*header).magic = RING_MAGIC;
        }
        Ok(ring)
    }

    /// Maps an existing ring file for its reader.
    ///
    /// # Errors
    /// `InvalidData` where the file is not a ring of our version or its length does not fit.
    pub fn open(path: &CStr) -> io::Result<Self> {
        let file = open(path, libc::O_RDWR | libc::O_NOFOLLOW)?;
        let length = length_of(file.as_raw_fd())?;
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        if length < HEADER_BYTES as u64 {
            return Err(invalid("ring file is shorter than its header"));
        }
        let capacity = length - HEADER_BYTES as u64;
        if !capacity.is_power_of_two() || capacity > CAPACITY_LIMIT_BYTES {
            return Err(invalid("ring file has an impossible length"));
        }
        let base = map(file.as_raw_fd(), length as usize)?;
        let ring = Self { base, capacity, committed: capacity };
        let header = ring.header();
        if header.magic != RING_MAGIC {
            return Err(invalid("not a ring file"));
        }
        if header.version != WIRE_VERSION {
            return Err(invalid("ring file of another version"));
        }
        if header.capacity != capacity {
            return Err(invalid("ring file's length does not match its header"));
        }
        Ok(ring)
    }

    /// The process that created the ring, as it says.
    pub fn pid(&self) -> u32 {
        self.header().pid
    }

    /// Leaves the mapping out of forked children: they must not write here, and must not keep
    /// the memory alive.
    pub fn keep_out_of_children(&self) {
        let length = HEADER_BYTES + self.capacity as usize;
        // SAFETY: the range is our mapping; the advice changes nothing in this process.
        unsafe {
            libc::madvise(self.base.cast(), length, libc::MADV_DONTFORK);
        }
    }

    /// Gives the file its length and maps it.
    fn map_new(file: &OwnedFd, capacity: u64) -> io::Result<Self> {
        let length = HEADER_BYTES as u64 + capacity;
        let length = libc::off_t::try_from(length).map_err(io::Error::other)?;
        // SAFETY: plain system call on a descriptor that we own.
        if unsafe { libc::ftruncate(file.as_raw_fd(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let base = map(file.as_raw_fd(), HEADER_BYTES + capacity as usize)?;
        Ok(Self { base, capacity, committed: 0 })
    }

    /// Takes memory for the header and the first step of the data. Without this a full file system
    /// would end the program with SIGBUS at the first touch. False on kernels (before 5.14) that
    /// cannot take it by steps, and where there is none.
    fn commit_first_step(&mut self) -> bool {
        let step = COMMIT_STEP_BYTES.min(self.capacity);
        let is_committed = populate(self.base, HEADER_BYTES + step as usize);
        if is_committed {
            self.committed = step;
        }
        is_committed
    }

    /// Takes all memory at once.
    fn commit_whole(&mut self, file: &OwnedFd) -> io::Result<()> {
        let length = HEADER_BYTES as u64 + self.capacity;
        let length = libc::off_t::try_from(length).map_err(io::Error::other)?;
        // SAFETY: plain system call on a descriptor that we own.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        self.committed = self.capacity;
        Ok(())
    }

    #[cold]
    fn commit_next_steps(&mut self, bytes: u64) -> bool {
        while self.committed < bytes.min(self.capacity) {
            let step = COMMIT_STEP_BYTES.min(self.capacity - self.committed);
            // SAFETY: `committed` plus a step lies within the data.
            let start = unsafe { self.data().add(self.committed as usize) };
            if !populate(start, step as usize) {
                return false;
            }
            self.committed += step;
        }
        true
    }

    fn header(&self) -> &Header {
        // SAFETY: every constructor mapped at least HEADER_BYTES, page-aligned; the mapping lives
        // as long as self. The plain fields are written before the file gets its final name.
        unsafe { &*self.base.cast::<Header>() }
    }

    fn data(&self) -> *mut u8 {
        // SAFETY: the mapping has HEADER_BYTES + capacity bytes.
        unsafe { self.base.add(HEADER_BYTES) }
    }
}

impl Drop for MappedRing {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it after this.
        unsafe {
            libc::munmap(self.base.cast(), HEADER_BYTES + self.capacity as usize);
        }
    }
}

impl Memory for MappedRing {
    #[inline]
    fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    fn head(&self) -> &AtomicU64 {
        &self.header().head.0
    }

    #[inline]
    fn tail(&self) -> &AtomicU64 {
        &self.header().tail.0
    }

    #[inline]
    fn dropped(&self) -> &AtomicU64 {
        &self.header().dropped.0
    }

    #[inline]
    fn commit(&mut self, bytes: u64) -> bool {
        bytes <= self.committed || self.committed == self.capacity || self.commit_next_steps(bytes)
    }

    #[inline]
    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.capacity as usize);
        // SAFETY: in bounds by the assertion; the ring's protocol keeps the reader off these
        // bytes until `head` is stored.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.data().add(offset), bytes.len())
        }
    }

    #[inline]
    fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset + into.len() <= self.capacity as usize);
        // SAFETY: in bounds by the assertion. A hostile writer can change the bytes meanwhile:
        // they are copied as bytes, any value is valid, and only the copy is looked at.
        unsafe {
            std::ptr::copy_nonoverlapping(self.data().add(offset), into.as_mut_ptr(), into.len());
        }
    }
}

/// A mapped doorbell. Unmapped when dropped.
#[derive(Debug)]
pub struct MappedDoorbell(*mut Doorbell);

// SAFETY: the mapping belongs to the value and holds atomics only.
unsafe impl Send for MappedDoorbell {}
// SAFETY: as above.
unsafe impl Sync for MappedDoorbell {}

/// Bytes of the doorbell's file.
const DOORBELL_BYTES: usize = 4096;

impl MappedDoorbell {
    /// Creates the doorbell's file, which must not exist.
    pub fn create(path: &CStr) -> io::Result<Self> {
        let file = open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
        // SAFETY: plain system call on a descriptor that we own.
        if unsafe { libc::ftruncate(file.as_raw_fd(), DOORBELL_BYTES as libc::off_t) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(map(file.as_raw_fd(), DOORBELL_BYTES)?.cast()))
    }

    /// Maps the doorbell of a launcher.
    pub fn open(path: &CStr) -> io::Result<Self> {
        let file = open(path, libc::O_RDWR | libc::O_NOFOLLOW)?;
        if length_of(file.as_raw_fd())? < DOORBELL_BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "doorbell file is too short"));
        }
        Ok(Self(map(file.as_raw_fd(), DOORBELL_BYTES)?.cast()))
    }
}

impl std::ops::Deref for MappedDoorbell {
    type Target = Doorbell;

    #[inline]
    fn deref(&self) -> &Doorbell {
        // SAFETY: the mapping is page-aligned, a page long and lives as long as self; all bit
        // patterns are valid atomics.
        unsafe { &*self.0 }
    }
}

impl Drop for MappedDoorbell {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it after this.
        unsafe {
            libc::munmap(self.0.cast(), DOORBELL_BYTES);
        }
    }
}

fn open(path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let mode: libc::c_uint = 0o600;
    // The raw system call, because the agent that calls this interposes libc's functions.
    // SAFETY: the path is a C string that outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags | libc::O_CLOEXEC,
            mode,
        )
    };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel gave us this descriptor just now.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The longest file that the process may make: one byte more and it gets SIGXFSZ, which ends it.
fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } {
        0 => limit.rlim_cur,
        _ => 0,
    }
}

fn length_of(fd: RawFd) -> io::Result<u64> {
    // SAFETY: an all-zero stat is a valid value to be overwritten.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call.
    if unsafe { libc::fstat(fd, &mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

fn map(fd: RawFd, length: usize) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh shared mapping, at an address of the kernel's choice, of a file of at least
    // this length.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(base.cast())
}

/// Whether every page of the range now has memory that can be written.
fn populate(start: *mut u8, length: usize) -> bool {
    // SAFETY: the caller passes a page-aligned range of its own mapping; the call changes no byte.
    unsafe { libc::madvise(start.cast(), length, libc::MADV_POPULATE_WRITE) == 0 }
}
