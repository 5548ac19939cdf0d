//! A table of comparisons.

use serde_json::{Map, Value, json};
use std::fmt;
use std::time::{Duration, Instant};

/// Differences of one comparison that are shown.
const MAX_SHOWN: usize = 5;

/// In which way something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It should be there and is not.
    Missing,
    /// It is not as it should be, or should not be there.
    Altered,
    /// It is there more than once.
    Duplicate,
    /// The question was not answered.
    Unanswered,
}

/// One comparison: what was compared, and how it differs.
#[derive(Debug)]
pub(super) struct Comparison {
    title: String,
    started: Instant,
    took: Duration,
    compared: u64,
    /// By [`Fault`].
    differences: [u64; 4],
    shown: Vec<String>,
}

impl Comparison {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            started: Instant::now(),
            took: Duration::ZERO,
            compared: 0,
            differences: [0; 4],
            shown: Vec::new(),
        }
    }

    /// Notes that something is not as it should be.
    pub(super) fn differ(&mut self, difference: impl FnOnce() -> String) {
        self.fault(Fault::Altered, difference);
    }

    /// Notes a difference.
    pub(super) fn fault(&mut self, fault: Fault, difference: impl FnOnce() -> String) {
        self.differences[fault as usize] += 1;
        if self.shown.len() < MAX_SHOWN {
            self.shown.push(difference());
        }
    }

    /// Counts things that were compared together.
    pub(super) fn count(&mut self, things: u64) {
        self.compared += things;
    }

    /// Compares one thing.
    pub(super) fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        self.compared += 1;
        if found != expected {
            self.differ(|| format!("{what} is {found:?}, must be {expected:?}"));
        }
    }

    /// Compares lists of names; a difference says which are too much and which are missing.
    pub(super) fn same_names(&mut self, what: &str, found: &[String], expected: &[String]) {
        self.compared += expected.len().max(1) as u64;
        if found == expected {
            return;
        }
        let without = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|name| !b.contains(name)).cloned().collect()
        };
        let (unwanted, missing) = (without(found, expected), without(expected, found));
        self.differ(|| match unwanted.is_empty() && missing.is_empty() {
            true => format!("{what} are in another order: {found:?}, must be {expected:?}"),
            false => format!("{what}: missing {missing:?}, unexpected {unwanted:?}"),
        });
    }

    /// Compares one thing that may be off by a fraction of what is expected.
    pub(super) fn near(&mut self, what: &str, found: Option<f64>, expected: f64, fraction: f64) {
        self.compared += 1;
        // Half a nanosecond is lost where times are written in microseconds.
        let allowed = expected * fraction + 0.001;
        if found.is_none_or(|found| (found - expected).abs() > allowed) {
            self.differ(|| {
                format!("{what} is {found:?}, must be {expected} ± {:.2} %", fraction * 100.0)
            });
        }
    }

    /// The answer where there is one; a difference where there is none.
    pub(super) fn answer<T>(&mut self, answer: Result<T, String>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fault(Fault::Unanswered, || error);
                None
            }
        }
    }

    fn differences(&self) -> u64 {
        self.differences.iter().sum()
    }

    pub(super) fn done(mut self) -> Self {
        self.took = self.started.elapsed();
        self
    }
}

/// All comparisons; displays as a table.
#[derive(Debug, Default)]
pub struct CheckReport {
    comparisons: Vec<Comparison>,
}

impl CheckReport {
    pub(super) fn add(&mut self, comparison: Comparison) {
        self.comparisons.push(comparison.done());
    }

    /// How many differences there are.
    pub fn differences(&self) -> u64 {
        self.comparisons.iter().map(Comparison::differences).sum()
    }

    fn count(&self, fault: Fault) -> u64 {
        self.comparisons.iter().map(|comparison| comparison.differences[fault as usize]).sum()
    }

    /// As JSON: one entry for each comparison, and the differences of each kind.
    pub fn to_json(&self) -> Map<String, Value> {
        let checks = self.comparisons.iter().map(|comparison| {
            json!({
                "name": comparison.title,
                "compared": comparison.compared,
                "differences": comparison.differences(),
                "ms": comparison.took.as_secs_f64() * 1e3,
                "shown": comparison.shown,
            })
        });
        let members = [
            ("checks", checks.collect()),
            ("differences", self.differences().into()),
            ("missing", self.count(Fault::Missing).into()),
            ("altered", self.count(Fault::Altered).into()),
            ("duplicates", self.count(Fault::Duplicate).into()),
            ("unanswered", self.count(Fault::Unanswered).into()),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// How many single things were compared.
    pub fn compared(&self) -> u64 {
        self.comparisons.iter().map(|comparison| comparison.compared).sum()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for comparison in &self.comparisons {
            let mark = if comparison.differences() == 0 { '✓' } else { '✗' };
            let millis = comparison.took.as_secs_f64() * 1e3;
            writeln!(
                f,
                "{mark} {:<52} {:>9} compared {:>9.1} ms",
                comparison.title, comparison.compared, millis
            )?;
            for difference in &comparison.shown {
                writeln!(f, "    {difference}")?;
            }
            let more = comparison.differences() - comparison.shown.len() as u64;
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        let differing = self.comparisons.iter().filter(|c| c.differences() > 0).count();
        writeln!(
            f,
            "{} comparisons of {} things: {} differences in {differing}",
            self.comparisons.len(),
            self.compared(),
            self.differences()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_and_some_are_shown() {
        let mut comparison = Comparison::new("numbers");
        (0..9).for_each(|n| comparison.equal("n", n, 0));
        comparison.near("p50", Some(102.0), 100.0, 0.01);
        comparison.near("p50", Some(101.0), 100.0, 0.01);
        comparison.near("p50", None, 100.0, 0.01);
        assert!(comparison.answer::<u8>(Err("no answer".to_owned())).is_none());
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        comparison.same_names("names", &names(&["a", "b"]), &names(&["a", "b"]));
        comparison.same_names("names", &names(&["b", "a"]), &names(&["a", "b"]));
        comparison.same_names("names", &names(&["a"]), &names(&["a", "b"]));
        let mut report = CheckReport::default();
        report.add(comparison);
        assert_eq!((report.differences(), report.compared()), (13, 18));
        let json = report.to_json();
        assert_eq!((&json["altered"], &json["unanswered"]), (&json!(12), &json!(1)));
        let text = report.to_string();
        assert!(text.contains("n is 1, must be 0") && text.contains("and 8 more"), "{text}");
    }
}
