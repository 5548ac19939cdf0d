//! Which traces are kept, and how they continue across processes.

use crate::reader::{Reader, items, one_of, word};

/// A decision for traces that begin here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RootSampler {
    /// Keep all.
    AlwaysOn,
    /// Keep none.
    AlwaysOff,
    /// Keep this share, 0 to 1, by trace id.
    TraceIdRatio(f64),
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// For traces that begin here; for all when not `is_parent_based`.
    pub root: RootSampler,
    /// A request that names a parent follows its decision.
    pub is_parent_based: bool,
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Names, whether parent-based; the ratio is filled in later.
const SAMPLERS: &[(&str, (RootSampler, bool))] = &[
    ("always_on", (RootSampler::AlwaysOn, false)),
    ("always_off", (RootSampler::AlwaysOff, false)),
    ("traceidratio", (RootSampler::TraceIdRatio(1.0), false)),
    ("parentbased_always_on", (RootSampler::AlwaysOn, true)),
    ("parentbased_always_off", (RootSampler::AlwaysOff, true)),
    ("parentbased_traceidratio", (RootSampler::TraceIdRatio(1.0), true)),
];

impl Sampler {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let default = ("parentbased_always_on", (RootSampler::AlwaysOn, true));
        let (mut root, is_parent_based) = reader.choice(SAMPLER, SAMPLERS, default);
        if let RootSampler::TraceIdRatio(ratio) = &mut root
            && let Some(value) = reader.text(SAMPLER_ARG)
        {
            match value.parse() {
                Ok(share @ 0.0..=1.0) => *ratio = share,
                _ => reader.ignore(SAMPLER_ARG, value, "a number from 0 to 1", "1.0"),
            }
        }
        Self { root, is_parent_based }
    }
}

/// Which measurements can become exemplars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// Those made within a kept span.
    TraceBased,
}

const EXEMPLAR_FILTERS: &[(&str, ExemplarFilter)] = &[
    ("always_on", ExemplarFilter::AlwaysOn),
    ("always_off", ExemplarFilter::AlwaysOff),
    ("trace_based", ExemplarFilter::TraceBased),
];

impl ExemplarFilter {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let default = ("trace_based", Self::TraceBased);
        reader.choice("OTEL_METRICS_EXEMPLAR_FILTER", EXEMPLAR_FILTERS, default)
    }
}

/// A format of headers that carry context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagator {
    /// `tracecontext`: W3C Trace Context.
    TraceContext,
    /// `baggage`: W3C Baggage.
    Baggage,
    /// `b3`: one B3 header.
    B3,
    /// `b3multi`: several B3 headers.
    B3Multi,
    /// `jaeger`: `uber-trace-id`.
    Jaeger,
}

const PROPAGATORS: &[(&str, Propagator)] = &[
    ("tracecontext", Propagator::TraceContext),
    ("baggage", Propagator::Baggage),
    ("b3", Propagator::B3),
    ("b3multi", Propagator::B3Multi),
    ("jaeger", Propagator::Jaeger),
];

impl Propagator {
    pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Self> {
        const VARIABLE: &str = "OTEL_PROPAGATORS";
        let Some(value) = reader.text(VARIABLE) else {
            return vec![Self::TraceContext, Self::Baggage];
        };
        let mut propagators = Vec::new();
        if value.eq_ignore_ascii_case("none") {
            return propagators;
        }
        for item in items(&value) {
            match word(PROPAGATORS, item) {
                // Each one once.
                Some(propagator) if propagators.contains(&propagator) => {}
                Some(propagator) => propagators.push(propagator),
                None => {
                    let expected = format!("{}, or none alone", one_of(PROPAGATORS));
                    reader.ignore(VARIABLE, item.to_owned(), expected, "what else is named");
                }
            }
        }
        propagators
    }
}
