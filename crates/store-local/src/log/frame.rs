//! One request in the log.
//!
//! | at | bytes | what |
//! |---:|------:|------|
//! |  0 | 4 | the segment's marker, a random number that no client knows |
//! |  4 | 4 | length of the payload |
//! |  8 | 4 | CRC-32C of all other bytes of the frame |
//! | 12 | 8 | sequence |
//! | 20 | 4 | where in the segment its group begins |
//! | 24 | 1 | signal: 1 traces, 2 metrics, 3 logs |
//! | 25 | 1 | codec: 0, as it is |
//! | 26 | 2 | zero |
//! | 28 | 8 | when the request was received, in nanoseconds since the epoch |
//! | 36 |   | payload: an OTLP export request as protobuf |
//!
//! Numbers are little endian. A frame after damage is found by the marker: since a client
//! cannot guess it, nothing in a payload can pass for a frame. Only where the segment's header and
//! its first frame are both lost, the first sound frame of any marker tells it.

use carafe_telemetry::{Signal, UnixNanos};
use std::ops::Range;

/// Bytes before the payload.
pub const FRAME_HEADER_BYTES: usize = 36;

/// The longest payload. A longer one is refused as invalid, and a longer length in a file is
/// damage. Receivers have smaller limits of their own.
pub const FRAME_LIMIT_BYTES: usize = 256 << 20;

/// The only codec so far: the payload is the request itself.
const CODEC_PLAIN: u8 = 0;

/// What is written before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Greater than that of all frames before.
    pub sequence: u64,
    /// Where the group begins that this frame was synced with.
    pub group_start: u32,
    /// What the payload is.
    pub signal: Signal,
    /// When it was received: the time of what in it has none.
    pub received: UnixNanos,
}

/// A sound frame in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What stands before the payload.
    pub head: FrameHead,
    /// Where the payload is.
    pub payload: Range<usize>,
}

impl Frame {
    /// Where the frame begins.
    pub fn start(&self) -> usize {
        self.payload.start - FRAME_HEADER_BYTES
    }
}

fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    }
}

fn signal_of(number: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| signal_number(*signal) == number)
}

fn checksum(marker_and_length: &[u8], rest: &[&[u8]]) -> u32 {
    let start = crc32c::crc32c(marker_and_length);
    rest.iter().fold(start, |crc, bytes| crc32c::crc32c_append(crc, bytes))
}

/// Adds a frame. `payload` is not longer than [`FRAME_LIMIT_BYTES`].
pub fn encode(out: &mut Vec<u8>, marker: u32, head: FrameHead, payload: &[u8]) {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&marker.to_le_bytes());
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[12..20].copy_from_slice(&head.sequence.to_le_bytes());
    bytes[20..24].copy_from_slice(&head.group_start.to_le_bytes());
    bytes[24] = signal_number(head.signal);
    bytes[25] = CODEC_PLAIN;
    bytes[28..36].copy_from_slice(&head.received.0.to_le_bytes());
    let crc = checksum(&bytes[..8], &[&bytes[12..], payload]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&bytes);
    out.extend_from_slice(payload);
}

/// The `N` bytes at `at`.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The sound frame that begins at `at`. `marker` is `None` where the segment's header is
/// lost: then any marker will do.
pub fn decode(segment: &[u8], at: usize, marker: Option<u32>) -> Option<Frame> {
    let (head, length) = plausible(segment, at, marker)?;
    let start = at + FRAME_HEADER_BYTES;
    let payload = segment.get(start..start.checked_add(length)?)?;
    let crc = u32::from_le_bytes(field(segment, at + 8)?);
    let is_sound = checksum(&segment[at..at + 8], &[&segment[at + 12..start], payload]) == crc;
    is_sound.then_some(Frame { head, payload: start..start + length })
}

/// What a header says, when it may be one: cheap, so that few places need a checksum.
fn plausible(segment: &[u8], at: usize, marker: Option<u32>) -> Option<(FrameHead, usize)> {
    let header: [u8; FRAME_HEADER_BYTES] = field(segment, at)?;
    let its_marker = u32::from_le_bytes(field(&header, 0)?);
    let length = usize::try_from(u32::from_le_bytes(field(&header, 4)?)).ok()?;
    let sequence = u64::from_le_bytes(field(&header, 12)?);
    let group_start = u32::from_le_bytes(field(&header, 20)?);
    let signal = signal_of(header[24])?;
    let received = UnixNanos(u64::from_le_bytes(field(&header, 28)?));
    let is_sound = marker.is_none_or(|marker| marker == its_marker)
        && length <= FRAME_LIMIT_BYTES
        && header[25..28] == [CODEC_PLAIN, 0, 0]
        && usize::try_from(group_start).is_ok_and(|start| start <= at);
    is_sound.then_some((FrameHead { sequence, group_start, signal, received }, length))
}

/// How many bytes [`decode`] would checksum at `at` without a known marker: 0 when it is
/// plainly no frame.
pub(super) fn decoding_cost(segment: &[u8], at: usize) -> usize {
    let Some((_, length)) = plausible(segment, at, None) else { return 0 };
    let bytes = FRAME_HEADER_BYTES + length;
    if bytes <= segment.len() - at { bytes } else { 0 }
}
