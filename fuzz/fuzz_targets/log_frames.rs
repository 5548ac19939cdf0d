//! A segment of the log, as any bytes, and as a sound one that was damaged: no panic, frames
//! in order and within the file, nothing that is both sound and damaged; and each frame that
//! the damage spared comes back as it was written.

#![no_main]

use carafe_store_local::log::frame::{FrameHead, encode};
use carafe_store_local::log::segment::{
    Contents, Extent, Previous, SEGMENT_HEADER_BYTES, SegmentHeader, read,
};
use carafe_telemetry::{Signal, UnixNanos};
use libfuzzer_sys::fuzz_target;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

/// Depends on all of the input, as no payload can know the marker of its segment. With a fixed
/// one the fuzzer soon forges frames, checksum and all.
fn marker_of(input: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(input);
    hasher.finish() as u32 | 1
}

fn header(marker: u32) -> Vec<u8> {
    let previous = Previous::default();
    SegmentHeader { marker, first_sequence: 1, previous }.encode().to_vec()
}

fn frames(contents: &Contents) -> Vec<Range<usize>> {
    contents.frames.iter().map(|frame| frame.start()..frame.payload.end).collect()
}

fn extents(end: u64) -> [Extent; 4] {
    let known = |end, is_finished| Extent { end, is_finished };
    [known(None, false), known(None, true), known(Some(end), false), known(Some(end), true)]
}

fn check(bytes: &[u8], end: u64) {
    for extent in extents(end) {
        let contents = read(bytes, extent);
        let sound = frames(&contents);
        assert!(sound.is_sorted_by(|one, next| one.end <= next.start));
        assert!(
            sound.iter().all(|frame| (SEGMENT_HEADER_BYTES..bytes.len()).contains(&frame.start))
        );
        assert!(sound.last().is_none_or(|last| last.end <= bytes.len()));
        assert!(contents.damaged.is_sorted_by(|one, next| one.end <= next.start));
        for damaged in &contents.damaged {
            assert!(!damaged.is_empty());
            assert!(
                sound.iter().all(|frame| frame.end <= damaged.start || damaged.end <= frame.start)
            );
        }
    }
}

/// The next bytes of the input: a length, then so many.
fn take<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first()?;
    let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    *input = rest;
    Some(bytes)
}

/// How many frames, each with a length and its payload; then edits, each a place and a mask.
fn damaged_segment(mut input: &[u8]) {
    let marker = marker_of(input);
    let mut bytes = header(marker);
    let Some((count, rest)) = input.split_first() else { return };
    input = rest;
    let mut written = Vec::new();
    let mut group_start = bytes.len() as u32;
    for sequence in 1..=u64::from(count % 32) {
        let Some(payload) = take(&mut input) else { break };
        let start = bytes.len();
        if payload.len() % 3 == 0 {
            group_start = start as u32;
        }
        let signal = Signal::ALL[sequence as usize % 3];
        let head = FrameHead { sequence, group_start, signal, received: UnixNanos(sequence) };
        encode(&mut bytes, marker, head, payload);
        written.push(start..bytes.len());
    }
    let whole = bytes.clone();
    while let Some(([high, low, mask], rest)) = input.split_first_chunk() {
        input = rest;
        let at = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len();
        match mask {
            // Cut off.
            0 => bytes.truncate(at.max(1)),
            // As a hole.
            0xff => bytes[at..].iter_mut().take(512).for_each(|byte| *byte = 0),
            mask => bytes[at] ^= mask,
        }
    }
    let end = whole.len() as u64;
    check(&bytes, end);
    // Without its header and first frame, a segment's marker is that of the first frame found,
    // which may be one that somebody hid in a payload.
    let is_marker_known = SegmentHeader::decode(&bytes).is_ok()
        || written
            .first()
            .is_some_and(|first| bytes.get(first.clone()) == Some(&whole[first.clone()]));
    if !is_marker_known {
        return;
    }
    written.retain(|frame| bytes.get(frame.clone()) == Some(&whole[frame.clone()]));
    for extent in extents(end) {
        let found = frames(&read(&bytes, extent));
        assert!(written.iter().all(|frame| found.contains(frame)), "a sound frame is lost");
        assert!(found.iter().all(|frame| written.contains(frame)), "a frame that nobody wrote");
    }
}

fuzz_target!(|input: &[u8]| {
    match input {
        [0, end, bytes @ ..] => check(bytes, u64::from(*end) * 64),
        [1, end, bytes @ ..] => {
            // With a sound header, so that the marker is known.
            check(&[&header(marker_of(&[]))[..], bytes].concat(), u64::from(*end) * 64);
        }
        [_, rest @ ..] => damaged_segment(rest),
        [] => {}
    }
});
