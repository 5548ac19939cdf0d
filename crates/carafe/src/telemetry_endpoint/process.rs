//! What `/proc` tells about this process.

use super::exposition::{Exposition, Kind};
use std::fs;
use std::time::Duration;

/// The unit of CPU times in `/proc`: fixed by Linux' interface, whatever the kernel's own tick.
const USER_HZ: f64 = 100.0;

pub(super) fn write(out: &mut Exposition, uptime: Duration) {
    let uptime = uptime.as_secs_f64();
    let mut metric = |name: &str, kind: Kind, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            out.family(name, kind, help);
            out.sample(name, &[], value);
        }
    };
    metric("otelcol_process_uptime", Kind::Counter, "Seconds since the start.", Some(uptime));
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let cpu = stat.as_deref().and_then(cpu_seconds);
    metric("otelcol_process_cpu_seconds", Kind::Counter, "CPU time, user and system.", cpu);
    let status = fs::read_to_string("/proc/self/status").ok();
    let memory = status.as_deref().and_then(resident_bytes);
    metric("otelcol_process_memory_rss", Kind::Gauge, "Resident memory in bytes.", memory);
}

/// `utime` and `stime`, fields 14 and 15; the command in field 2 may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / USER_HZ)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_formats() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (short) S 1"), None);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t  12 kB\n"), Some(12_288.0));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }
}
