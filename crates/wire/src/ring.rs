//! A byte ring with one writer and one reader, over memory that two processes share.
//!
//! `head` and `tail` count bytes since the ring was made and never wrap (u64). The writer copies
//! a frame into the free space and then publishes it by storing `head`; what it was killed in
//! the middle of was never published, so a reader sees whole frames only. The writer never waits:
//! where a frame does not fit it is dropped and counted.
//!
//! While the reader keeps up, the writer does not go through the whole capacity: it leaves out
//! the rest of a lap as soon as [`WORKING_SET_BYTES`] are free at the ring's start, so that most
//! of the memory is never taken. The capacity is for bursts.
//!
//! The reader trusts nothing: the writer lives in another process, which may be damaged.

use crate::sync::{AtomicU64, Ordering};

/// A frame starts with its length (u32, header included, padding not), its kind (u16) and
/// [`FRAME_MARK`] (u16); frames start at multiples of [`FRAME_ALIGN`].
pub const FRAME_HEADER_BYTES: usize = 8;

/// Where frames may start.
pub const FRAME_ALIGN: u64 = 8;

/// Constant in every frame header: a reader that lost its place finds out at once.
pub const FRAME_MARK: u16 = 0xCAFE;

/// The largest frame, header included. Longer ones are dropped by the writer and refused by the
/// reader. A span with a long SQL statement and several stack traces fits.
pub const FRAME_LIMIT_BYTES: usize = 512 << 10;

/// The kind of the frame that leaves out the rest of a lap: a header alone, whose length reaches
/// to the end of the ring. Not for callers.
const LAP_END: u16 = u16::MAX;

/// The writer turns back as soon as this many bytes at the ring's start are free again: all it has
/// until the reader has passed the end of the lap, some 2,500 requests.
pub const WORKING_SET_BYTES: u64 = 2 << 20;

/// The shared memory of one ring: three counters and `capacity` bytes.
pub trait Memory {
    /// Bytes of data, a power of two.
    fn capacity(&self) -> u64;
    /// Bytes written since the beginning; stored by the writer only.
    fn head(&self) -> &AtomicU64;
    /// Bytes read since the beginning; stored by the reader only.
    fn tail(&self) -> &AtomicU64;
    /// Frames that the writer had to drop.
    fn dropped(&self) -> &AtomicU64;
    /// Makes sure that the first `bytes` of the data have memory behind them, so that touching
    /// them cannot fault. False where the machine has none left.
    fn commit(&mut self, bytes: u64) -> bool;
    /// Copies `bytes` to `offset`, which with its length lies within the capacity.
    fn write(&self, offset: usize, bytes: &[u8]);
    /// Fills `into` from `offset`, which with its length lies within the capacity.
    fn read(&self, offset: usize, into: &mut [u8]);
}

/// Why a frame was not written. It has been counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped;

/// The writing end.
#[derive(Debug)]
pub struct Producer<M> {
    memory: M,
    head: u64,
    /// The reader's `tail` when it was last looked at: it only grows, so the free space computed
    /// from it is a lower bound.
    seen_tail: u64,
    working_set: u64,
}

impl<M: Memory> Producer<M> {
    /// Takes the writing end of a fresh ring. There must be no other.
    pub fn new(memory: M) -> Self {
        Self::with_working_set(memory, WORKING_SET_BYTES)
    }

    /// As [`Producer::new`], turning back after `working_set` bytes: at least twice the largest
    /// frame, or turning back can cost a frame its room.
    pub fn with_working_set(memory: M, working_set: u64) -> Self {
        let head = memory.head().load(Ordering::Relaxed);
        let seen_tail = memory.tail().load(Ordering::Acquire);
        Self { memory, head, seen_tail, working_set }
    }

    /// The memory underneath.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Writes one frame made of `parts`, one after the other, and publishes it.
    #[inline]
    pub fn push(&mut self, kind: u16, parts: &[&[u8]]) -> Result<(), Dropped> {
        let length = FRAME_HEADER_BYTES + parts.iter().map(|part| part.len()).sum::<usize>();
        let padded = (length as u64).next_multiple_of(FRAME_ALIGN);
        self.turn_back_early();
        let writable = length <= FRAME_LIMIT_BYTES && self.has_room(padded) && self.commit(padded);
        if !writable {
            self.memory.dropped().fetch_add(1, Ordering::Relaxed);
            return Err(Dropped);
        }
        let header = header(length as u32, kind);
        let mut at = self.head;
        for part in std::iter::once(&header[..]).chain(parts.iter().copied()) {
            self.copy_in(at, part);
            at += part.len() as u64;
        }
        self.head += padded;
        self.memory.head().store(self.head, Ordering::Release);
        Ok(())
    }

    /// Leaves out the rest of the lap where the reader is close behind: what waits for it must be
    /// in this lap and leave a working set free before it. Published with the frame that follows.
    #[inline]
    fn turn_back_early(&mut self) {
        let capacity = self.memory.capacity();
        let offset = self.head & (capacity - 1);
        if offset < self.working_set {
            return;
        }
        self.seen_tail = self.memory.tail().load(Ordering::Acquire);
        let waiting = self.head.wrapping_sub(self.seen_tail);
        let is_close_behind = waiting.saturating_add(self.working_set) <= offset;
        if is_close_behind && self.commit(FRAME_HEADER_BYTES as u64) {
            let rest = capacity - offset;
            self.copy_in(self.head, &header(rest as u32, LAP_END));
            self.head += rest;
        }
    }

    /// Memory for `padded` bytes at `head`.
    #[inline]
    fn commit(&mut self, padded: u64) -> bool {
        let capacity = self.memory.capacity();
        let offset = self.head & (capacity - 1);
        self.memory.commit((offset + padded).min(capacity))
    }

    fn has_room(&mut self, padded: u64) -> bool {
        let capacity = self.memory.capacity();
        let fits = |tail: u64| self.head.wrapping_sub(tail).saturating_add(padded) <= capacity;
        if fits(self.seen_tail) {
            return true;
        }
        self.seen_tail = self.memory.tail().load(Ordering::Acquire);
        fits(self.seen_tail)
    }

    fn copy_in(&self, at: u64, bytes: &[u8]) {
        let capacity = self.memory.capacity();
        let offset = (at & (capacity - 1)) as usize;
        let until_end = bytes.len().min(capacity as usize - offset);
        let (first, second) = bytes.split_at(until_end);
        self.memory.write(offset, first);
        if !second.is_empty() {
            self.memory.write(0, second);
        }
    }
}

fn header(length: u32, kind: u16) -> [u8; FRAME_HEADER_BYTES] {
    let [a, b, c, d] = length.to_le_bytes();
    let [e, f] = kind.to_le_bytes();
    let [g, h] = FRAME_MARK.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// What a reader finds in a ring that no sound writer would leave there.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Corrupt {
    /// `head` is behind `tail`, too far ahead, or not aligned.
    Counters,
    /// A frame header without its mark or with an impossible length.
    Frame,
}

/// What stands at a reader's place.
enum Next {
    /// A frame, with its length up to the next.
    Frame { kind: u16, padded: u64 },
    /// Nothing more in this lap; the bytes to its end.
    LapEnd { rest: u64 },
}

/// The reading end.
#[derive(Debug)]
pub struct Consumer<M> {
    memory: M,
    tail: u64,
    buffer: Vec<u8>,
    /// The counters made no sense: nothing that comes can be found any more.
    is_lost: bool,
}

impl<M: Memory> Consumer<M> {
    /// Takes the reading end. There must be no other.
    pub fn new(memory: M) -> Self {
        let tail = memory.tail().load(Ordering::Relaxed);
        Self { memory, tail, buffer: Vec::with_capacity(1024), is_lost: false }
    }

    /// The memory underneath.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Whether nothing is waiting that [`Consumer::drain`] would give.
    pub fn is_empty(&self) -> bool {
        self.is_lost || self.memory.head().load(Ordering::Acquire) == self.tail
    }

    /// Gives every frame that waits to `frame`, as its kind and payload, oldest first, and frees
    /// the space. Returns how many there were.
    ///
    /// # Errors
    /// [`Corrupt::Frame`]: the rest of what waits has been skipped; the next call starts after it.
    /// [`Corrupt::Counters`]: the ring is lost; further calls give nothing.
    pub fn drain(&mut self, mut frame: impl FnMut(u16, &[u8])) -> Result<usize, Corrupt> {
        if self.is_lost {
            return Ok(0);
        }
        let head = self.memory.head().load(Ordering::Acquire);
        let waiting = head.wrapping_sub(self.tail);
        if waiting > self.memory.capacity() || !head.is_multiple_of(FRAME_ALIGN) {
            self.is_lost = true;
            return Err(Corrupt::Counters);
        }
        let mut count = 0;
        while self.tail != head {
            let bytes = match self.take_next(head.wrapping_sub(self.tail)) {
                Some(Next::Frame { kind, padded }) => {
                    frame(kind, &self.buffer);
                    count += 1;
                    padded
                }
                Some(Next::LapEnd { rest }) => rest,
                None => {
                    self.skip_to(head);
                    return Err(Corrupt::Frame);
                }
            };
            self.skip_to(self.tail.wrapping_add(bytes));
        }
        Ok(count)
    }

    fn skip_to(&mut self, tail: u64) {
        self.tail = tail;
        self.memory.tail().store(tail, Ordering::Release);
    }

    /// Looks at what stands at `tail`; the payload of a frame is copied into the buffer.
    fn take_next(&mut self, waiting: u64) -> Option<Next> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.copy_out(self.tail, &mut header);
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_le_bytes([header[4], header[5]]);
        let mark = u16::from_le_bytes([header[6], header[7]]);
        if mark == FRAME_MARK && kind == LAP_END {
            let capacity = self.memory.capacity();
            let rest = capacity - (self.tail & (capacity - 1));
            return (length as u64 == rest && rest <= waiting).then_some(Next::LapEnd { rest });
        }
        let padded = (length as u64).next_multiple_of(FRAME_ALIGN);
        let possible = FRAME_HEADER_BYTES..=FRAME_LIMIT_BYTES;
        if mark != FRAME_MARK || !possible.contains(&length) || padded > waiting {
            return None;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(length - FRAME_HEADER_BYTES, 0);
        self.copy_out(self.tail.wrapping_add(FRAME_HEADER_BYTES as u64), &mut buffer);
        self.buffer = buffer;
        Some(Next::Frame { kind, padded })
    }

    fn copy_out(&self, at: u64, into: &mut [u8]) {
        let capacity = self.memory.capacity();
        let offset = (at & (capacity - 1)) as usize;
        let until_end = into.len().min(capacity as usize - offset);
        let (first, second) = into.split_at_mut(until_end);
        self.memory.read(offset, first);
        if !second.is_empty() {
            self.memory.read(0, second);
        }
    }
}
