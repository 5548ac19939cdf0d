//! Searches of log records.

use crate::log::Log;
use crate::world::World;
use carafe_telemetry::TraceId;
use std::collections::BTreeMap;

/// Conditions on a log record; all must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogFilter {
    pub(crate) title: String,
    pub(crate) service: Option<&'static str>,
    /// In lower case.
    pub(crate) text: Option<String>,
    pub(crate) min_severity: i32,
    pub(crate) trace: Option<TraceId>,
    /// Both included, in microseconds.
    pub(crate) range: (u64, u64),
    pub(crate) limit: usize,
}

impl LogFilter {
    pub(crate) fn params(&self) -> Vec<(&'static str, String)> {
        let mut params = vec![
            ("start", self.range.0.to_string()),
            ("end", self.range.1.to_string()),
            ("limit", self.limit.to_string()),
        ];
        params.extend(self.service.map(|service| ("service", service.to_owned())));
        params.extend(self.text.clone().map(|text| ("text", text)));
        params.extend(self.trace.map(|trace| ("traceId", trace.to_string())));
        if self.min_severity > 0 {
            params.push(("severityMin", self.min_severity.to_string()));
        }
        params
    }

    fn matches(&self, world: &World, log: &Log) -> bool {
        let service = world.instances[usize::from(log.instance)].service.name;
        let (start, end) = self.range;
        self.service.is_none_or(|wanted| wanted == service)
            && log.severity as i32 >= self.min_severity
            && self.trace.is_none_or(|wanted| log.context.is_some_and(|(id, _)| id == wanted))
            && (start * 1_000..=end.saturating_mul(1_000)).contains(&log.time)
            && self.text.as_ref().is_none_or(|text| {
                let body = log.body();
                let whole = match log.body_map(&body) {
                    None => body.as_str().to_ascii_lowercase(),
                    Some(entries) => map_json(entries).to_string().to_ascii_lowercase(),
                };
                whole.contains(text)
            })
    }
}

/// A body that is a map, as JSON.
pub(crate) fn map_json(entries: [(&str, &str); 2]) -> serde_json::Value {
    let member = |(key, value): (&str, &str)| (key.to_owned(), serde_json::Value::from(value));
    serde_json::Value::Object(entries.into_iter().map(member).collect())
}

/// The newest records that match; one more than are asked for.
#[derive(Clone, Debug)]
pub(crate) struct LogSearch {
    pub(crate) filter: LogFilter,
    found: BTreeMap<(u64, String), Log>,
}

impl PartialEq for LogSearch {
    fn eq(&self, other: &Self) -> bool {
        self.found.keys().eq(other.found.keys())
    }
}

impl LogSearch {
    pub(super) fn new(filter: LogFilter) -> Self {
        Self { filter, found: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, world: &World, log: &Log) {
        let full = self.found.len() > self.filter.limit;
        if full && self.found.first_key_value().is_some_and(|((time, _), _)| *time > log.time) {
            return;
        }
        if self.filter.matches(world, log) {
            self.found.insert((log.time, log.uid().as_str().to_owned()), *log);
            if self.found.len() > self.filter.limit + 1 {
                self.found.pop_first();
            }
        }
    }

    /// The records, newest first, and whether there are more.
    pub(crate) fn page(&self) -> (Vec<&Log>, bool) {
        let limit = self.filter.limit;
        (self.found.values().rev().take(limit).collect(), self.found.len() > limit)
    }
}
