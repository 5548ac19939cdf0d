//! Where tracers get what they have in common: sampling, ids, limits, processors.

use crate::attributes::Bounds;
use crate::engine;
use crate::gil::GilCell;
use crate::limits::Limits;
use crate::sampling::Sampler;
use crate::scope::Scope;
use crate::span::bounds;
use crate::tracer::Tracer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

/// The native half of a tracer provider.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Provider {
    /// Whether sampled spans go into the process' ring. Only the global provider's do.
    pub(crate) to_ring: bool,
    /// Whether it is the one of the built-in instrumentation and of the app's API calls.
    is_global: bool,
    state: GilCell<State>,
}

struct State {
    sampler: SamplerChoice,
    id_generator: Option<Py<PyAny>>,
    processor: Option<Py<PyAny>>,
    resource: Option<Py<PyAny>>,
    limits: Limits,
}

enum SamplerChoice {
    Native(Sampler),
    Python(Py<PyAny>),
}

/// What a provider wants of the span that begins. Python objects among it are asked by the caller.
pub(crate) struct Wishes<'py> {
    pub(crate) sampler: Result<Sampler, Bound<'py, PyAny>>,
    pub(crate) id_generator: Option<Bound<'py, PyAny>>,
    pub(crate) processor: Option<Bound<'py, PyAny>>,
    pub(crate) limits: Limits,
}

impl Provider {
    fn with_environment(py: Python<'_>, to_ring: bool) -> Self {
        let environment = engine::environment(py);
        Self {
            to_ring: to_ring && environment.signals.traces,
            is_global: false,
            state: GilCell::new(State {
                sampler: SamplerChoice::Native(environment.sampler.unwrap_or_default()),
                id_generator: None,
                processor: None,
                resource: None,
                limits: environment.limits,
            }),
        }
    }

    /// The provider of the built-in instrumentation and of the app's API calls.
    pub(crate) fn global(py: Python<'_>) -> PyResult<&Py<Self>> {
        static GLOBAL: PyOnceLock<Py<Provider>> = PyOnceLock::new();
        GLOBAL.get_or_try_init(py, || {
            Py::new(py, Self { is_global: true, ..Self::with_environment(py, true) })
        })
    }

    /// What it wants of the span that begins.
    #[inline]
    pub(crate) fn wishes<'py>(&self, py: Python<'py>) -> Wishes<'py> {
        let Some(state) = self.state.open(py) else {
            return Wishes {
                sampler: Ok(Sampler::default()),
                id_generator: None,
                processor: None,
                limits: Limits::default(),
            };
        };
        Wishes {
            sampler: match &state.sampler {
                SamplerChoice::Native(sampler) => Ok(*sampler),
                SamplerChoice::Python(sampler) => Err(sampler.bind(py).clone()),
            },
            id_generator: state.id_generator.as_ref().map(|object| object.bind(py).clone()),
            processor: state.processor.as_ref().map(|object| object.bind(py).clone()),
            limits: state.limits,
        }
    }

    /// The limits of its spans.
    #[inline]
    pub(crate) fn limits(&self, py: Python<'_>) -> Limits {
        self.state.open(py).map_or_else(Limits::default, |state| state.limits)
    }

    /// What bounds the attributes of its spans.
    #[inline]
    pub(crate) fn span_bounds(&self, py: Python<'_>) -> Bounds {
        self.state
            .open(py)
            .map_or_else(|| bounds(&Limits::default()), |state| bounds(&state.limits))
    }

    /// Whom spans are told to.
    #[inline]
    pub(crate) fn processor<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.open(py)?.processor.as_ref().map(|object| object.bind(py).clone())
    }

    fn set(&self, py: Python<'_>, change: impl FnOnce(&mut State)) {
        if let Some(mut state) = self.state.open(py) {
            change(&mut state);
        }
    }
}

/// `None` in Python is `None` here.
fn given(object: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    (!object.is_none()).then(|| object.clone().unbind())
}

#[pymethods]
impl Provider {
    #[new]
    #[pyo3(signature = (to_ring=false))]
    fn new(py: Python<'_>, to_ring: bool) -> Self {
        Self::with_environment(py, to_ring)
    }

    /// A tracer of that scope.
    #[pyo3(signature = (name, version=None, schema_url=None, attributes=None))]
    fn tracer(
        slf: &Bound<'_, Self>,
        name: &str,
        version: Option<String>,
        schema_url: Option<String>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Tracer> {
        let scope = Scope::new(name, version, schema_url, attributes, slf.py())?;
        Ok(Tracer::new(slf.clone().unbind(), Arc::new(scope)))
    }

    /// A sampler in Python; `None` for the one that the variables name.
    fn set_sampler(&self, sampler: &Bound<'_, PyAny>) {
        let py = sampler.py();
        let choice = match given(sampler) {
            Some(sampler) => SamplerChoice::Python(sampler),
            None => SamplerChoice::Native(engine::environment(py).sampler.unwrap_or_default()),
        };
        self.set(py, |state| state.sampler = choice);
    }

    /// A sampler that needs no Python: `OTEL_TRACES_SAMPLER`'s name and argument. False for an
    /// unknown name.
    #[pyo3(signature = (name, argument=None))]
    fn set_native_sampler(&self, py: Python<'_>, name: &str, argument: Option<&str>) -> bool {
        let sampler = Sampler::from_names(Some(name), argument);
        if let Some(sampler) = sampler {
            self.set(py, |state| state.sampler = SamplerChoice::Native(sampler));
        }
        sampler.is_some()
    }

    /// An object with `generate_trace_id` and `generate_span_id`; `None` for ours.
    fn set_id_generator(&self, generator: &Bound<'_, PyAny>) {
        self.set(generator.py(), |state| state.id_generator = given(generator));
    }

    /// An object with `on_start`, `_on_ending` and `on_end`; `None` for none.
    fn set_processor(&self, processor: &Bound<'_, PyAny>) {
        self.set(processor.py(), |state| state.processor = given(processor));
    }

    /// What spans give as their resource.
    fn set_resource(&self, resource: &Bound<'_, PyAny>) {
        self.set(resource.py(), |state| state.resource = given(resource));
    }

    /// Limits by name (see the fields of the SDK's `SpanLimits`); a name that is missing stays.
    fn set_limits(&self, limits: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut new = self.limits(limits.py());
        for (name, value) in limits.iter() {
            let value: Option<usize> = value.extract()?;
            match name.extract::<String>()?.as_str() {
                "max_attributes" => new.attributes = value,
                "max_events" => new.events = value,
                "max_links" => new.links = value,
                "max_event_attributes" => new.event_attributes = value,
                "max_link_attributes" => new.link_attributes = value,
                "max_attribute_length" => new.attribute_length = value,
                "max_span_attribute_length" => new.span_attribute_length = value,
                other => {
                    let message = format!("no such limit: {other}");
                    return Err(pyo3::exceptions::PyValueError::new_err(message));
                }
            }
        }
        self.set(limits.py(), |state| state.limits = new);
        Ok(())
    }

    /// What `set_resource` was given; without that, the resource of the process for the spans of
    /// the ring.
    #[getter]
    pub(crate) fn resource<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let given = self
            .state
            .open(py)
            .and_then(|state| state.resource.as_ref().map(|object| object.bind(py).clone()));
        if given.is_some() || !self.is_global {
            return Ok(given);
        }
        let provider = py.import("carafe_engine.traces")?.call_method0("provider")?;
        Ok(Some(provider.getattr(intern!(py, "resource"))?))
    }
}

/// The provider of the built-in instrumentation and of the app's API calls.
#[pyfunction]
fn provider(py: Python<'_>) -> PyResult<Py<Provider>> {
    Ok(Provider::global(py)?.clone_ref(py))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Provider>()?;
    module.add_function(wrap_pyfunction!(provider, module)?)
}
