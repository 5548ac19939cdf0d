//! A shop that runs: its processes, their clocks, and how many traces there are.

mod instance;
mod names;

pub(crate) use instance::{Instance, ScopeKind};

use crate::random::{self, LogNormal, Purpose};
use crate::recipe::{MAX_RANGE, MAX_SPANS, Recipe};
use crate::shop::{SERVICES, ServiceId};
use crate::trace::Trace;
use carafe_telemetry::TraceId;
use names::Names;

/// Traces that are made to learn how many spans traces have.
const SAMPLE_TRACES: u64 = 4_000;

/// A shop in operation: what all traces of a recipe share. Trace `i` of `0..traces` is a pure
/// function of the recipe and `i`.
#[derive(Debug)]
pub struct World {
    pub(crate) recipe: Recipe,
    pub(crate) latency: LogNormal,
    pub(crate) names: Names,
    /// All processes, those of a service next to one another.
    pub(crate) instances: Vec<Instance>,
    /// Where in `instances` those of each service begin.
    first_instance: Vec<u16>,
    traces: u64,
    /// Between the starts of two traces, in nanoseconds.
    step: u64,
}

impl World {
    /// Sets the shop up. What is beyond a limit of the recipe counts as the limit.
    pub fn new(recipe: Recipe) -> Self {
        let mut recipe = recipe;
        recipe.spans = recipe.spans.clamp(1, MAX_SPANS);
        recipe.range = recipe.range.min(MAX_RANGE);
        recipe.batch = recipe.batch.clamp(1, crate::recipe::MAX_BATCH);
        let mut first_instance = Vec::with_capacity(SERVICES.len());
        let mut instances = Vec::new();
        for service in SERVICES {
            first_instance.push(instances.len() as u16);
            for number in 0..service.instances {
                instances.push(Instance::new(&recipe, service, number, instances.len()));
            }
        }
        instance::skew_clocks(&recipe, &mut instances);
        let mut world = Self {
            latency: LogNormal::new(0.6),
            names: Names::new(),
            instances,
            first_instance,
            traces: SAMPLE_TRACES,
            step: 1,
            recipe,
        };
        let mut trace = Trace::default();
        let mut spans = 0;
        for index in 0..SAMPLE_TRACES {
            trace.generate(&world, index);
            spans += trace.spans.len() as u64;
        }
        let traces = u128::from(world.recipe.spans) * u128::from(SAMPLE_TRACES);
        world.traces = (traces.div_ceil(u128::from(spans)) as u64).max(1);
        world.step = (world.recipe.range.as_nanos() as u64 / world.traces).max(1);
        world
    }

    /// What it was made of.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// How many traces there are.
    pub fn traces(&self) -> u64 {
        self.traces
    }

    /// The id of trace `index`.
    pub fn trace_id(&self, index: u64) -> TraceId {
        let high = random::at(self.recipe.seed, Purpose::TraceId, index);
        let low = self.trace_bits(index);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&low.to_be_bytes());
        TraceId(id)
    }

    /// The lower half of the id of trace `index`; all else of the trace follows from it.
    pub(crate) fn trace_bits(&self, index: u64) -> u64 {
        random::at(self.recipe.seed, Purpose::Trace, index)
    }

    /// When trace `index` starts by the right clock, in nanoseconds since the epoch.
    pub(crate) fn trace_start(&self, index: u64) -> u64 {
        let jitter = random::scale(random::mix(self.trace_bits(index)), self.step);
        self.recipe.start.0.saturating_add(index.saturating_mul(self.step)).saturating_add(jitter)
    }

    /// Nanoseconds between the starts of two traces.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// The process of `service` that takes part in the trace with these bits.
    pub(crate) fn instance_of(&self, service: ServiceId, trace_bits: u64) -> u16 {
        let chosen = random::mix(trace_bits ^ (service as u64 + 1));
        let count = u64::from(service.get().instances);
        self.first_instance[service as usize] + random::scale(chosen, count) as u16
    }
}

/// The id of span `number` of the trace with these bits. Ids of one trace differ, and none is
/// zero.
pub(crate) fn span_id(trace_bits: u64, number: u16) -> u64 {
    // `mix` is a bijection, and only zero becomes zero.
    random::mix((trace_bits & !0xffff) | (u64::from(number) + 1))
}

#[cfg(test)]
pub(crate) fn test_recipe(spans: u64) -> Recipe {
    use crate::recipe::{Fraction, Signals};
    Recipe {
        seed: 7,
        spans,
        // 2026-01-01T00:00:00Z.
        start: carafe_telemetry::UnixNanos(1_767_225_600_000_000_000),
        range: std::time::Duration::from_secs(3_600),
        signals: Signals::ALL,
        batch: 100,
        late: Fraction::NONE,
        duplicate: Fraction::NONE,
        skew: Fraction::NONE,
    }
}

#[cfg(test)]
pub(crate) fn test_world(spans: u64) -> World {
    World::new(test_recipe(spans))
}
