//! The variables that the native half reads, once, at the start.

use crate::limits::Limits;
use crate::propagation::Propagator;
use crate::sampling::Sampler;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// What they say.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// `OTEL_SDK_DISABLED`.
    pub(crate) is_disabled: bool,
    /// `OTEL_TRACES_SAMPLER` and its argument; `None` for a sampler of an entry point.
    pub(crate) sampler: Option<Sampler>,
    /// `OTEL_PROPAGATORS`, those that are known here.
    pub(crate) propagators: Vec<Propagator>,
    /// Limits of spans.
    pub(crate) limits: Limits,
    /// The user has given the instances of the service their own id.
    pub(crate) has_instance_id: bool,
    /// Whether traces, metrics and logs are exported.
    pub(crate) signals: Signals,
}

/// Which signals are wanted (`CARAFE_SIGNALS`, from the launcher).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signals {
    pub(crate) traces: bool,
    pub(crate) metrics: bool,
    pub(crate) logs: bool,
}

impl Environment {
    /// Reads the variables.
    pub(crate) fn read() -> Self {
        let resource = text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let has_instance_id = resource
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .any(|(key, _)| key.trim() == "service.instance.id");
        Self {
            is_disabled: text("OTEL_SDK_DISABLED")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            sampler: Sampler::from_names(
                text("OTEL_TRACES_SAMPLER").as_deref(),
                text("OTEL_TRACES_SAMPLER_ARG").as_deref(),
            ),
            propagators: Propagator::from_names(text("OTEL_PROPAGATORS").as_deref()),
            limits: Limits::from_variables(text),
            has_instance_id,
            signals: Signals::from_names(text("CARAFE_SIGNALS").as_deref()),
        }
    }
}

impl Signals {
    fn from_names(names: Option<&str>) -> Self {
        let wants = |name: &str| {
            names.is_none_or(|names| names.split(',').any(|wanted| wanted.trim() == name))
        };
        Self { traces: wants("traces"), metrics: wants("metrics"), logs: wants("logs") }
    }
}

/// A variable that is set and not empty, spaces around it left out.
pub(crate) fn text(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Which signals are exported. Asked where the engine is on.
#[inline]
pub(crate) fn wanted(py: Python<'_>) -> Signals {
    static WANTED: OnceLock<Signals> = OnceLock::new();
    *WANTED.get_or_init(|| crate::engine::environment(py).signals)
}

/// Which signals are exported, as `(traces, metrics, logs)`.
#[pyfunction]
fn signals(py: Python<'_>) -> (bool, bool, bool) {
    let Signals { traces, metrics, logs } = crate::engine::environment(py).signals;
    (traces, metrics, logs)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(signals, module)?)
}
