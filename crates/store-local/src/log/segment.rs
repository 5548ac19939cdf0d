//! One file of the log: a header, then frames.
//!
//! | at | bytes | what |
//! |---:|------:|------|
//! |  0 | 8 | `CARAFLOG` |
//! |  8 | 4 | version: 1 |
//! | 12 | 4 | marker of the frames, random |
//! | 16 | 8 | first sequence; the file's name is the same number |
//! | 24 | 8 | first sequence of the segment before, 0 when there is none |
//! | 32 | 8 | where the acknowledged part of that segment ends |
//! | 40 | 8 | the last acknowledged sequence when this segment was begun |
//! | 48 | 4 | 1 when that segment was finished by its writer, 0 when found after a crash |
//! | 52 | 4 | CRC-32C of all that |
//!
//! Numbers are little endian. A newer version keeps the header's length and its checksum's
//! place. A segment is only ever written at its end, by the process that made it; what a
//! failed write or a crash left after that end is told apart by the next segment's header.

use super::frame::{FRAME_HEADER_BYTES, Frame, decode, decoding_cost, field};
use memchr::memmem;
use std::ops::Range;

/// Bytes before the first frame.
pub const SEGMENT_HEADER_BYTES: usize = 56;

const MAGIC: [u8; 8] = *b"CARAFLOG";
const VERSION: u32 = 1;
const CRC_AT: usize = 52;

/// Where the marker is lost, how many times the segment's length may be checksummed in search
/// of a frame; it bounds the time that a hostile payload can cost.
const SEARCH_FACTOR: usize = 16;

/// The acknowledged part of the segment before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// Its first sequence, which is its name; 0 when there was none.
    pub first_sequence: u64,
    /// Its length.
    pub end: u64,
    /// The last sequence that was acknowledged from it, or from one before.
    pub last_sequence: u64,
    /// Whether its writer finished it, so that all of it was acknowledged. After a crash the
    /// last group may not have been.
    pub is_finished: bool,
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// What each frame begins with.
    pub marker: u32,
    /// No frame has a lower one.
    pub first_sequence: u64,
    /// The segment before.
    pub previous: Previous,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// Too short, or the checksum is wrong.
    Damaged,
    /// Sound, and of this later version.
    Newer(u32),
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.marker.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.previous.end.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous.last_sequence.to_le_bytes());
        bytes[48..CRC_AT].copy_from_slice(&u32::from(self.previous.is_finished).to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        Self::fields(bytes).ok_or(HeaderFault::Damaged)?
    }

    fn fields(bytes: &[u8]) -> Option<Result<Self, HeaderFault>> {
        let crc = u32::from_le_bytes(field(bytes, CRC_AT)?);
        if !bytes.starts_with(&MAGIC) || crc32c::crc32c(&bytes[..CRC_AT]) != crc {
            return None;
        }
        let version = u32::from_le_bytes(field(bytes, 8)?);
        if version != VERSION {
            return Some(Err(HeaderFault::Newer(version)));
        }
        let number = |at| field(bytes, at).map(u64::from_le_bytes);
        Some(Ok(Self {
            marker: u32::from_le_bytes(field(bytes, 12)?),
            first_sequence: number(16)?,
            previous: Previous {
                first_sequence: number(24)?,
                end: number(32)?,
                last_sequence: number(40)?,
                is_finished: field::<4>(bytes, 48)? != [0; 4],
            },
        }))
    }
}

/// How much of a segment was acknowledged, as far as others know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its length, where the next segment's header says so.
    pub end: Option<u64>,
    /// Whether all of that was acknowledged; else the last group may not have been.
    pub is_finished: bool,
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The sound frames, in the order of the file.
    pub frames: Vec<Frame>,
    /// What ought to be frames, or the header, and is not. May reach beyond the file's end.
    pub damaged: Vec<Range<usize>>,
    /// Bytes that the power or a failed write left unsound in a group that was never
    /// acknowledged.
    pub torn_bytes: usize,
    /// Where the last sound frame ends, or where it should.
    pub end: usize,
}

/// Reads a whole segment. Whatever the bytes are, the frames are in order, do not overlap,
/// and have right checksums.
pub fn read(segment: &[u8], extent: Extent) -> Contents {
    let header = SegmentHeader::decode(segment).ok();
    let said = extent.end.map(|end| usize::try_from(end).unwrap_or(usize::MAX));
    let limit = said.unwrap_or(usize::MAX).min(segment.len());
    let mut search = Search {
        bytes: &segment[..limit],
        marker: header.map(|header| header.marker),
        budget: limit.saturating_mul(SEARCH_FACTOR),
    };
    let mut contents = Contents::default();
    let mut at = SEGMENT_HEADER_BYTES.min(limit);
    while let Some(frame) = search.next(at) {
        if frame.start() > at {
            contents.damaged.push(at..frame.start());
        }
        at = frame.payload.end;
        contents.frames.push(frame);
    }
    contents.end = said.unwrap_or(if extent.is_finished { limit } else { at });
    if !extent.is_finished {
        forgive_last_group(&mut contents);
        contents.torn_bytes += segment.len().saturating_sub(contents.end);
    }
    if at < contents.end {
        contents.damaged.push(at..contents.end);
    }
    if header.is_none() && !contents.frames.is_empty() {
        contents.damaged.insert(0, 0..SEGMENT_HEADER_BYTES);
    }
    contents
}

/// A group becomes durable as a whole. When the power fails before that, any of its bytes may
/// be on disk: what is unsound between the frames of the last group says nothing of damage.
fn forgive_last_group(contents: &mut Contents) {
    let Some(last) = contents.frames.last() else { return };
    let group_start = usize::try_from(last.head.group_start).unwrap_or(usize::MAX);
    let torn = contents.damaged.iter().filter(|gap| gap.start >= group_start);
    contents.torn_bytes = torn.map(ExactSizeIterator::len).sum();
    contents.damaged.retain(|gap| gap.start < group_start);
}

struct Search<'a> {
    bytes: &'a [u8],
    marker: Option<u32>,
    /// Bytes that may still be checksummed while the marker is unknown.
    budget: usize,
}

impl Search<'_> {
    /// The first sound frame at `from` or after it.
    fn next(&mut self, from: usize) -> Option<Frame> {
        if let Some(frame) = decode(self.bytes, from, self.marker) {
            self.marker = Some(u32::from_le_bytes(field(self.bytes, from)?));
            return Some(frame);
        }
        match self.marker {
            Some(marker) => memmem::find_iter(self.bytes.get(from + 1..)?, &marker.to_le_bytes())
                .find_map(|at| decode(self.bytes, from + 1 + at, self.marker)),
            None => self.without_marker(from + 1),
        }
    }

    fn without_marker(&mut self, from: usize) -> Option<Frame> {
        for at in from..self.bytes.len().saturating_sub(FRAME_HEADER_BYTES - 1) {
            let cost = decoding_cost(self.bytes, at);
            self.budget = self.budget.checked_sub(cost)?;
            if cost > 0
                && let Some(frame) = decode(self.bytes, at, None)
            {
                self.marker = Some(u32::from_le_bytes(field(self.bytes, at)?));
                return Some(frame);
            }
        }
        None
    }
}
