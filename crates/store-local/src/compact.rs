//! Which files are merged, and which have had their time. Pure: no file is touched here.

use crate::catalog::{FileEntry, FileId};
use crate::window::{FIRST_WINDOW_SECONDS, LAST_WINDOW_SECONDS, Window};
use carafe_telemetry::{Signal, UnixNanos};
use std::collections::BTreeMap;
use std::time::Duration;

/// No file is merged beyond this.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// So many files of one generation and window are merged whatever their sizes. More would
/// mean fewer rewrites and more files for a query to look into.
pub const FAN_IN: usize = 8;
/// At most so many files are merged at once: a merge holds a batch of each.
pub const MAX_FAN_IN: usize = 32;
/// A window gets no more files when nothing was flushed to it for this long.
pub const SETTLED: Duration = Duration::from_secs(120);
/// Files are merged where the largest is at most so many times the rest: the work goes where
/// it makes few files of many.
const LARGEST_TO_REST: u64 = 4;

/// Files that are to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// What is in them.
    pub signal: Signal,
    /// The window of the new file.
    pub window: Window,
    /// The old files.
    pub files: Vec<FileEntry>,
}

/// The most useful merge, if there is one.
pub fn next_merge(files: &[FileEntry], now: UnixNanos) -> Option<Merge> {
    let mut windows = BTreeMap::<(Signal, Window), Vec<&FileEntry>>::new();
    for entry in files {
        windows.entry((entry.file.signal, entry.file.window)).or_default().push(entry);
    }
    let within = windows
        .iter()
        .filter_map(|((signal, window), files)| merge_in_window(*signal, *window, files, now));
    within.max_by_key(|merge| merge.files.len()).or_else(|| merge_windows(&windows, now))
}

fn merge_in_window(
    signal: Signal,
    window: Window,
    files: &[&FileEntry],
    now: UnixNanos,
) -> Option<Merge> {
    let merge = |mut chosen: Vec<&FileEntry>| {
        // The smallest first, so that as many as possible fit.
        chosen.sort_by_key(|entry| entry.file.data_bytes);
        let mut bytes = 0;
        chosen.retain(|entry| {
            bytes += entry.file.data_bytes;
            bytes <= MAX_FILE_BYTES
        });
        chosen.truncate(MAX_FAN_IN);
        let files: Vec<FileEntry> = chosen.into_iter().cloned().collect();
        (files.len() > 1).then_some(Merge { signal, window, files })
    };
    let mut generations = BTreeMap::<u32, Vec<&FileEntry>>::new();
    for entry in files {
        generations.entry(entry.file.generation).or_default().push(entry);
    }
    let many = generations.into_values().filter(|files| files.len() >= FAN_IN).find_map(merge);
    if many.is_some() || !is_settled(files, now) {
        return many;
    }
    let chosen = merge(files.to_vec())?;
    let largest = chosen.files.iter().map(|entry| entry.file.data_bytes).max().unwrap_or(0);
    let all: u64 = chosen.files.iter().map(|entry| entry.file.data_bytes).sum();
    (largest <= LARGEST_TO_REST * (all - largest)).then_some(chosen)
}

/// Makes a long window of the short ones, once nothing is expected in them.
fn merge_windows(
    windows: &BTreeMap<(Signal, Window), Vec<&FileEntry>>,
    now: UnixNanos,
) -> Option<Merge> {
    let mut long = BTreeMap::<(Signal, Window), Vec<&FileEntry>>::new();
    for ((signal, window), files) in windows {
        long.entry((*signal, window.widened(LAST_WINDOW_SECONDS))).or_default().extend(files);
    }
    long.into_iter().find_map(|((signal, window), files)| {
        let bytes: u64 = files.iter().map(|entry| entry.file.data_bytes).sum();
        let is_over = window.range().end.0.saturating_add(SETTLED.as_nanos() as u64) < now.0;
        let has_short = files.iter().any(|e| e.file.window.seconds == FIRST_WINDOW_SECONDS);
        (is_over
            && has_short
            && files.len() > 1
            && files.len() <= MAX_FAN_IN
            && bytes <= MAX_FILE_BYTES
            && is_settled(&files, now))
        .then(|| Merge { signal, window, files: files.into_iter().cloned().collect() })
    })
}

fn is_settled(files: &[&FileEntry], now: UnixNanos) -> bool {
    let newest = files.iter().map(|entry| entry.file.created_seconds).max().unwrap_or(0);
    newest + SETTLED.as_secs() <= now.0 / 1_000_000_000
}

/// The files that go: what is older than `age`, then the oldest until `bytes` are kept.
pub fn expired(
    files: &[FileEntry],
    now: UnixNanos,
    age: Option<Duration>,
    bytes: Option<u64>,
) -> Vec<FileId> {
    let oldest = age.map_or(0, |age| now.0.saturating_sub(age.as_nanos() as u64));
    let mut files: Vec<&FileEntry> = files.iter().collect();
    files.sort_by_key(|entry| (entry.file.extent.end, entry.id));
    let size = |entry: &FileEntry| entry.file.data_bytes + entry.file.side_bytes;
    let mut total: u64 = files.iter().map(|entry| size(entry)).sum();
    let mut expired = Vec::new();
    for entry in files {
        if entry.file.extent.end.0 >= oldest && bytes.is_none_or(|bytes| total <= bytes) {
            break;
        }
        total -= size(entry);
        expired.push(entry.id);
    }
    expired
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::NewFile;
    use carafe_store::TimeRange;

    const NOW: u64 = 1_767_225_600;

    fn entry(id: i64, window: Window, mib: u64, generation: u32, age: u64) -> FileEntry {
        let file = NewFile {
            signal: Signal::Traces,
            window,
            path: id.to_string(),
            rows: 1,
            data_bytes: mib << 20,
            side_bytes: 0,
            extent: TimeRange { start: window.range().start, end: window.range().end },
            first_sequence: id as u64,
            last_sequence: id as u64,
            traces: 1,
            generation,
            created_seconds: NOW - age,
        };
        FileEntry { id: FileId(id), file }
    }

    fn window(back: u64) -> Window {
        Window { start_seconds: NOW - back * FIRST_WINDOW_SECONDS, seconds: FIRST_WINDOW_SECONDS }
    }

    fn merged(files: &[FileEntry]) -> Vec<i64> {
        let merge = next_merge(files, UnixNanos(NOW * 1_000_000_000));
        let mut ids: Vec<i64> =
            merge.iter().flat_map(|merge| &merge.files).map(|entry| entry.id.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn many_files_are_merged_at_once_few_when_nothing_comes_any_more() {
        let fresh = |n: i64| -> Vec<_> { (0..n).map(|id| entry(id, window(1), 8, 0, 1)).collect() };
        assert_eq!(merged(&fresh(7)), [0; 0]);
        assert_eq!(merged(&fresh(8)).len(), 8);
        let settled: Vec<_> = (0..3).map(|id| entry(id, window(1), 8, 0, 200)).collect();
        assert_eq!(merged(&settled), [0, 1, 2]);
    }

    #[test]
    fn a_large_file_is_not_rewritten_for_a_small_one() {
        let large = entry(0, window(1), 100, 2, 500);
        assert_eq!(merged(&[large.clone(), entry(1, window(1), 1, 0, 500)]), [0; 0]);
        assert_eq!(merged(&[large, entry(1, window(1), 30, 0, 500)]), [0, 1]);
    }

    #[test]
    fn no_file_grows_beyond_the_limit() {
        let files: Vec<_> = (0..9).map(|id| entry(id, window(1), 100, 1, 500)).collect();
        assert_eq!(merged(&files).len(), 5);
    }

    #[test]
    fn short_windows_become_a_long_one_when_their_hour_is_over() {
        let hour: Vec<_> =
            (7..=12).map(|back| entry(back, window(back as u64), 8, 1, 500)).collect();
        assert_eq!(merged(&hour), [7, 8, 9, 10, 11, 12]);
        let running: Vec<_> =
            (1..=3).map(|back| entry(back, window(back as u64), 8, 1, 500)).collect();
        // The epoch is a multiple of an hour, so the last hour has ended just now.
        assert_eq!(merged(&running), [0; 0]);
    }

    #[test]
    fn the_oldest_goes_first() {
        let files: Vec<_> =
            (1..=4).map(|back| entry(back, window(back as u64), 10, 0, 0)).collect();
        let now = UnixNanos(NOW * 1_000_000_000);
        let ids = |age: Option<u64>, bytes: Option<u64>| -> Vec<i64> {
            let expired = expired(&files, now, age.map(Duration::from_secs), bytes);
            expired.into_iter().map(|id| id.0).collect()
        };
        assert_eq!(ids(None, None), [0; 0]);
        assert_eq!(ids(Some(1_200), None), [4, 3]);
        assert_eq!(ids(None, Some(30 << 20)), [4]);
        assert_eq!(ids(Some(1_200), Some(10 << 20)), [4, 3, 2]);
    }
}
