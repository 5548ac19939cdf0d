//! The samplers that need no Python.

/// Decides whether a span is recorded and exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// For spans without a parent, or for all.
    pub(crate) root: Root,
    /// Whether spans with a parent do as it does.
    pub(crate) is_parent_based: bool,
}

/// What happens to spans without a parent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Root {
    AlwaysOn,
    AlwaysOff,
    /// Those whose trace id's low eight bytes are below this.
    Ratio(u64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self { root: Root::AlwaysOn, is_parent_based: true }
    }
}

impl Sampler {
    /// As `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say; `None` for a name that is not
    /// known here (an entry point).
    pub(crate) fn from_names(name: Option<&str>, argument: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Self::default()) };
        let name = name.to_ascii_lowercase();
        let (root, is_parent_based) = match name.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (name.as_str(), false),
        };
        let root = match root {
            "always_on" => Root::AlwaysOn,
            "always_off" => Root::AlwaysOff,
            "traceidratio" => {
                let rate = argument.and_then(|text| text.parse::<f64>().ok());
                Root::ratio(rate.filter(|rate| (0.0..=1.0).contains(rate)).unwrap_or(1.0))
            }
            _ => return None,
        };
        Some(Self { root, is_parent_based })
    }

    /// Whether a span is sampled. `parent` is the parent's decision, where there is one.
    #[inline]
    pub(crate) fn samples(self, parent: Option<bool>, trace_id: &[u8; 16]) -> bool {
        match (self.is_parent_based, parent) {
            (true, Some(is_sampled)) => is_sampled,
            _ => self.root.samples(trace_id),
        }
    }
}

impl Root {
    /// The share of traces that is sampled, 0 to 1.
    pub(crate) fn ratio(rate: f64) -> Self {
        if rate >= 1.0 {
            return Self::AlwaysOn;
        }
        // The official sampler rounds the bound in the same way.
        Self::Ratio((rate * 2f64.powi(64)).round() as u64)
    }

    fn samples(self, trace_id: &[u8; 16]) -> bool {
        match self {
            Self::AlwaysOn => true,
            Self::AlwaysOff => false,
            Self::Ratio(bound) => {
                let [.., a, b, c, d, e, f, g, h] = *trace_id;
                u64::from_be_bytes([a, b, c, d, e, f, g, h]) < bound
            }
        }
    }
}
