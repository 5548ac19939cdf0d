//! Which traces are kept: the samplers that `OTEL_TRACES_SAMPLER` names.

use crate::propagation::{RemoteParent, SAMPLED};
use carafe_telemetry::TraceId;

/// A decision for traces that begin here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RootSampler {
    /// `always_on`.
    AlwaysOn,
    /// `always_off`.
    AlwaysOff,
    /// `traceidratio`: the part of all traces to keep, 0 to 1. Decides by the trace id's lower
    /// eight bytes, as all SDKs do, so that every service of a trace decides alike.
    Ratio(f64),
}

/// A sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// For traces that begin here; for all when not `is_parent_based`.
    pub root: RootSampler,
    /// `parentbased_*`: a request that names a parent follows its decision.
    pub is_parent_based: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { root: RootSampler::AlwaysOn, is_parent_based: true }
    }
}

impl Sampler {
    /// Whether the span is kept.
    pub fn is_sampled(&self, trace_id: TraceId, parent: Option<&RemoteParent>) -> bool {
        if let (true, Some(parent)) = (self.is_parent_based, parent) {
            return parent.flags & SAMPLED != 0;
        }
        match self.root {
            RootSampler::AlwaysOn => true,
            RootSampler::AlwaysOff => false,
            RootSampler::Ratio(ratio) => {
                let [_, _, _, _, _, _, _, _, lower @ ..] = trace_id.0;
                // 2^64 times a ratio below one fits; the cast saturates for a ratio of one.
                let bound = (ratio.clamp(0.0, 1.0) * 2f64.powi(64)) as u64;
                ratio >= 1.0 || u64::from_be_bytes(lower) < bound
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::SpanId;

    fn trace(lower: u64) -> TraceId {
        let mut id = [1; 16];
        id[8..].copy_from_slice(&lower.to_be_bytes());
        TraceId(id)
    }

    #[test]
    fn a_ratio_cuts_the_id_space() {
        let half = Sampler { root: RootSampler::Ratio(0.5), is_parent_based: false };
        assert!(half.is_sampled(trace(u64::MAX / 2 - 1), None));
        assert!(!half.is_sampled(trace(u64::MAX / 2 + 1), None));
        let all = Sampler { root: RootSampler::Ratio(1.0), is_parent_based: false };
        assert!(all.is_sampled(trace(u64::MAX), None));
        let none = Sampler { root: RootSampler::Ratio(0.0), is_parent_based: false };
        assert!(!none.is_sampled(trace(0), None));
    }

    #[test]
    fn the_parent_decides_only_where_it_is_asked() {
        let unsampled = RemoteParent {
            trace_id: trace(1),
            span_id: SpanId([1; 8]),
            flags: 0,
            trace_state: String::new(),
        };
        assert!(!Sampler::default().is_sampled(trace(1), Some(&unsampled)));
        assert!(Sampler::default().is_sampled(trace(1), None));
        let on = Sampler { root: RootSampler::AlwaysOn, is_parent_based: false };
        assert!(on.is_sampled(trace(1), Some(&unsampled)));
    }
}
