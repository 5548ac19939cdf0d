//! Starts spans.

use crate::attributes::Attributes;
use crate::context::{self, current, materialise, non_recording};
use crate::current::{Parent, RANDOM, SAMPLED, TraceState, parent_in, parent_of_span};
use crate::engine::{self, guard};
use crate::gil::GilCell;
use crate::provider::{Provider, Wishes};
use crate::scope::Scope;
use crate::span::{Link, Span, SpanStart};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// Starts spans of one scope.
#[pyclass(frozen, subclass, module = "carafe_engine._native")]
pub(crate) struct Tracer {
    pub(crate) provider: Py<Provider>,
    pub(crate) scope: Arc<Scope>,
}

/// Kinds of spans, as the API numbers them.
pub(crate) mod kind {
    pub(crate) const INTERNAL: u8 = 0;
    pub(crate) const SERVER: u8 = 1;
    pub(crate) const CLIENT: u8 = 2;
    /// The highest of them.
    pub(crate) const CONSUMER: u8 = 4;
}

/// A span that is to begin.
pub(crate) struct Beginning<'py> {
    /// A `str`.
    pub(crate) name: Bound<'py, PyAny>,
    /// See [`kind`].
    pub(crate) kind: u8,
    /// `None` for a root.
    pub(crate) parent: Option<Parent>,
    /// The context with the parent, for samplers and processors in Python.
    pub(crate) context: Option<Bound<'py, PyAny>>,
    pub(crate) attributes: Attributes,
    pub(crate) links: Vec<Link>,
    /// Nanoseconds since 1970; `None`: the time at which it starts.
    pub(crate) start_ns: Option<u64>,
    pub(crate) record_exception: bool,
    pub(crate) set_status_on_exception: bool,
}

impl<'py> Beginning<'py> {
    /// A child of what is current.
    pub(crate) fn here(
        name: Bound<'py, PyAny>,
        kind: u8,
        attributes: Attributes,
    ) -> PyResult<Self> {
        let context = current(name.py());
        let parent = match &context {
            Some(context) => parent_in(context)?,
            None => None,
        };
        Ok(Self {
            name,
            kind,
            parent,
            context,
            attributes,
            links: Vec::new(),
            start_ns: None,
            record_exception: true,
            set_status_on_exception: true,
        })
    }
}

/// What a sampler says.
struct Decision {
    is_recording: bool,
    is_sampled: bool,
    trace_state: Option<TraceState>,
}

impl Tracer {
    pub(crate) fn new(provider: Py<Provider>, scope: Arc<Scope>) -> Self {
        Self { provider, scope }
    }

    /// A tracer of the global provider, for built-in instrumentation.
    pub(crate) fn built_in(py: Python<'_>, name: &str) -> PyResult<Self> {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let scope = Scope::new(name, version, None, None, py)?;
        Ok(Self::new(Provider::global(py)?.clone_ref(py), Arc::new(scope)))
    }

    /// Starts a span; one that is not recorded only carries its ids.
    #[inline]
    pub(crate) fn start<'py>(
        &self,
        py: Python<'py>,
        mut beginning: Beginning<'py>,
    ) -> PyResult<Bound<'py, Span>> {
        let wishes = self.provider.get().wishes(py);
        let (trace_id, span_id, root_flags) = new_ids(py, &wishes, beginning.parent.as_ref())?;
        let decision = match &wishes.sampler {
            Ok(sampler) => {
                let parent = beginning.parent.as_ref().map(Parent::is_sampled);
                let is_sampled = sampler.samples(parent, &trace_id);
                Decision { is_recording: is_sampled, is_sampled, trace_state: None }
            }
            Err(sampler) => ask(sampler, &mut beginning, &trace_id, &wishes)?,
        };
        let inherited = beginning.parent.as_ref();
        let random = inherited.map_or(root_flags, |parent| parent.flags & RANDOM);
        let trace_state = decision.trace_state.unwrap_or_else(|| {
            inherited.map(|parent| parent.trace_state.clone()).unwrap_or_default()
        });
        let start = SpanStart {
            trace_id,
            span_id,
            flags: random | if decision.is_sampled { SAMPLED } else { 0 },
            trace_state,
            is_recording: decision.is_recording,
            provider: self.provider.clone_ref(py),
            scope: Arc::clone(&self.scope),
        };
        let context = beginning.context.clone();
        let span = Bound::new(py, Span::new(start, beginning, &wishes.limits))?;
        if decision.is_recording
            && let Some(processor) = &wishes.processor
        {
            let parent_context = match context {
                Some(context) => Some(materialise(py, Some(&context))?),
                None => None,
            };
            processor.call_method1(intern!(py, "on_start"), (&span, parent_context))?;
        }
        Ok(span)
    }
}

/// Ids of the span that begins, and the flags of a root's trace.
#[inline]
fn new_ids(
    py: Python<'_>,
    wishes: &Wishes<'_>,
    parent: Option<&Parent>,
) -> PyResult<([u8; 16], [u8; 8], u8)> {
    let Some(generator) = &wishes.id_generator else {
        return Ok(engine::ids(py, |ids| {
            let trace_id = parent.map_or_else(|| ids.trace_id(), |parent| parent.trace_id);
            (trace_id, ids.span_id(), RANDOM)
        }));
    };
    let span_id: u64 = generator.call_method0(intern!(py, "generate_span_id"))?.extract()?;
    let trace_id = match parent {
        Some(parent) => parent.trace_id,
        None => {
            let id: u128 = generator.call_method0(intern!(py, "generate_trace_id"))?.extract()?;
            id.to_be_bytes()
        }
    };
    let is_random = match generator.call_method0(intern!(py, "is_trace_id_random")) {
        Ok(answer) => answer.is_truthy()?,
        Err(_) => false,
    };
    Ok((trace_id, span_id.to_be_bytes(), if is_random { RANDOM } else { 0 }))
}

/// Asks a sampler in Python; its attributes join the span's.
fn ask(
    sampler: &Bound<'_, PyAny>,
    beginning: &mut Beginning<'_>,
    trace_id: &[u8; 16],
    wishes: &Wishes<'_>,
) -> PyResult<Decision> {
    let py = sampler.py();
    let context = match &beginning.context {
        Some(context) => Some(materialise(py, Some(context))?),
        None => None,
    };
    let kind = crate::current::api(py)?.getattr("SpanKind")?.call1((beginning.kind,))?;
    let links =
        beginning.links.iter().map(|link| link.to_object(py)).collect::<PyResult<Vec<_>>>()?;
    let result = sampler.call_method1(
        intern!(py, "should_sample"),
        (
            context,
            u128::from_be_bytes(*trace_id),
            &beginning.name,
            kind,
            beginning.attributes.to_dict(py)?,
            links,
        ),
    )?;
    let decision = result.getattr("decision")?;
    let attributes = result.getattr("attributes")?;
    if attributes.is_truthy()? {
        beginning.attributes.extend(&attributes, crate::span::bounds(&wishes.limits))?;
    }
    Ok(Decision {
        is_recording: decision.call_method0("is_recording")?.is_truthy()?,
        is_sampled: decision.call_method0("is_sampled")?.is_truthy()?,
        trace_state: Some(TraceState::from_object(&result.getattr("trace_state")?)?),
    })
}

/// The API's kind, or its number; internal where it is neither.
pub(crate) fn kind_number(kind: Option<&Bound<'_, PyAny>>) -> u8 {
    let number = kind.and_then(|kind| match kind.extract::<u8>() {
        Ok(number) => Some(number),
        Err(_) => kind.getattr(intern!(kind.py(), "value")).ok()?.extract().ok(),
    });
    number.filter(|number| *number <= kind::CONSUMER).unwrap_or(kind::INTERNAL)
}

/// Nanoseconds since 1970 that the app gave; `None` where it gave none, or what is no such number.
pub(crate) fn given_ns(time: Option<&Bound<'_, PyAny>>) -> Option<u64> {
    let time = time?;
    match time.extract::<u64>() {
        Ok(time) => Some(time),
        Err(_) => match time.extract::<f64>() {
            Ok(time) if time >= 0.0 && time < u64::MAX as f64 => Some(time as u64),
            _ => None,
        },
    }
}

/// An option of the app's that is true or false, whatever its type; true where it cannot say.
fn is_wanted(option: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(option.is_truthy().unwrap_or(true))
}

#[pymethods]
impl Tracer {
    /// As the API's `Tracer.start_span`. `context` may also be a value of `extract` or `current`.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=true, set_status_on_exception=true))]
    #[expect(clippy::too_many_arguments, reason = "the API's signature")]
    pub(crate) fn start_span<'py>(
        &self,
        py: Python<'py>,
        name: Bound<'py, PyAny>,
        context: Option<Bound<'py, PyAny>>,
        kind: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        links: Option<&Bound<'py, PyAny>>,
        start_time: Option<&Bound<'py, PyAny>>,
        #[pyo3(from_py_with = is_wanted)] record_exception: bool,
        #[pyo3(from_py_with = is_wanted)] set_status_on_exception: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let is_given = context.is_some();
        let context = context.or_else(|| current(py));
        let parent = match &context {
            Some(context) => match parent_in(context)? {
                // A span itself was given, one that is not ours.
                None if is_given
                    && context.cast::<PyDict>().is_err()
                    && context.hasattr(intern!(py, "get_span_context"))? =>
                {
                    parent_of_span(context)?
                }
                parent => parent,
            },
            None => None,
        };
        let limits = self.provider.get().limits(py);
        let mut own = Attributes::default();
        if let Some(attributes) = attributes {
            own.extend(attributes, crate::span::bounds(&limits))?;
        }
        let links = match links {
            Some(links) => Link::all(links, &limits)?,
            None => Vec::new(),
        };
        let span = self.start(
            py,
            Beginning {
                name,
                kind: kind_number(kind),
                parent,
                context,
                attributes: own,
                links,
                start_ns: given_ns(start_time),
                record_exception,
                set_status_on_exception,
            },
        )?;
        if !span.get().is_recording() && is_api_loaded(py)? {
            return non_recording(py, &span.get().as_parent());
        }
        Ok(span.into_any())
    }

    /// As the API's `Tracer.start_as_current_span`.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=true, set_status_on_exception=true, end_on_exit=true))]
    #[expect(clippy::too_many_arguments, reason = "the API's signature")]
    fn start_as_current_span<'py>(
        slf: &Bound<'py, Self>,
        name: Bound<'py, PyAny>,
        context: Option<Bound<'py, PyAny>>,
        kind: Option<Bound<'py, PyAny>>,
        attributes: Option<Bound<'py, PyAny>>,
        links: Option<Bound<'py, PyAny>>,
        start_time: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = is_wanted)] record_exception: bool,
        #[pyo3(from_py_with = is_wanted)] set_status_on_exception: bool,
        #[pyo3(from_py_with = is_wanted)] end_on_exit: bool,
    ) -> CurrentSpan {
        CurrentSpan {
            arguments: Arc::new(Arguments {
                tracer: slf.clone().unbind(),
                name: name.unbind(),
                context: context.map(Bound::unbind),
                kind: kind.map(Bound::unbind),
                attributes: attributes.map(Bound::unbind),
                links: links.map(Bound::unbind),
                start_time: start_time.map(Bound::unbind),
                record_exception,
                set_status_on_exception,
                end_on_exit,
            }),
            entered: GilCell::new(Vec::new()),
        }
    }

    /// The resource of its spans.
    #[getter]
    fn resource<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.provider.get().resource(py)
    }

    /// The SDK's object for the scope.
    #[getter]
    fn instrumentation_scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scope.to_object(py)
    }
}

/// Whether the app has imported the API.
fn is_api_loaded(py: Python<'_>) -> PyResult<bool> {
    py.import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?
        .contains(intern!(py, "opentelemetry.trace"))
}

struct Arguments {
    tracer: Py<Tracer>,
    name: Py<PyAny>,
    context: Option<Py<PyAny>>,
    kind: Option<Py<PyAny>>,
    attributes: Option<Py<PyAny>>,
    links: Option<Py<PyAny>>,
    start_time: Option<Py<PyAny>>,
    record_exception: bool,
    set_status_on_exception: bool,
    end_on_exit: bool,
}

/// A span that is current inside a `with` block, or inside the calls of a function that it
/// decorates.
#[pyclass(frozen, module = "carafe_engine._native")]
struct CurrentSpan {
    arguments: Arc<Arguments>,
    /// The span and the token of each block that is open.
    entered: GilCell<Vec<(Py<PyAny>, Py<PyAny>)>>,
}

#[pymethods]
impl CurrentSpan {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let given = &self.arguments;
        let bind =
            |object: &Option<Py<PyAny>>| object.as_ref().map(|object| object.bind(py).clone());
        let span = given.tracer.get().start_span(
            py,
            given.name.bind(py).clone(),
            bind(&given.context),
            bind(&given.kind).as_ref(),
            bind(&given.attributes).as_ref(),
            bind(&given.links).as_ref(),
            bind(&given.start_time).as_ref(),
            given.record_exception,
            given.set_status_on_exception,
        )?;
        let token = context::attach_span(&span)?;
        if let Some(mut entered) = self.entered.open(py) {
            entered.push((span.clone().unbind(), token.unbind()));
        }
        Ok(span)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let entered = self.entered.open(py).and_then(|mut entered| entered.pop());
        let Some((span, token)) = entered else { return Ok(false) };
        let span = span.bind(py);
        if let Err(error) = context::detach(token.bind(py)) {
            let _ = crate::attributes::log(
                py,
                "opentelemetry.context",
                "Failed to detach context: %s",
                (error.value(py).to_string(),),
            );
        }
        if let Ok(span) = span.cast::<Span>() {
            // As the API: what is no `Exception` (a cancellation, the end of a generator) is no error.
            if !exception_type.is_none()
                && exception.is_instance_of::<PyException>()
                && span.get().is_recording_now(py)
            {
                // The text of the app's exception is made by the app's code.
                guard(py, "exception of a span", || Span::note_exception(span, exception));
            }
            if self.arguments.end_on_exit {
                Span::end(span, None)?;
            }
        }
        Ok(false)
    }

    /// Decorates a function, also an asynchronous one: every call has a span of its own.
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let arguments = PyTuple::new(py, [slf.as_any(), function])?;
        py.import("carafe_engine.decorators")?.getattr("decorate")?.call1(arguments)
    }

    /// A fresh one with the same arguments.
    fn again(&self) -> Self {
        Self { arguments: Arc::clone(&self.arguments), entered: GilCell::new(Vec::new()) }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Tracer>()?;
    module.add_class::<CurrentSpan>()
}
