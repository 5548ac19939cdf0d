//! What a run came to.

use super::attempts::Verdict;
use crate::durations::Durations;
use carafe_telemetry::Signal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Different reasons for refusals that are kept.
const MAX_REASONS: usize = 10;

/// Counts while a run goes on.
#[derive(Debug, Default)]
pub(super) struct Tally {
    signals: BTreeMap<&'static str, Counts>,
    bytes: u64,
    retries: u64,
    reasons: BTreeMap<String, u64>,
    latencies: Durations,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    accepted: u64,
    copies: u64,
    rejected: u64,
    refused: u64,
    requests: u64,
}

impl Tally {
    pub(super) fn add(
        &mut self,
        signal: Signal,
        items: u64,
        bytes: u64,
        copy: bool,
        verdict: Verdict,
    ) {
        let counts = self.signals.entry(name(signal)).or_default();
        let reason = match verdict {
            Verdict::Accepted { took, retries, accepted } => {
                let rejected = accepted.rejected_items.min(items);
                counts.requests += 1;
                counts.rejected += rejected;
                *(if copy { &mut counts.copies } else { &mut counts.accepted }) += items - rejected;
                self.bytes += bytes;
                self.retries += retries;
                self.latencies.add(took.as_nanos() as u64);
                (rejected > 0).then_some((accepted.message, rejected))
            }
            Verdict::Refused(refusal) => {
                counts.refused += items;
                Some((refusal.message, items))
            }
        };
        if let Some((reason, items)) = reason
            && (self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&reason))
        {
            *self.reasons.entry(reason).or_default() += items;
        }
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Logs => "log records",
        Signal::Metrics => "points",
    }
}

/// What a run came to; displays as lines for people.
#[derive(Debug)]
pub struct Report {
    tally: Tally,
    elapsed: Duration,
    done_before: usize,
    cpu: Option<Duration>,
}

impl Report {
    pub(super) fn new(tally: Tally, elapsed: Duration, done_before: usize) -> Self {
        Self { tally, elapsed, done_before, cpu: cpu_time() }
    }

    /// Items that were accepted for the first time.
    pub fn accepted(&self) -> u64 {
        self.tally.signals.values().map(|counts| counts.accepted).sum()
    }

    /// Items that were rejected one by one, or whose request was refused.
    pub fn lost(&self) -> u64 {
        self.tally.signals.values().map(|counts| counts.rejected + counts.refused).sum()
    }
}

impl Report {
    /// As JSON: the same figures, times in the unit that ends their name.
    pub fn to_json(&self) -> Map<String, Value> {
        let counts = |signal| self.tally.signals.get(name(signal)).copied().unwrap_or_default();
        let (spans, logs, points) =
            (counts(Signal::Traces), counts(Signal::Logs), counts(Signal::Metrics));
        let sum = |count: fn(&Counts) -> u64| -> Value {
            self.tally.signals.values().map(count).sum::<u64>().into()
        };
        let millis = |q| Value::from(self.tally.latencies.quantile(q).map(|nanos| nanos / 1e6));
        let members = [
            ("accepted_spans", spans.accepted.into()),
            ("accepted_logs", logs.accepted.into()),
            ("accepted_points", points.accepted.into()),
            ("sent_again", sum(|counts| counts.copies)),
            ("rejected", sum(|counts| counts.rejected)),
            ("refused", sum(|counts| counts.refused)),
            ("requests", sum(|counts| counts.requests)),
            ("retried", self.tally.retries.into()),
            ("bytes", self.tally.bytes.into()),
            ("seconds", self.elapsed.as_secs_f64().into()),
            ("ack_p50_ms", millis(0.5)),
            ("ack_p99_ms", millis(0.99)),
            ("cpu_seconds", self.cpu.map(|cpu| cpu.as_secs_f64()).into()),
            ("reasons", json!(self.tally.reasons)),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// CPU time of this process so far, where the system tells.
fn cpu_time() -> Option<Duration> {
    /// Linux counts for programs in this unit on all architectures.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): the name is in parentheses; fields 14 and 15 are user and system time.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        for (name, counts) in &self.tally.signals {
            let rate = (counts.accepted + counts.copies) as f64 / seconds;
            writeln!(
                f,
                "{name:<12} {} accepted in {} requests, {rate:.0}/s",
                counts.accepted, counts.requests
            )?;
            for (count, what) in [
                (counts.copies, "accepted once more (duplicates)"),
                (counts.rejected, "rejected"),
                (counts.refused, "refused"),
            ] {
                if count > 0 {
                    writeln!(f, "{:<12} {count} {what}", "")?;
                }
            }
        }
        for (reason, items) in &self.tally.reasons {
            writeln!(f, "{:<12} {items} because: {reason}", "")?;
        }
        if self.done_before > 0 {
            writeln!(
                f,
                "{:<12} {} requests were acknowledged before",
                "resumed", self.done_before
            )?;
        }
        let bytes = self.tally.bytes as f64;
        writeln!(f, "{:<12} {:.1} MB, {:.1} MB/s", "bytes", bytes / 1e6, bytes / 1e6 / seconds)?;
        let millis = |q| self.tally.latencies.quantile(q).unwrap_or(0.0) / 1e6;
        writeln!(
            f,
            "{:<12} {:.2} s; acknowledged within p50 {:.2} ms, p99 {:.2} ms; {} retries",
            "time",
            seconds,
            millis(0.5),
            millis(0.99),
            self.tally.retries
        )?;
        if let Some(cpu) = self.cpu {
            let million = (self.accepted().max(1)) as f64 / 1e6;
            let cpu = cpu.as_secs_f64();
            let each = cpu / million;
            writeln!(f, "{:<12} {cpu:.2} s of this process, {each:.2} s per million items", "CPU")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_pipeline::{Accepted, Refusal, RefusalKind};

    #[test]
    fn copies_and_losses_are_told_apart() {
        let mut tally = Tally::default();
        let accepted = |rejected_items| Verdict::Accepted {
            took: Duration::from_millis(3),
            retries: 1,
            accepted: Accepted { rejected_items, message: "too old".to_owned() },
        };
        tally.add(Signal::Traces, 100, 5_000, false, accepted(10));
        tally.add(Signal::Traces, 100, 5_000, true, accepted(0));
        let refusal = Refusal::new(RefusalKind::InvalidData, "no");
        tally.add(Signal::Logs, 7, 5_000, false, Verdict::Refused(refusal));
        let report = Report::new(tally, Duration::from_secs(1), 0);
        assert_eq!((report.accepted(), report.lost()), (90, 17));
        let json = report.to_json();
        assert_eq!((&json["accepted_spans"], &json["refused"]), (&json!(90), &json!(7)));
        let text = report.to_string();
        for part in [
            "90 accepted in 2 requests",
            "100 accepted once more",
            "10 because: too old",
            "7 refused",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(cpu_time().is_some() == cfg!(target_os = "linux"));
    }
}
