//! What a run makes: everything that its telemetry is a function of.

use crate::random::MILLION;
use carafe_telemetry::{Signal, UnixNanos};
use std::time::Duration;

/// The most spans that one run makes.
pub const MAX_SPANS: u64 = 100_000_000_000;

/// The longest range of event times.
pub const MAX_RANGE: Duration = Duration::from_secs(366 * 24 * 3_600);

/// The most spans that one request holds.
pub const MAX_BATCH: usize = 10_000;

/// Everything that the telemetry of a run, and so every expected answer, is a function of.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Another seed makes other traces, of the same shop.
    pub seed: u64,
    /// About how many spans: the run ends with the trace that reaches their mean.
    pub spans: u64,
    /// When the first trace starts.
    pub start: UnixNanos,
    /// From the first trace's start to the last's.
    pub range: Duration,
    /// Which signals.
    pub signals: Signals,
    /// Items in one request, at most.
    pub batch: usize,
    /// The fraction of spans and log records that come minutes to hours after their time.
    pub late: Fraction,
    /// The fraction of trace requests that come twice.
    pub duplicate: Fraction,
    /// The fraction of processes whose clock is off by minutes to a day.
    pub skew: Fraction,
}

/// A fraction from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fraction {
    millionths: u32,
}

/// Which of the three signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Spans.
    pub traces: bool,
    /// Log records.
    pub logs: bool,
    /// Data points.
    pub metrics: bool,
}

impl Signals {
    /// All of them.
    pub const ALL: Self = Self { traces: true, logs: true, metrics: true };

    /// Whether `signal` is one of them.
    pub fn contains(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.traces,
            Signal::Logs => self.logs,
            Signal::Metrics => self.metrics,
        }
    }
}

impl Fraction {
    /// None of all.
    pub const NONE: Self = Self { millionths: 0 };

    /// The nearest fraction in millionths; nothing for what is not from 0 to 1.
    pub fn new(fraction: f64) -> Option<Self> {
        (0.0..=1.0)
            .contains(&fraction)
            .then(|| Self { millionths: (fraction * MILLION as f64).round() as u32 })
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// As a number from 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.millionths) / MILLION as f64
    }
}

impl std::str::FromStr for Fraction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| format!("{text:?} is not a fraction; hint: write a number from 0 to 1"))
    }
}

impl std::fmt::Display for Fraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl std::str::FromStr for Signals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut signals = Self { traces: false, logs: false, metrics: false };
        for word in text.split(',').map(str::trim) {
            match word {
                "traces" => signals.traces = true,
                "logs" => signals.logs = true,
                "metrics" => signals.metrics = true,
                _ => return Err(format!("{word:?} is not one of traces, logs, metrics")),
            }
        }
        Ok(signals)
    }
}

impl std::fmt::Display for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(self.traces, "traces"), (self.logs, "logs"), (self.metrics, "metrics")];
        let names: Vec<&str> = names.into_iter().filter(|(on, _)| *on).map(|(_, n)| n).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_and_signals_are_read_as_they_are_written() {
        for text in ["0", "0.000001", "0.25", "1"] {
            assert_eq!(text.parse::<Fraction>().unwrap().to_string(), text);
        }
        for text in ["", "-0.1", "1.1", "NaN", "half"] {
            assert!(text.parse::<Fraction>().is_err(), "{text}");
        }
        for text in ["traces", "traces,metrics", "traces,logs,metrics"] {
            assert_eq!(text.parse::<Signals>().unwrap().to_string(), text);
        }
        assert!("spans".parse::<Signals>().is_err());
    }
}
