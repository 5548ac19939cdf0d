//! How much there is.

use super::append::index_of;
use super::queries::View;
use carafe_store::StoreStats;
use carafe_telemetry::{Signal, UnixNanos};
use std::sync::atomic::Ordering;

impl View {
    /// The counts of items are those of the catalog and of recent data; `log_bytes` is what
    /// the log takes.
    pub(super) fn stats(&self, log_bytes: u64) -> StoreStats {
        let mut items = [0; 3];
        let mut traces = 0;
        for memtable in self.state.memtables() {
            for (sum, items) in items.iter_mut().zip(memtable.items()) {
                *sum += items;
            }
            traces += memtable.spans.traces();
        }
        let (mut files, mut file_bytes, mut oldest) = (0, 0, u64::MAX);
        for entry in self.state.entries() {
            let file = &entry.file;
            items[index_of(file.signal)] += file.rows;
            traces += file.traces;
            files += 1;
            file_bytes += file.data_bytes + file.side_bytes;
            oldest = oldest.min(file.extent.start.0);
        }
        let recent_bytes = self.state.recent_bytes();
        let disk_bytes = file_bytes + log_bytes;
        let config = &self.shared.config;
        let evicted = self.shared.evicted.lock();
        let counts = &self.shared.counts;
        let appended = |signal| counts.appended[index_of(signal)].load(Ordering::Relaxed);
        StoreStats {
            kind: "local",
            spans: items[index_of(Signal::Traces)],
            traces,
            logs: items[index_of(Signal::Logs)],
            points: items[index_of(Signal::Metrics)],
            bytes: recent_bytes + disk_bytes,
            max_bytes: config
                .retention_bytes
                .map_or(u64::MAX, |bytes| bytes.saturating_add(config.memory_bytes)),
            recent_bytes,
            disk_bytes,
            log_bytes,
            files,
            set_aside_files: self.shared.set_aside.load(Ordering::Relaxed),
            oldest: UnixNanos(if files == 0 { 0 } else { oldest }),
            evicted_traces: 0,
            evicted_spans: evicted[index_of(Signal::Traces)],
            evicted_logs: evicted[index_of(Signal::Logs)],
            evicted_points: evicted[index_of(Signal::Metrics)],
            rejected_items: counts.rejected.load(Ordering::Relaxed),
            appended_spans: appended(Signal::Traces),
            appended_logs: appended(Signal::Logs),
            appended_points: appended(Signal::Metrics),
        }
    }
}
