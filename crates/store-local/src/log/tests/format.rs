//! The bytes of a segment: whatever happens to them, what is intact is found.

use super::RECEIVED;
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHead, encode};
use crate::log::segment::{
    Contents, Extent, HeaderFault, Previous, SEGMENT_HEADER_BYTES, SegmentHeader, read,
};
use carafe_telemetry::Signal;
use proptest::prelude::*;
use std::ops::Range;

const FINISHED: Extent = Extent { end: None, is_finished: true };
const OPEN: Extent = Extent { end: None, is_finished: false };

struct Written {
    bytes: Vec<u8>,
    /// Where the frames are.
    frames: Vec<Range<usize>>,
}

/// A segment of these groups of payloads.
fn write(marker: u32, groups: &[Vec<Vec<u8>>]) -> Written {
    let previous = Previous { first_sequence: 3, end: 70, last_sequence: 9, is_finished: true };
    let header = SegmentHeader { marker, first_sequence: 10, previous };
    assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    let mut written = Written { bytes: header.encode().to_vec(), frames: Vec::new() };
    let mut sequence = 10;
    for group in groups {
        let group_start = written.bytes.len() as u32;
        for payload in group {
            let start = written.bytes.len();
            let signal = Signal::ALL[sequence as usize % 3];
            encode(
                &mut written.bytes,
                marker,
                FrameHead { sequence, group_start, signal, received: RECEIVED },
                payload,
            );
            written.frames.push(start..written.bytes.len());
            sequence += 1;
        }
    }
    written
}

fn places(contents: &Contents) -> Vec<Range<usize>> {
    contents.frames.iter().map(|frame| frame.start()..frame.payload.end).collect()
}

fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    prop::collection::vec(prop::collection::vec(payload, 1..5), 0..8)
}

proptest! {
    #[test]
    fn all_comes_back(marker in 1u32.., groups in groups()) {
        let written = write(marker, &groups);
        for extent in [OPEN, FINISHED, Extent { end: Some(written.bytes.len() as u64), ..OPEN }] {
            let contents = read(&written.bytes, extent);
            prop_assert_eq!(places(&contents), written.frames.clone());
            prop_assert_eq!((contents.damaged, contents.torn_bytes), (vec![], 0));
            let payloads = contents.frames.iter().map(|frame| &written.bytes[frame.payload.clone()]);
            prop_assert!(payloads.eq(groups.iter().flatten()));
        }
    }

    #[test]
    fn damage_takes_only_what_it_hits_and_is_named(
        marker in 1u32..,
        groups in groups(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
    ) {
        let written = write(marker, &groups);
        let whole = written.bytes.len();
        let mut bytes = written.bytes.clone();
        let mut hits: Vec<usize> = Vec::new();
        for (at, mask) in flips {
            let at = at.index(whole);
            if bytes[at] == written.bytes[at] {
                bytes[at] ^= mask;
                hits.push(at);
            }
        }
        let length = cut.map_or(whole, |cut| cut.index(whole));
        bytes.truncate(length);
        let is_intact = |frame: &&Range<usize>| {
            frame.end <= length && !hits.iter().any(|hit| frame.contains(hit))
        };
        let intact: Vec<_> = written.frames.iter().filter(is_intact).cloned().collect();
        let known = Extent { end: Some(whole as u64), is_finished: true };
        for extent in [OPEN, FINISHED, known] {
            prop_assert_eq!(&places(&read(&bytes, extent)), &intact, "{:?}", extent);
        }
        // Where the end is known, each byte is either sound or named.
        let contents = read(&bytes, known);
        let mut named: Vec<_> = places(&contents).into_iter().chain(contents.damaged.clone()).collect();
        named.sort_by_key(|range| range.start);
        let header = 0..SEGMENT_HEADER_BYTES;
        let mut at = if named.first() == Some(&header) { 0 } else { SEGMENT_HEADER_BYTES.min(length) };
        for range in named {
            prop_assert_eq!(range.start, at);
            at = range.end;
        }
        prop_assert_eq!(at, whole.max(at));
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300), end in 0u64..400) {
        for extent in [OPEN, FINISHED, Extent { end: Some(end), is_finished: true }] {
            prop_assert!(read(&bytes, extent).frames.is_empty());
        }
    }
}

#[test]
fn a_torn_group_at_the_end_is_no_damage() {
    let one = vec![vec![1; 100]];
    let three = vec![vec![2; 100], vec![3; 100], vec![4; 100]];
    let written = write(7, &[one.clone(), three.clone()]);
    let frames = &written.frames;
    let mut bytes = written.bytes.clone();
    bytes[frames[2].start + 40] ^= 1;
    let contents = read(&bytes, OPEN);
    assert_eq!(places(&contents), [frames[0].clone(), frames[1].clone(), frames[3].clone()]);
    assert_eq!((contents.damaged, contents.torn_bytes), (vec![], frames[2].len()));

    // The same within a group that others were written after is damage.
    let written = write(7, &[three, one]);
    let frames = &written.frames;
    let mut bytes = written.bytes.clone();
    bytes[frames[1].start + 40] ^= 1;
    let contents = read(&bytes, OPEN);
    assert_eq!((contents.damaged, contents.torn_bytes), (vec![frames[1].clone()], 0));
}

#[test]
fn what_was_left_behind_the_acknowledged_end_is_ignored() {
    let written = write(7, &[vec![vec![1; 10]], vec![vec![2; 10]]]);
    let end = written.frames[0].end as u64;
    let contents = read(&written.bytes, Extent { end: Some(end), is_finished: true });
    assert_eq!(places(&contents), written.frames[..1]);
    assert!(contents.damaged.is_empty());
}

#[test]
fn a_payload_cannot_pass_for_a_frame() {
    // A frame of another marker, within a frame that is then damaged.
    let fake = write(8, &[vec![vec![9; 10]]]).bytes[SEGMENT_HEADER_BYTES..].to_vec();
    let written = write(7, &[vec![fake, vec![1; 10]]]);
    let mut bytes = written.bytes.clone();
    bytes[written.frames[0].start + 12] ^= 1;
    assert_eq!(places(&read(&bytes, FINISHED)), written.frames[1..]);
}

#[test]
fn a_search_without_a_marker_ends() {
    // Headers that look sound at every place, each of a long frame with a wrong checksum.
    let mut header = Vec::new();
    encode(
        &mut header,
        0,
        FrameHead { sequence: 1, group_start: 0, signal: Signal::Traces, received: RECEIVED },
        &[],
    );
    header[4..8].copy_from_slice(&100_000u32.to_le_bytes());
    let bytes: Vec<u8> = header.iter().copied().cycle().take(20_000 * FRAME_HEADER_BYTES).collect();
    assert!(read(&bytes, FINISHED).frames.is_empty());
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let mut bytes = write(7, &[]).bytes;
    bytes[8] = 2;
    assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Damaged));
    let crc = crc32c::crc32c(&bytes[..SEGMENT_HEADER_BYTES - 4]);
    bytes[SEGMENT_HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Newer(2)));
    assert_eq!(SegmentHeader::decode(&bytes[..20]), Err(HeaderFault::Damaged));
}
