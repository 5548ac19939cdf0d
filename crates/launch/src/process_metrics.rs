//! What the kernel knows of one process: `process.*`.
//!
//! Read from outside at every report, so the app does nothing for it. A process that lived shorter
//! than the time between two reports has none.

use crate::metrics::MetricOptions;
use crate::observer::{KernelMetrics, Observer, Spec, seconds, ticks_per_second, whole};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{self, KeyValue, ScopeMetrics};
use carafe_wire::record::{InstrumentKind, Number};
use std::fs;

const fn spec(
    name: &'static str,
    kind: InstrumentKind,
    unit: &'static str,
    description: &'static str,
) -> Spec {
    Spec { name, kind, unit, description }
}

use InstrumentKind::{ObservableCounter, ObservableGauge, ObservableUpDownCounter};

const CPU_TIME: &str = "process.cpu.time";
const CPU_UTILIZATION: &str = "process.cpu.utilization";
const CONTEXT_SWITCHES: &str = "process.context_switches";
const MEMORY_USAGE: &str = "process.memory.usage";
const MEMORY_VIRTUAL: &str = "process.memory.virtual";
const DESCRIPTORS: &str = "process.open_file_descriptor.count";
const THREADS: &str = "process.thread.count";
const DISK_IO: &str = "process.disk.io";

static SPECS: [Spec; 8] = [
    spec(CPU_TIME, ObservableCounter, "s", "CPU time of the process by mode."),
    spec(CPU_UTILIZATION, ObservableGauge, "1", "Share of all CPUs since the last report."),
    spec(CONTEXT_SWITCHES, ObservableCounter, "", "Context switches of the process by type."),
    spec(MEMORY_USAGE, ObservableUpDownCounter, "By", "Physical memory of the process."),
    spec(MEMORY_VIRTUAL, ObservableUpDownCounter, "By", "Virtual memory of the process."),
    spec(DESCRIPTORS, ObservableUpDownCounter, "", "Open file descriptors of the process."),
    spec(THREADS, ObservableUpDownCounter, "", "Threads of the process."),
    spec(DISK_IO, ObservableCounter, "By", "Bytes that the process read from and wrote to disks."),
];

/// The metrics of one process.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    pid: u32,
    observer: Observer,
    /// CPU seconds in all, and the machine's uptime in seconds, at the last report.
    last: Option<(f64, f64)>,
}

impl ProcessMetrics {
    pub(crate) fn new(
        pid: u32,
        kernel: &KernelMetrics,
        options: MetricOptions,
        now: UnixNanos,
    ) -> Self {
        Self { pid, observer: Observer::new(&SPECS, kernel, options, now), last: None }
    }

    /// What the kernel says now, or what it said last of a process that has ended.
    pub(crate) fn collect(&mut self, now: UnixNanos) -> Vec<ScopeMetrics> {
        self.read_stat();
        self.read_status();
        self.read_io();
        if let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", self.pid)) {
            self.observer.observe(DESCRIPTORS, Vec::new(), whole(descriptors.count() as u64));
        }
        self.observer.collect(now)
    }

    fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).ok()
    }

    fn read_stat(&mut self) {
        let Some(times) = self.file("stat").as_deref().and_then(Times::parse) else { return };
        for (mode, ticks) in [("user", times.user), ("system", times.system)] {
            let value = Number::Double(seconds(ticks));
            self.observer.observe(CPU_TIME, vec![otlp::string("type", mode)], value);
        }
        let Some(uptime) = uptime() else { return };
        let used = seconds(times.user + times.system);
        let born = times.started as f64 / ticks_per_second();
        let (used_before, before) = self.last.replace((used, uptime)).unwrap_or((0.0, born));
        let passed = (uptime - before) * cpus();
        if passed > 0.0 {
            let share = ((used - used_before) / passed).max(0.0);
            self.observer.observe(CPU_UTILIZATION, Vec::new(), Number::Double(share));
        }
    }

    fn read_status(&mut self) {
        let Some(status) = self.file("status") else { return };
        let kind = |kind: &str| vec![otlp::string("type", kind)];
        for line in status.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let (name, attributes, factor): (_, Vec<KeyValue>, u64) = match key {
                "VmRSS" => (MEMORY_USAGE, Vec::new(), 1024),
                "VmSize" => (MEMORY_VIRTUAL, Vec::new(), 1024),
                "Threads" => (THREADS, Vec::new(), 1),
                "voluntary_ctxt_switches" => (CONTEXT_SWITCHES, kind("voluntary"), 1),
                "nonvoluntary_ctxt_switches" => (CONTEXT_SWITCHES, kind("involuntary"), 1),
                _ => continue,
            };
            let number = value.split_whitespace().next().and_then(|number| number.parse().ok());
            if let Some(number) = number {
                let number: u64 = number;
                self.observer.observe(name, attributes, whole(number.saturating_mul(factor)));
            }
        }
    }

    /// Only the process' own user may read this.
    fn read_io(&mut self) {
        let Some(io) = self.file("io") else { return };
        for line in io.lines() {
            let direction = match line.split_once(": ") {
                Some(("read_bytes", bytes)) => Some(("read", bytes)),
                Some(("write_bytes", bytes)) => Some(("write", bytes)),
                _ => None,
            };
            if let Some((direction, bytes)) = direction
                && let Ok(bytes) = bytes.trim().parse()
            {
                let attributes = vec![otlp::string("direction", direction)];
                self.observer.observe(DISK_IO, attributes, whole(bytes));
            }
        }
    }
}

/// Times of a process in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    user: u64,
    system: u64,
    /// Since the machine started.
    started: u64,
}

impl Times {
    /// Reads `/proc/PID/stat` (proc_pid_stat(5)).
    fn parse(stat: &str) -> Option<Self> {
        // The name in parentheses can hold anything; the state after it is field 3.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_whitespace().skip(14 - 3);
        let user = fields.next()?.parse().ok()?;
        let system = fields.next()?.parse().ok()?;
        let started = fields.nth(22 - 16)?.parse().ok()?;
        Some(Self { user, system, started })
    }
}

/// Seconds since the machine started.
fn uptime() -> Option<f64> {
    fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()
}

/// Processors of the machine.
fn cpus() -> f64 {
    // SAFETY: takes a number, only asks.
    let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    cpus.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::otlp::{metric, number_data_point::Value};
    use std::collections::BTreeMap;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194304 100 0 0 0 250 31 0 0 20 0 3 0 777 1000 2";
        let expected = Times { user: 250, system: 31, started: 777 };
        assert_eq!(Times::parse(stat), Some(expected));
        assert_eq!(Times::parse("12 (a) S 1 2"), None);
    }

    #[test]
    fn a_living_process_has_all_of_them() {
        let kernel = KernelMetrics { is_on: true, excluded: Vec::new() };
        let options = MetricOptions::default();
        let own = std::process::id();
        let mut metrics = ProcessMetrics::new(own, &kernel, options, UnixNanos::now());
        let scope = metrics.collect(UnixNanos::now()).remove(0);
        let mut values = BTreeMap::new();
        for metric in &scope.metrics {
            let points = match metric.data.clone().unwrap() {
                metric::Data::Sum(sum) => sum.data_points,
                metric::Data::Gauge(gauge) => gauge.data_points,
                other => panic!("{other:?}"),
            };
            values.insert(metric.name.as_str(), points);
        }
        assert_eq!(values.len(), SPECS.len(), "{:?}", values.keys());
        for (name, points) in [(CPU_TIME, 2), (CONTEXT_SWITCHES, 2), (THREADS, 1), (DISK_IO, 2)] {
            assert_eq!(values[name].len(), points, "{name}");
        }
        let whole = |name: &str| match values[name][0].value {
            Some(Value::AsInt(value)) => value,
            other => panic!("{other:?}"),
        };
        assert!(whole(MEMORY_USAGE) > 1 << 20 && whole(MEMORY_VIRTUAL) > whole(MEMORY_USAGE));
        assert!(whole(THREADS) >= 2 && whole(DESCRIPTORS) >= 3);
    }

    #[test]
    fn what_has_ended_says_nothing_new() {
        let kernel = KernelMetrics { is_on: true, excluded: Vec::new() };
        let options = MetricOptions::default();
        let mut metrics = ProcessMetrics::new(u32::MAX, &kernel, options, UnixNanos(1));
        assert!(metrics.collect(UnixNanos(2)).is_empty());
    }
}
