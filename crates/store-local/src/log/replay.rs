//! Reading the log after a start.

use super::frame::{FRAME_HEADER_BYTES, Frame};
use super::plan::{Part, Plan, read_file};
use super::segment::{Contents, read};
use super::segments::Segments;
use crate::disk::Disk;
use bytes::Bytes;
use carafe_store::StoreError;
use carafe_telemetry::{Signal, UnixNanos};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Damaged places that a report lists; further ones are counted.
pub const DAMAGE_LIMIT: usize = 1_000;

/// A request of the log that may not be in a Parquet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedFrame {
    /// Its place in the order of all requests.
    pub sequence: u64,
    /// What it is.
    pub signal: Signal,
    /// When it was received.
    pub received: UnixNanos,
    /// The request as it came.
    pub bytes: Bytes,
}

/// What of a segment is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedPart {
    /// Its header; no request is lost by that.
    Header,
    /// Requests.
    Frames,
    /// The file is not there.
    File,
}

/// A place of the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: PathBuf,
    /// What was there.
    pub part: DamagedPart,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// All requests up to this sequence are safe, or named before.
    pub after: u64,
    /// So are those from this one on.
    pub before: u64,
}

impl Damage {
    /// How many requests are lost at most.
    pub fn lost_requests(&self) -> u64 {
        let between = self.before.saturating_sub(self.after).saturating_sub(1);
        match self.part {
            DamagedPart::Header => 0,
            DamagedPart::Frames | DamagedPart::File => {
                between.min(self.bytes.div_ceil(FRAME_HEADER_BYTES as u64))
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, offset, bytes, after, before, .. } = self;
        let file = self.file.display();
        match part {
            DamagedPart::Header => write!(f, "{file}: the header is damaged, no request is lost"),
            DamagedPart::Frames => write!(
                f,
                "{file}: {bytes} bytes at offset {offset} are damaged, at most {} requests between \
                 {after} and {before} are lost",
                self.lost_requests()
            ),
            DamagedPart::File => write!(
                f,
                "{file}: the file is gone, at most {} requests between {after} and {before} are lost",
                self.lost_requests()
            ),
        }
    }
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Requests that came back.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests that are in Parquet files already.
    pub flushed_frames: u64,
    /// Bytes of a group that was being written when the power or the process went, so that
    /// nobody was told that it is safe.
    pub torn_bytes: u64,
    /// What was acknowledged and cannot be read.
    pub damaged: Vec<Damage>,
    /// Damaged places beyond [`DAMAGE_LIMIT`].
    pub more_damage: u64,
}

impl ReplayReport {
    fn add(&mut self, damage: Damage) {
        if self.damaged.len() < DAMAGE_LIMIT {
            self.damaged.push(damage);
        } else {
            self.more_damage += 1;
        }
    }
}

/// The requests of the log after a watermark, in order, each once. Holds one segment in
/// memory. Nothing that was appended since may be flushed before this is read to its end.
pub struct Replay {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    parts: std::vec::IntoIter<Part>,
    watermark: u64,
    /// The last sequence that was passed, given or not.
    last: u64,
    bytes: Bytes,
    frames: std::vec::IntoIter<Frame>,
    report: ReplayReport,
}

impl Replay {
    /// Reads the log under `data_dir` without a writer, as for a check. Frames up to
    /// `watermark` are in Parquet files.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &Path, watermark: u64) -> Result<Self, StoreError> {
        let plan = Plan::new(&*disk, data_dir, watermark)?;
        let segments = Arc::new(Segments::new(data_dir, Vec::new(), u64::MAX));
        Ok(Self::new(disk, segments, watermark, plan.parts, plan.torn_bytes, plan.missing))
    }

    pub(super) fn new(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        watermark: u64,
        parts: Vec<Part>,
        torn_bytes: u64,
        missing: Vec<Damage>,
    ) -> Self {
        let mut report = ReplayReport { torn_bytes, ..ReplayReport::default() };
        missing.into_iter().for_each(|damage| report.add(damage));
        Self {
            disk,
            segments,
            parts: parts.into_iter(),
            watermark,
            last: 0,
            bytes: Bytes::new(),
            frames: Vec::new().into_iter(),
            report,
        }
    }

    /// What was found so far; all there is once the last frame was given.
    pub fn report(&self) -> &ReplayReport {
        &self.report
    }

    /// Begins the next segment; false after the last one.
    fn next_part(&mut self) -> Result<bool, StoreError> {
        let Some(mut part) = self.parts.next() else { return Ok(false) };
        if part.last_sequence <= self.watermark {
            return Ok(true);
        }
        let (bytes, contents) = match part.contents.take() {
            Some(read) => read,
            None => {
                let bytes = Bytes::from(read_file(&*self.disk, &part.path, u64::MAX)?);
                let contents = read(&bytes, part.extent);
                (bytes, contents)
            }
        };
        self.name_damage(&part, &contents);
        self.report.torn_bytes += contents.torn_bytes as u64;
        self.bytes = bytes;
        self.frames = contents.frames.into_iter();
        Ok(true)
    }

    fn name_damage(&mut self, part: &Part, contents: &Contents) {
        let mut is_damaged = false;
        for range in &contents.damaged {
            let (after, before) = neighbours(range, &contents.frames);
            let after = after.unwrap_or(self.last.max(part.first_sequence.saturating_sub(1)));
            let before = before.unwrap_or(part.last_sequence.saturating_add(1));
            let is_header = range.start == 0;
            if !is_header && before <= self.watermark.saturating_add(1) {
                // It was flushed before it was damaged.
                continue;
            }
            is_damaged = true;
            self.report.add(Damage {
                file: part.path.clone(),
                part: if is_header { DamagedPart::Header } else { DamagedPart::Frames },
                offset: range.start as u64,
                bytes: range.len() as u64,
                after,
                before,
            });
        }
        if is_damaged {
            self.segments.mark_damaged(part.first_sequence);
        }
    }
}

/// The sequences of the frames before and after a place.
fn neighbours(place: &Range<usize>, frames: &[Frame]) -> (Option<u64>, Option<u64>) {
    let at = frames.partition_point(|frame| frame.start() < place.start);
    let before = at.checked_sub(1).and_then(|at| frames.get(at));
    (before.map(|frame| frame.head.sequence), frames.get(at).map(|frame| frame.head.sequence))
}

impl Iterator for Replay {
    type Item = Result<ReplayedFrame, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for frame in self.frames.by_ref() {
                let sequence = frame.head.sequence;
                if sequence <= self.last {
                    continue;
                }
                self.last = sequence;
                if sequence <= self.watermark {
                    self.report.flushed_frames += 1;
                    continue;
                }
                self.report.frames += 1;
                self.report.bytes += frame.payload.len() as u64;
                let bytes = self.bytes.slice(frame.payload);
                return Some(Ok(ReplayedFrame {
                    sequence,
                    signal: frame.head.signal,
                    received: frame.head.received,
                    bytes,
                }));
            }
            match self.next_part() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
