//! What the files in the log's directory are to one another, before any of them is read
//! whole but the last.

use super::frame::Frame;
use super::replay::{Damage, DamagedPart};
use super::segment::{
    Contents, Extent, HeaderFault, Previous, SEGMENT_HEADER_BYTES, SegmentHeader, read,
};
use super::segments::{LOG_DIR, Sealed, file_name, parse_file_name};
use crate::disk::{Disk, disk_error};
use bytes::Bytes;
use carafe_store::{StoreError, StoreErrorKind};
use std::path::{Path, PathBuf};

/// Sequences end here: what a file claims beyond is not from this log.
const SEQUENCE_LIMIT: u64 = 1 << 63;

/// A segment to be replayed.
pub(super) struct Part {
    pub first_sequence: u64,
    pub path: PathBuf,
    pub extent: Extent,
    /// No frame in it has a higher sequence.
    pub last_sequence: u64,
    /// Of the last one, which had to be read.
    pub contents: Option<(Bytes, Contents)>,
}

/// Where the log stands.
pub(super) struct Plan {
    pub parts: Vec<Part>,
    /// All files, also those that hold nothing.
    pub sealed: Vec<Sealed>,
    /// What the next segment's header says.
    pub previous: Previous,
    /// Greater than all sequences that were ever given.
    pub next_sequence: u64,
    pub torn_bytes: u64,
    pub missing: Vec<Damage>,
}

struct Listed {
    first_sequence: u64,
    path: PathBuf,
    header: Option<SegmentHeader>,
}

impl Plan {
    pub(super) fn new(
        disk: &dyn Disk,
        data_dir: &Path,
        watermark: u64,
    ) -> Result<Self, StoreError> {
        let mut listed = list(disk, &data_dir.join(LOG_DIR))?;
        let greatest = listed.last().map_or(0, |segment| segment.first_sequence);
        let mut plan = Self {
            parts: Vec::new(),
            sealed: Vec::new(),
            previous: Previous { last_sequence: watermark, ..Previous::default() },
            next_sequence: watermark.max(greatest),
            torn_bytes: 0,
            missing: missing(&listed, data_dir, watermark),
        };
        let mut empty = Vec::new();
        let mut last = None;
        while let Some(segment) = listed.pop() {
            let bytes = Bytes::from(read_file(disk, &segment.path, u64::MAX)?);
            let contents = read(&bytes, Extent::default());
            if segment.header.is_some() || !contents.frames.is_empty() {
                last = Some((segment, bytes, contents));
                break;
            }
            // The process went while it began this one: nothing was acknowledged from it.
            plan.torn_bytes += bytes.len() as u64;
            empty.push(sealed(&segment, segment.first_sequence - 1, bytes.len() as u64));
        }
        if let Some((last, ..)) = &last {
            plan.older(&listed, last);
        }
        if let Some((segment, bytes, contents)) = last {
            plan.newest(segment, bytes, contents);
        }
        plan.sealed.extend(empty.into_iter().rev());
        plan.next_sequence = plan.next_sequence.saturating_add(1);
        if plan.next_sequence >= SEQUENCE_LIMIT {
            return Err(StoreError::new(
                StoreErrorKind::Corrupt,
                format!(
                    "the log in {} claims the sequence {}; hint: move the file with that name away",
                    data_dir.display(),
                    plan.next_sequence.max(greatest)
                ),
            ));
        }
        Ok(plan)
    }

    /// The segments before the last one that holds something.
    fn older(&mut self, listed: &[Listed], last: &Listed) {
        for (at, segment) in listed.iter().enumerate() {
            let after = listed[at + 1..].iter().chain([last]);
            let next = after.clone().map(|later| later.first_sequence).next();
            let bound = next.unwrap_or(segment.first_sequence) - 1;
            let successor = after.filter_map(|later| later.header).next();
            let previous = successor.map(|header| header.previous);
            let (extent, last_sequence) = match previous {
                Some(previous) if previous.first_sequence == segment.first_sequence => (
                    Extent { end: Some(previous.end), is_finished: previous.is_finished },
                    previous.last_sequence.min(bound),
                ),
                Some(previous) if previous.first_sequence < segment.first_sequence => {
                    self.sealed.push(sealed(segment, bound, 0));
                    continue;
                }
                _ => (Extent { end: None, is_finished: true }, bound),
            };
            self.sealed.push(sealed(segment, last_sequence, extent.end.unwrap_or(0)));
            self.parts.push(Part {
                first_sequence: segment.first_sequence,
                path: segment.path.clone(),
                extent,
                last_sequence,
                contents: None,
            });
        }
    }

    fn newest(&mut self, segment: Listed, bytes: Bytes, contents: Contents) {
        let before = segment.header.map_or(0, |header| header.previous.last_sequence);
        let sequences = contents.frames.iter().map(|frame: &Frame| frame.head.sequence);
        let last_sequence = sequences.max().unwrap_or(0).max(before);
        self.next_sequence = self.next_sequence.max(last_sequence);
        self.previous = Previous {
            first_sequence: segment.first_sequence,
            end: contents.end as u64,
            last_sequence,
            is_finished: false,
        };
        self.sealed.push(sealed(&segment, last_sequence, bytes.len() as u64));
        self.parts.push(Part {
            first_sequence: segment.first_sequence,
            path: segment.path,
            extent: Extent::default(),
            last_sequence,
            contents: Some((bytes, contents)),
        });
    }
}

fn sealed(segment: &Listed, last_sequence: u64, bytes: u64) -> Sealed {
    let first_sequence = segment.first_sequence;
    Sealed { first_sequence, last_sequence, bytes, is_damaged: false }
}

fn list(disk: &dyn Disk, log_dir: &Path) -> Result<Vec<Listed>, StoreError> {
    let names = disk.list(log_dir).map_err(|error| disk_error("cannot list", log_dir, error))?;
    let mut sequences: Vec<u64> = names.iter().filter_map(|name| parse_file_name(name)).collect();
    // Sequences begin at 1.
    sequences.retain(|sequence| *sequence > 0);
    sequences.sort_unstable();
    let listed = sequences.into_iter().map(|first_sequence| {
        let path = log_dir.join(file_name(first_sequence));
        let header = read_file(disk, &path, SEGMENT_HEADER_BYTES as u64)?;
        let header = match SegmentHeader::decode(&header) {
            Ok(header) => (header.first_sequence == first_sequence).then_some(header),
            Err(HeaderFault::Damaged) => None,
            Err(HeaderFault::Newer(version)) => {
                let path = path.display();
                return Err(StoreError::new(
                    StoreErrorKind::Corrupt,
                    format!("{path} has version {version} of the log's format; hint: use the newer carafe that wrote it"),
                ));
            }
        };
        Ok(Listed { first_sequence, path, header })
    });
    listed.collect()
}

/// Segments that a later one was begun after, and that are not there.
fn missing(listed: &[Listed], data_dir: &Path, watermark: u64) -> Vec<Damage> {
    let headers = listed.iter().filter_map(|segment| segment.header);
    let lost = headers.filter(|header| {
        let previous = header.previous;
        let is_there = listed.iter().any(|other| other.first_sequence == previous.first_sequence);
        previous.end > SEGMENT_HEADER_BYTES as u64
            && previous.last_sequence > watermark
            && !is_there
    });
    let damage = lost.map(|header| Damage {
        file: data_dir.join(LOG_DIR).join(file_name(header.previous.first_sequence)),
        part: DamagedPart::File,
        offset: 0,
        bytes: header.previous.end,
        after: (header.previous.first_sequence.saturating_sub(1)).max(watermark),
        before: header.previous.last_sequence + 1,
    });
    damage.collect()
}

pub(super) fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    disk.read(path, limit).map_err(|error| disk_error("cannot read", path, error))
}
