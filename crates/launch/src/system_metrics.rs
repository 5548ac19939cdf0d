//! What the kernel knows of the machine: `system.*`, read once for all processes of the app.

use crate::metrics::MetricOptions;
use crate::observer::{KernelMetrics, Observer, Spec, seconds, whole};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{self, ScopeMetrics};
use carafe_wire::record::InstrumentKind::{
    ObservableCounter, ObservableGauge, ObservableUpDownCounter,
};
use carafe_wire::record::{InstrumentKind, Number};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};

/// Processors, disks or network devices that are reported; further ones are not.
const DEVICE_LIMIT: usize = 256;

/// Bytes of a table of connections that are read: some 25,000 connections.
const TABLE_LIMIT_BYTES: u64 = 4 << 20;

/// Bytes to a sector in `/proc/diskstats`, whatever the disk has.
const SECTOR_BYTES: u64 = 512;

const fn spec(
    name: &'static str,
    kind: InstrumentKind,
    unit: &'static str,
    description: &'static str,
) -> Spec {
    Spec { name, kind, unit, description }
}

static SPECS: [Spec; 14] = [
    spec("system.cpu.time", ObservableCounter, "s", "System CPU time"),
    spec("system.cpu.utilization", ObservableGauge, "1", "System CPU utilization"),
    spec("system.memory.usage", ObservableGauge, "By", "System memory usage"),
    spec("system.memory.utilization", ObservableGauge, "1", "System memory utilization"),
    spec("system.swap.usage", ObservableGauge, "pages", "System swap usage"),
    spec("system.swap.utilization", ObservableGauge, "1", "System swap utilization"),
    spec("system.disk.io", ObservableCounter, "By", "System disk IO"),
    spec("system.disk.operations", ObservableCounter, "operations", "System disk operations"),
    spec("system.disk.time", ObservableCounter, "s", "System disk time"),
    spec(
        "system.network.dropped_packets",
        ObservableCounter,
        "packets",
        "System network dropped_packets",
    ),
    spec("system.network.packets", ObservableCounter, "packets", "System network packets"),
    spec("system.network.errors", ObservableCounter, "errors", "System network errors"),
    spec("system.network.io", ObservableCounter, "By", "System network io"),
    spec(
        "system.network.connections",
        ObservableUpDownCounter,
        "connections",
        "System network connections",
    ),
];

/// States of a TCP connection by their numbers in the kernel (tcp_states.h), from 1 on.
const TCP_STATES: [&str; 11] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];

/// The machine's metrics.
#[derive(Debug)]
pub(crate) struct SystemMetrics {
    observer: Observer,
    /// Ticks of each processor at the last report, by state and in all.
    last: Vec<CpuTicks>,
    has_connections: bool,
}

/// Clock ticks of one processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CpuTicks {
    user: u64,
    system: u64,
    idle: u64,
    irq: u64,
    all: u64,
}

impl SystemMetrics {
    pub(crate) fn new(kernel: &KernelMetrics, options: MetricOptions, now: UnixNanos) -> Self {
        Self {
            observer: Observer::new(&SPECS, kernel, options, now),
            last: Vec::new(),
            // The one table that grows with the machine's load: not read in vain.
            has_connections: kernel.wants("system.network.connections"),
        }
    }

    /// What the kernel says now.
    pub(crate) fn collect(&mut self, now: UnixNanos) -> Vec<ScopeMetrics> {
        self.cpus(&read("stat"));
        self.memory(&read("meminfo"));
        self.disks(&read("diskstats"));
        self.network(&read("net/dev"));
        if self.has_connections {
            self.connections();
        }
        self.observer.collect(now)
    }

    fn cpus(&mut self, stat: &str) {
        let ticks: Vec<CpuTicks> = stat.lines().filter_map(CpuTicks::parse).collect();
        for (place, now) in ticks.iter().enumerate().take(DEVICE_LIMIT) {
            let before = self.last.get(place).copied().unwrap_or_default();
            let all = now.all.saturating_sub(before.all);
            for (state, now, before) in [
                ("idle", now.idle, before.idle),
                ("user", now.user, before.user),
                ("system", now.system, before.system),
                ("irq", now.irq, before.irq),
            ] {
                let attributes =
                    || vec![otlp::string("state", state), otlp::int("cpu", place as i64 + 1)];
                let value = Number::Double(seconds(now));
                self.observer.observe("system.cpu.time", attributes(), value);
                let share = now.saturating_sub(before) as f64 / all.max(1) as f64;
                let value = Number::Double(share.min(1.0));
                self.observer.observe("system.cpu.utilization", attributes(), value);
            }
        }
        self.last = ticks;
    }

    fn memory(&mut self, meminfo: &str) {
        let bytes = |key: &str| meminfo_bytes(meminfo, key);
        let total = bytes("MemTotal");
        let free = bytes("MemFree");
        let cached = bytes("Cached") + bytes("SReclaimable");
        let used = total.saturating_sub(bytes("MemAvailable"));
        self.shares("memory", total, &[("used", used), ("free", free), ("cached", cached)]);
        let (total, free) = (bytes("SwapTotal"), bytes("SwapFree"));
        self.shares("swap", total, &[("used", total.saturating_sub(free)), ("free", free)]);
    }

    fn shares(&mut self, what: &str, total: u64, parts: &[(&str, u64)]) {
        for (state, bytes) in parts {
            let attributes = || vec![otlp::string("state", *state)];
            self.observer.observe(&format!("system.{what}.usage"), attributes(), whole(*bytes));
            let share = if total == 0 { 0.0 } else { *bytes as f64 / total as f64 };
            let value = Number::Double(share);
            self.observer.observe(&format!("system.{what}.utilization"), attributes(), value);
        }
    }

    fn disks(&mut self, diskstats: &str) {
        for line in diskstats.lines().take(DEVICE_LIMIT) {
            let mut fields = line.split_whitespace().skip(2);
            let Some(device) = fields.next() else { continue };
            let numbers: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
            // Documentation/admin-guide/iostats.rst of the kernel: operations, merged ones,
            // sectors, milliseconds; of reads, then of writes.
            let [reads, _, read_sectors, read_ms, writes, _, written_sectors, write_ms, ..] =
                numbers[..]
            else {
                continue;
            };
            for (direction, operations, sectors, time_ms) in [
                ("read", reads, read_sectors, read_ms),
                ("write", writes, written_sectors, write_ms),
            ] {
                let time_s = Number::Double(time_ms as f64 / 1000.0);
                let bytes = whole(sectors.saturating_mul(SECTOR_BYTES));
                self.device("system.disk.io", device, direction, bytes);
                self.device("system.disk.operations", device, direction, whole(operations));
                self.device("system.disk.time", device, direction, time_s);
            }
        }
    }

    fn network(&mut self, dev: &str) {
        for line in dev.lines().take(DEVICE_LIMIT) {
            let Some((device, numbers)) = line.split_once(':') else { continue };
            let device = device.trim();
            let numbers = numbers.split_whitespace();
            let numbers: Vec<u64> = numbers.map_while(|number| number.parse().ok()).collect();
            let (Some(received), Some(sent)) = (numbers.get(..4), numbers.get(8..12)) else {
                continue;
            };
            for (direction, counts) in [("receive", received), ("transmit", sent)] {
                for (name, count) in [
                    "system.network.io",
                    "system.network.packets",
                    "system.network.errors",
                    "system.network.dropped_packets",
                ]
                .into_iter()
                .zip(counts)
                {
                    self.device(name, device, direction, whole(*count));
                }
            }
        }
    }

    fn device(&mut self, name: &str, device: &str, direction: &str, value: Number) {
        let attributes = vec![otlp::string("device", device), otlp::string("direction", direction)];
        self.observer.observe(name, attributes, value);
    }

    fn connections(&mut self) {
        for (file, protocol, family, kind) in [
            ("tcp", "tcp", libc::AF_INET, libc::SOCK_STREAM),
            ("tcp6", "tcp", libc::AF_INET6, libc::SOCK_STREAM),
            ("udp", "udp", libc::AF_INET, libc::SOCK_DGRAM),
            ("udp6", "udp", libc::AF_INET6, libc::SOCK_DGRAM),
        ] {
            let Ok(table) = File::open(format!("/proc/net/{file}")) else { continue };
            let lines = BufReader::new(table.take(TABLE_LIMIT_BYTES)).lines().map_while(Result::ok);
            for (state, count) in count_states(lines, protocol == "tcp") {
                let attributes = vec![
                    otlp::string("protocol", protocol),
                    otlp::string("state", state),
                    otlp::int("family", family.into()),
                    otlp::int("type", kind.into()),
                ];
                self.observer.observe("system.network.connections", attributes, whole(count));
            }
        }
    }
}

/// How many connections are in each state; all states of TCP, so that one that is over is 0 and not
/// what it was before.
fn count_states(lines: impl Iterator<Item = String>, is_tcp: bool) -> BTreeMap<&'static str, u64> {
    let states: &[&str] = if is_tcp { &TCP_STATES } else { &["NONE"] };
    let mut counts: BTreeMap<&str, u64> = states.iter().map(|state| (*state, 0)).collect();
    for line in lines.skip(1) {
        let number = line.split_whitespace().nth(3).and_then(|n| usize::from_str_radix(n, 16).ok());
        let state = match number {
            Some(number @ 1..) if is_tcp => TCP_STATES.get(number - 1).copied(),
            Some(_) if !is_tcp => Some("NONE"),
            _ => None,
        };
        if let Some(count) = state.and_then(|state| counts.get_mut(state)) {
            *count += 1;
        }
    }
    counts
}

impl CpuTicks {
    /// Reads a line of `/proc/stat` about one processor.
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("cpu").filter(|rest| !rest.starts_with(' '))?;
        let ticks: Vec<u64> =
            rest.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in the first two already.
        let [user, _, system, idle, _, irq, ..] = ticks[..] else { return None };
        Some(Self { user, system, idle, irq, all: ticks.iter().take(8).sum() })
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/{name}")).unwrap_or_default()
}

fn meminfo_bytes(meminfo: &str, key: &str) -> u64 {
    let value = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::otlp::{NumberDataPoint, find, metric, number_data_point::Value};

    fn metrics() -> SystemMetrics {
        let kernel = KernelMetrics { is_on: true, excluded: Vec::new() };
        SystemMetrics::new(&kernel, MetricOptions::default(), UnixNanos(1))
    }

    fn points(metrics: &mut SystemMetrics, name: &str) -> Vec<NumberDataPoint> {
        let scope = metrics.observer.collect(UnixNanos(2)).remove(0);
        let metric = scope.metrics.into_iter().find(|metric| metric.name == name).unwrap();
        match metric.data.unwrap() {
            metric::Data::Sum(sum) => sum.data_points,
            metric::Data::Gauge(gauge) => gauge.data_points,
            other => panic!("{other:?}"),
        }
    }

    fn value(points: &[NumberDataPoint], wanted: &[(&str, &str)]) -> Value {
        let text = |point: &NumberDataPoint, key: &str| {
            let value = find(&point.attributes, key);
            match value {
                Some(otlp::any_value::Value::StringValue(text)) => text.clone(),
                Some(otlp::any_value::Value::IntValue(number)) => number.to_string(),
                other => panic!("{key}: {other:?}"),
            }
        };
        let found = points
            .iter()
            .find(|point| wanted.iter().all(|(key, value)| text(point, key) == *value));
        found.unwrap_or_else(|| panic!("{wanted:?}")).value.unwrap()
    }

    #[test]
    fn processors_are_counted_from_one() {
        let mut metrics = metrics();
        let ticks = super::super::observer::ticks_per_second();
        metrics.cpus("cpu  9 9 9 9 9 9 9 9\ncpu0 100 0 50 800 0 50 0 0 7 0\ncpu1 1 2 3 4 5 6 7 8");
        metrics.cpus("cpu0 200 0 50 800 0 50 0 0\nintr 5\n");
        let time = points(&mut metrics, "system.cpu.time");
        let user = [("cpu", "1"), ("state", "user")];
        assert_eq!(value(&time, &user), Value::AsDouble(200.0 / ticks));
        let share = points(&mut metrics, "system.cpu.utilization");
        assert_eq!(value(&share, &user), Value::AsDouble(1.0));
        let second = [("cpu", "2"), ("state", "irq")];
        assert_eq!(value(&share, &second), Value::AsDouble(6.0 / 36.0));
    }

    #[test]
    fn memory_disks_and_devices_are_read_as_the_kernel_writes_them() {
        let mut metrics = metrics();
        metrics.memory(
            "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nCached: 300 kB\n\
             SReclaimable: 50 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        metrics.disks("   8 0 sda 5 0 16 30 7 0 32 40 0 0 0\n 8 1 odd 1 2\n");
        metrics
            .network("Inter-| Receive\n face |bytes\n  eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n");
        let usage = points(&mut metrics, "system.memory.usage");
        for (state, kib) in [("used", 400), ("free", 100), ("cached", 350)] {
            assert_eq!(value(&usage, &[("state", state)]), Value::AsInt(kib * 1024), "{state}");
        }
        let swap = points(&mut metrics, "system.swap.utilization");
        assert_eq!(value(&swap, &[("state", "used")]), Value::AsDouble(0.0));
        let io = points(&mut metrics, "system.disk.io");
        let written = [("device", "sda"), ("direction", "write")];
        assert_eq!((io.len(), value(&io, &written)), (2, Value::AsInt(32 * 512)));
        let time = points(&mut metrics, "system.disk.time");
        assert_eq!(value(&time, &written), Value::AsDouble(0.04));
        let sent = [("device", "eth0"), ("direction", "transmit")];
        for (name, expected) in [("io", 50), ("packets", 6), ("errors", 7), ("dropped_packets", 8)]
        {
            let points = points(&mut metrics, &format!("system.network.{name}"));
            assert_eq!(value(&points, &sent), Value::AsInt(expected), "{name}");
        }
    }

    #[test]
    fn connections_are_counted_by_state() {
        let table = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   \
                     1: 0100007F:1F90 0100007F:AAAA 01 0\n   2: 0100007F:1F90 0100007F:AAAB 01 0\n";
        let counts = count_states(table.lines().map(str::to_owned), true);
        assert_eq!((counts["LISTEN"], counts["ESTABLISHED"], counts["CLOSE"]), (1, 2, 0));
        let counts = count_states(table.lines().map(str::to_owned), false);
        assert_eq!(counts, BTreeMap::from([("NONE", 3)]));
    }

    #[test]
    fn this_machine_has_processors_and_memory() {
        let scope = metrics().collect(UnixNanos(5)).remove(0);
        let names: Vec<_> = scope.metrics.iter().map(|metric| metric.name.as_str()).collect();
        for name in ["system.cpu.time", "system.memory.usage", "system.network.io"] {
            assert!(names.contains(&name), "{names:?}");
        }
    }
}
