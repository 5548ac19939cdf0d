//! Which items are taken, and what the sender is told of the others.

use carafe_store::{Appended, TimeRange};
use carafe_telemetry::UnixNanos;

/// By what a request is indexed. The same request and rules give the same items.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When the request came: the time of log records and data points that have none.
    pub received: UnixNanos,
    /// Items of other times are rejected: there will be no window for them. None where data
    /// of any age is kept.
    pub accepted: Option<TimeRange>,
}

impl Rules {
    pub(super) fn accept(&self, time: UnixNanos) -> bool {
        self.accepted.is_none_or(|range| range.start <= time && time <= range.end)
    }
}

/// Rejected items, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rejected {
    /// Spans with an id that is none.
    pub(super) ids: u64,
    /// Items of a time that is not accepted.
    pub(super) times: u64,
}

impl Rejected {
    /// The answer to the sender; `items` is what they are and what they do at their time:
    /// "spans start".
    pub(super) fn appended(self, items: &str, rules: &Rules) -> Appended {
        let mut reasons = Vec::new();
        if self.ids > 0 {
            let n = self.ids;
            reasons.push(format!("{n} spans have an invalid trace id, span id or parent span id"));
        }
        if let (1.., Some(range)) = (self.times, rules.accepted) {
            let seconds =
                |from: UnixNanos, to: UnixNanos| to.0.saturating_sub(from.0) / 1_000_000_000;
            reasons.push(format!(
                "{} {items} more than {} s before or {} s after now",
                self.times,
                seconds(range.start, rules.received),
                seconds(rules.received, range.end),
            ));
        }
        Appended { rejected_items: self.ids + self.times, message: reasons.join("; ") }
    }
}
