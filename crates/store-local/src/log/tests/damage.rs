//! Files that were changed, cut off, or taken away.

use super::{Place, append, options, replayed};
use crate::log::segment::SEGMENT_HEADER_BYTES;
use crate::log::{DamagedPart, Replay};
use carafe_store::StoreErrorKind;
use std::fs;
use std::path::Path;

/// Two hundred requests in several segments.
fn written() -> Place {
    let place = Place::new();
    let log = place.begin(options());
    for payload in 1..=200 {
        append(&log, payload, 100).unwrap();
    }
    drop(log);
    assert!(place.files().len() > 5);
    place
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn first_sequence(path: &Path) -> u64 {
    path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

fn named(replay: &Replay) -> Vec<(DamagedPart, u64)> {
    replay.report().damaged.iter().map(|damage| (damage.part, damage.lost_requests())).collect()
}

#[test]
fn a_flipped_bit_takes_one_request_and_is_named_until_it_is_set_aside() {
    let place = written();
    let file = place.files()[1].clone();
    let offset = SEGMENT_HEADER_BYTES + 50;
    change(&file, |bytes| bytes[offset] ^= 4);
    let lost = first_sequence(&file);
    let all_but_lost: Vec<u64> = (1..=200).filter(|payload| *payload != lost).collect();
    let before = fs::read(&file).unwrap();
    for _ in 0..2 {
        let (_log, mut replay) = place.open(options(), 0);
        assert_eq!(replayed(&mut replay), all_but_lost);
        let [damage] = &replay.report().damaged[..] else { panic!("{:?}", replay.report()) };
        assert_eq!((&damage.file, damage.part), (&file, DamagedPart::Frames));
        assert_eq!((damage.offset, damage.bytes), (SEGMENT_HEADER_BYTES as u64, 136));
        assert_eq!((damage.after, damage.before, damage.lost_requests()), (lost - 1, lost + 1, 1));
        assert!(damage.to_string().contains("136 bytes at offset 56 are damaged"), "{damage}");
    }
    let (log, mut replay) = place.open(options(), 0);
    assert_eq!(replay.by_ref().count(), 199);
    log.remove_through(200).unwrap();
    assert!(place.files().is_empty());
    let aside = place.path().join("aside").join(file.file_name().unwrap());
    assert_eq!(fs::read(aside).unwrap(), before);
    assert_eq!(fs::read_dir(place.path().join("aside")).unwrap().count(), 1);
}

#[test]
fn damage_that_was_flushed_before_is_nobodys_loss() {
    let place = written();
    let file = place.files()[1].clone();
    change(&file, |bytes| bytes[SEGMENT_HEADER_BYTES + 50] ^= 4);
    let lost = first_sequence(&file);
    let (log, mut replay) = place.open(options(), lost);
    assert_eq!(replayed(&mut replay), (lost + 1..=200).collect::<Vec<_>>());
    assert_eq!(named(&replay), []);
    log.remove_through(200).unwrap();
    assert!(!place.path().join("aside").exists());
}

#[test]
fn a_lost_header_loses_no_request() {
    let place = written();
    for file in place.files() {
        change(&file, |bytes| bytes[..SEGMENT_HEADER_BYTES].fill(0xff));
    }
    let (_log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), (1..=200).collect::<Vec<_>>());
    assert_eq!(named(&replay), vec![(DamagedPart::Header, 0); place.files().len()]);
}

#[test]
fn a_segment_that_was_cut_off_is_named_unless_it_is_the_last() {
    let place = written();
    let files = place.files();
    let cut = |path: &Path| change(path, |bytes| bytes.truncate(bytes.len() - 10));
    cut(files.last().unwrap());
    let (log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), (1..200).collect::<Vec<_>>());
    assert_eq!((named(&replay), replay.report().torn_bytes), (vec![], 126));
    append(&log, 300, 10).unwrap();
    drop(log);
    let (_log, mut replay) = place.open(options(), 0);
    assert_eq!(replayed(&mut replay), (1..200).chain([300]).collect::<Vec<_>>());
    assert_eq!(named(&replay), [], "a torn end stays one when more was written after it");

    cut(&files[2]);
    let (_log, mut replay) = place.open(options(), 0);
    let lost = first_sequence(&files[3]) - 1;
    let all_but_lost: Vec<u64> = (1..200).chain([300]).filter(|payload| *payload != lost).collect();
    assert_eq!(replayed(&mut replay), all_but_lost);
    assert_eq!(named(&replay), [(DamagedPart::Frames, 1)]);
}

#[test]
fn a_segment_that_is_gone_is_named() {
    let place = written();
    let files = place.files();
    fs::remove_file(&files[2]).unwrap();
    let lost = first_sequence(&files[2])..first_sequence(&files[3]);
    let (_log, mut replay) = place.open(options(), 0);
    let left: Vec<u64> = (1..=200).filter(|payload| !lost.contains(payload)).collect();
    assert_eq!(replayed(&mut replay), left);
    assert_eq!(named(&replay), [(DamagedPart::File, lost.end - lost.start)]);
    assert_eq!(replay.report().damaged[0].file, files[2]);
    // It is as it should be when all that was in it is flushed.
    let (_log, replay) = place.open(options(), lost.end);
    assert_eq!(named(&replay), []);
}

#[test]
fn what_a_crash_left_of_a_new_segment_is_ignored() {
    for left in [&b""[..], b"CARAFLOG", &[0; 300]] {
        let place = written();
        let torn = place.path().join("log/00000000000000000201.log");
        fs::write(&torn, left).unwrap();
        fs::write(place.path().join("log/notes.txt"), "not a segment").unwrap();
        let (log, mut replay) = place.open(options(), 0);
        assert_eq!(replayed(&mut replay).len(), 200);
        assert_eq!((named(&replay), replay.report().torn_bytes), (vec![], left.len() as u64));
        append(&log, 300, 10).unwrap();
        drop(log);
        let (log, mut replay) = place.open(options(), 0);
        assert_eq!(replayed(&mut replay).len(), 201);
        assert_eq!(named(&replay), []);
        log.remove_through(u64::MAX).unwrap();
        assert_eq!(place.files(), [place.path().join("log/notes.txt")]);
    }
}

#[test]
fn a_log_of_a_newer_version_is_left_alone() {
    let place = written();
    let file = place.files()[0].clone();
    change(&file, |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..SEGMENT_HEADER_BYTES - 4]);
        bytes[SEGMENT_HEADER_BYTES - 4..SEGMENT_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    });
    let Err(error) = place.try_open(options(), 0) else { panic!("it was opened") };
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.message.contains("version 2"), "{error}");
}

#[test]
fn a_name_beyond_all_sequences_is_refused() {
    let place = written();
    fs::write(place.path().join("log/18446744073709551615.log"), "").unwrap();
    let Err(error) = place.try_open(options(), 0) else { panic!("it was opened") };
    assert!(error.message.contains("18446744073709551615"), "{error}");
}
