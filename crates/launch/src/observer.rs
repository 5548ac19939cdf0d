//! Metrics that the launcher itself reads from the kernel, named as the official Python package
//! `opentelemetry-instrumentation-system-metrics` names them.

use crate::instruments::Instruments;
use crate::metrics::MetricOptions;
use crate::origin::encode_scope;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    InstrumentationScope, KeyValue, KeyValueList, Metric, Resource, ScopeMetrics,
};
use carafe_wire::record::{Instrument, InstrumentKind, Measurement, Number};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

const SCOPE_NAME: &str = "opentelemetry.instrumentation.system_metrics";
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.11.0";

/// One metric.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) kind: InstrumentKind,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

/// Which metrics are read from the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelMetrics {
    /// Whether any.
    pub is_on: bool,
    /// Patterns of names that are left out (`OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS`): `*`
    /// stands for any characters, `?` for one.
    pub excluded: Vec<String>,
}

impl KernelMetrics {
    pub(crate) fn wants(&self, name: &str) -> bool {
        // The official package has a name of its own for one metric in its configuration.
        let other = name.replace("dropped_packets", "dropped.packets");
        let is_excluded = |pattern: &String| matches(pattern, name) || matches(pattern, &other);
        self.is_on && !self.excluded.iter().any(is_excluded)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let suffixes = name.char_indices().map(|(at, _)| &name[at..]).chain([""]);
            suffixes.into_iter().any(|suffix| matches(rest.as_str(), suffix))
        }
        Some(wanted) => {
            let mut of_name = name.chars();
            let found = of_name.next();
            found.is_some_and(|found| wanted == '?' || wanted == found)
                && matches(rest.as_str(), of_name.as_str())
        }
    }
}

/// Takes values of metrics and reports them.
#[derive(Debug)]
pub(crate) struct Observer {
    instruments: Instruments,
    specs: &'static [Spec],
    /// Whether each of them is wanted.
    is_wanted: Vec<bool>,
    /// Numbers of attribute sets, by their content.
    sets: HashMap<Vec<u8>, u32>,
}

const SCOPE: u32 = 1;

impl Observer {
    /// For these metrics, as far as they are wanted.
    pub(crate) fn new(
        specs: &'static [Spec],
        kernel: &KernelMetrics,
        options: MetricOptions,
        now: UnixNanos,
    ) -> Self {
        let mut instruments = Instruments::new(options, Arc::new(Resource::default()), now);
        let scope = InstrumentationScope {
            name: SCOPE_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        instruments.define_scope(SCOPE, &encode_scope(scope, SCHEMA_URL));
        for (id, spec) in (1..).zip(specs) {
            let metric = Metric {
                name: spec.name.to_owned(),
                unit: spec.unit.to_owned(),
                description: spec.description.to_owned(),
                ..Default::default()
            };
            let otlp = metric.encode_to_vec();
            let instrument = Instrument { id, scope: SCOPE, kind: spec.kind, otlp: &otlp };
            instruments.define_instrument(&instrument, now);
        }
        let is_wanted = specs.iter().map(|spec| kernel.wants(spec.name)).collect();
        Self { instruments, specs, is_wanted, sets: HashMap::new() }
    }

    /// The value of a metric for these attributes.
    pub(crate) fn observe(&mut self, name: &str, attributes: Vec<KeyValue>, value: Number) {
        let Some(place) = self.specs.iter().position(|spec| spec.name == name) else { return };
        if !self.is_wanted.get(place).copied().unwrap_or_default() {
            return;
        }
        let content = KeyValueList { values: attributes }.encode_to_vec();
        let next = self.sets.len() as u32 + 1;
        let instruments = &mut self.instruments;
        let attributes = *self.sets.entry(content).or_insert_with_key(|content| {
            instruments.define_attributes(next, content);
            next
        });
        let instrument = place as u32 + 1;
        let time_unix_ns = UnixNanos::now().0;
        let measurement = Measurement { instrument, attributes, time_unix_ns, value, span: None };
        self.instruments.measure(&measurement);
    }

    pub(crate) fn collect(&mut self, now: UnixNanos) -> Vec<ScopeMetrics> {
        self.instruments.collect(now)
    }
}

/// A whole number as the kernel gives it.
pub(crate) fn whole(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Seconds from the kernel's clock ticks.
pub(crate) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / ticks_per_second()
}

pub(crate) fn ticks_per_second() -> f64 {
    // SAFETY: takes a number, only asks.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_metrics_out() {
        let kernel = |excluded: &[&str]| KernelMetrics {
            is_on: true,
            excluded: excluded.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        let some = kernel(&["system.cpu.*", "*.usage", "process.thread.coun?"]);
        for name in ["system.cpu.time", "process.memory.usage", "process.thread.count"] {
            assert!(!some.wants(name), "{name}");
        }
        for name in ["process.cpu.time", "process.memory.virtual", "system.cpu"] {
            assert!(some.wants(name), "{name}");
        }
        assert!(!KernelMetrics::default().wants("process.cpu.time"));
    }
}
