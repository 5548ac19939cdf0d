//! Spans.

use crate::attributes::{Attributes, Bounds, Value, log, prepare};
use crate::current::{Parent, SAMPLED, TraceState, api, parent_of_context, span_context};
use crate::engine::{self, guard};
use crate::fast;
use crate::gil::GilCell;
use crate::ids::hex;
use crate::limits::Limits;
use crate::logging::request_ended;
use crate::provider::Provider;
use crate::scope::Scope;
use crate::tracer::{Beginning, given_ns, kind};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::Arc;

/// The logger of the official SDK's spans.
const LOGGER: &str = "opentelemetry.sdk.trace";

/// What is decided of a span before it exists.
pub(crate) struct SpanStart {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// W3C trace flags.
    pub(crate) flags: u8,
    pub(crate) trace_state: TraceState,
    pub(crate) is_recording: bool,
    pub(crate) provider: Py<Provider>,
    pub(crate) scope: Arc<Scope>,
}

/// A span: the API's methods, and the SDK's for reading.
#[pyclass(frozen, weakref, dict, module = "opentelemetry.sdk.trace", name = "_Span")]
pub(crate) struct Span {
    pub(crate) start: SpanStart,
    pub(crate) parent: Option<Parent>,
    pub(crate) kind: u8,
    pub(crate) start_ns: u64,
    record_exception: bool,
    set_status_on_exception: bool,
    pub(crate) data: GilCell<Data>,
    /// The API's object for the span's ids, made when first asked for.
    context: PyOnceLock<Py<PyAny>>,
}

/// What changes until the end.
pub(crate) struct Data {
    pub(crate) name: Py<PyAny>,
    pub(crate) attributes: Attributes,
    pub(crate) events: Vec<Event>,
    pub(crate) dropped_events: u32,
    pub(crate) links: Vec<Link>,
    pub(crate) dropped_links: u32,
    pub(crate) status: Status,
    /// 0 until the end.
    pub(crate) end_ns: u64,
    /// The scope that has taken the span over from the one that started it.
    pub(crate) scope: Option<Arc<Scope>>,
}

/// A status code as OTLP and the API number it, and its description.
#[derive(Default)]
pub(crate) struct Status {
    pub(crate) code: u8,
    pub(crate) description: Option<Py<PyAny>>,
}

/// The API's status codes.
pub(crate) mod status {
    pub(crate) const UNSET: u8 = 0;
    pub(crate) const OK: u8 = 1;
    pub(crate) const ERROR: u8 = 2;
}

/// Something that happened at one time.
pub(crate) struct Event {
    pub(crate) name: Py<PyAny>,
    pub(crate) time_ns: u64,
    pub(crate) attributes: Attributes,
}

/// Another span that this one has to do with.
pub(crate) struct Link {
    pub(crate) target: Parent,
    pub(crate) attributes: Attributes,
    /// The API's object for the target, as the app gave it.
    context: Option<Py<PyAny>>,
}

/// What bounds a span's own attributes.
#[inline]
pub(crate) fn bounds(limits: &Limits) -> Bounds {
    Bounds { count: limits.attributes, length: limits.span_attribute_length }
}

impl Link {
    /// The API's links; those to nowhere that say nothing else are left out.
    pub(crate) fn all(links: &Bound<'_, PyAny>, limits: &Limits) -> PyResult<Vec<Self>> {
        let mut all = Vec::new();
        for link in links.try_iter()? {
            all.extend(Self::from_object(&link?, limits)?);
        }
        Ok(all)
    }

    fn from_object(object: &Bound<'_, PyAny>, limits: &Limits) -> PyResult<Option<Self>> {
        let py = object.py();
        if object.is_none() {
            return Ok(None);
        }
        let context = object.getattr(intern!(py, "context"))?;
        if context.is_none() {
            return Ok(None);
        }
        let attributes = object.getattr(intern!(py, "attributes"))?;
        let mut own = Attributes::default();
        if attributes.is_truthy()? {
            let bounds = Bounds { count: limits.link_attributes, length: limits.attribute_length };
            own.extend(&attributes, bounds)?;
        }
        let target = parent_of_context(&context)?;
        let trace_state = context.getattr(intern!(py, "trace_state"))?;
        // The specification keeps links to nowhere for what else they say.
        if target.is_none() && own.len() == 0 && !trace_state.is_truthy()? {
            return Ok(None);
        }
        let mut target = target.unwrap_or(Parent {
            trace_id: [0; 16],
            span_id: [0; 8],
            flags: 0,
            is_remote: false,
            trace_state: TraceState::Empty,
        });
        // As text: encoding must run no Python code.
        target.trace_state =
            match TraceState::from_object(&trace_state).and_then(|state| state.to_header(py)) {
                Ok(text) if !text.is_empty() => TraceState::Raw(Arc::from(text)),
                _ => TraceState::Empty,
            };
        Ok(Some(Self { target, attributes: own, context: Some(context.unbind()) }))
    }

    /// The API's object.
    pub(crate) fn to_object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let context = match &self.context {
            Some(context) => context.bind(py).clone(),
            None => span_context(py, &self.target)?,
        };
        api(py)?.getattr("Link")?.call1((context, self.attributes.to_bounded(py)?))
    }
}

impl Span {
    pub(crate) fn new(start: SpanStart, mut beginning: Beginning<'_>, limits: &Limits) -> Self {
        let surplus = limits.links.map_or(0, |limit| beginning.links.len().saturating_sub(limit));
        beginning.links.drain(..surplus);
        let dropped_links = u32::try_from(surplus).unwrap_or(u32::MAX);
        Self {
            start,
            parent: beginning.parent,
            kind: beginning.kind,
            start_ns: beginning.start_ns.unwrap_or_else(engine::unix_ns),
            record_exception: beginning.record_exception,
            set_status_on_exception: beginning.set_status_on_exception,
            data: GilCell::new(Data {
                name: beginning.name.unbind(),
                attributes: beginning.attributes,
                events: Vec::new(),
                dropped_events: 0,
                links: beginning.links,
                dropped_links,
                status: Status::default(),
                end_ns: 0,
                scope: None,
            }),
            context: PyOnceLock::new(),
        }
    }

    /// Itself as the parent of others.
    #[inline]
    pub(crate) fn as_parent(&self) -> Parent {
        Parent {
            trace_id: self.start.trace_id,
            span_id: self.start.span_id,
            flags: self.start.flags,
            is_remote: false,
            trace_state: self.start.trace_state.clone(),
        }
    }

    /// Whether it records, ended or not.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.start.is_recording
    }

    /// Changes a span that records and has not ended; says so in the app's log where it has.
    #[inline]
    fn change(&self, py: Python<'_>, what: &str, change: impl FnOnce(&mut Data)) -> PyResult<()> {
        if !self.start.is_recording {
            return Ok(());
        }
        let is_ended = match self.data.open(py) {
            Some(mut data) if data.end_ns == 0 => {
                change(&mut data);
                false
            }
            Some(_) => true,
            None => false,
        };
        if is_ended { log(py, LOGGER, what, ()) } else { Ok(()) }
    }

    /// The scope that it is of.
    #[inline]
    pub(crate) fn scope(&self, py: Python<'_>) -> Arc<Scope> {
        let taken = self.data.open(py).and_then(|data| data.scope.clone());
        taken.unwrap_or_else(|| Arc::clone(&self.start.scope))
    }

    fn limits(&self, py: Python<'_>) -> Limits {
        self.start.provider.get().limits(py)
    }

    /// Sets an attribute that was computed here.
    #[inline]
    pub(crate) fn put(&self, py: Python<'_>, key: &'static str, value: Value) {
        let bounds = bounds(&self.limits(py));
        if self.start.is_recording
            && let Some(mut data) = self.data.open(py)
            && data.end_ns == 0
        {
            data.attributes.put(py, key, value, bounds);
        }
    }

    /// Sets the status, as the API's rules allow: OK stays, and nothing goes back to unset.
    pub(crate) fn put_status(
        &self,
        py: Python<'_>,
        code: u8,
        description: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        self.change(py, "Calling set_status() on an ended span.", |data| {
            if data.status.code != status::OK && code != status::UNSET {
                let description = description.filter(|_| code == status::ERROR);
                data.status = Status { code, description };
            }
        })
    }

    /// An exception that leaves the block in which the span is current.
    pub(crate) fn note_exception(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::note(slf, exception, false)
    }

    fn note(slf: &Bound<'_, Self>, exception: &Bound<'_, PyAny>, escaped: bool) -> PyResult<()> {
        let (py, span) = (slf.py(), slf.get());
        if !span.start.is_recording {
            return Ok(());
        }
        if span.record_exception {
            Self::record_exception(slf, exception, None, None, escaped)?;
        }
        if span.set_status_on_exception {
            let class = exception.get_type().name()?;
            let text = format!("{class}: {}", exception.str()?);
            let description = PyString::new(py, &text).into_any().unbind();
            span.put_status(py, status::ERROR, Some(description))?;
        }
        Ok(())
    }

    fn push_event(&self, py: Python<'_>, event: Event) -> PyResult<()> {
        let limit = self.limits(py).events;
        self.change(py, "Tried calling add_event on an ended span.", |data| {
            push_bounded(&mut data.events, event, limit, &mut data.dropped_events);
        })
    }
}

/// The number of the API's `StatusCode`, or one of those numbers; `None` for all else, which sets no
/// status.
fn status_code(code: &Bound<'_, PyAny>) -> Option<u8> {
    let number = match code.getattr(intern!(code.py(), "value")) {
        Ok(value) => value.extract().ok()?,
        Err(_) => code.extract().ok()?,
    };
    (number <= status::ERROR).then_some(number)
}

/// Appends; at the limit the oldest goes and is counted.
fn push_bounded<T>(list: &mut Vec<T>, item: T, limit: Option<usize>, dropped: &mut u32) {
    if limit == Some(0) {
        *dropped += 1;
        return;
    }
    if limit.is_some_and(|limit| list.len() >= limit) {
        list.remove(0);
        *dropped += 1;
    }
    list.push(item);
}

#[pymethods]
impl Span {
    /// The API's object with the span's ids.
    fn get_span_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let context = self
            .context
            .get_or_try_init(py, || span_context(py, &self.as_parent()).map(Bound::unbind))?;
        Ok(context.bind(py).clone())
    }

    /// Whether it records and has not ended.
    #[pyo3(name = "is_recording")]
    pub(crate) fn is_recording_now(&self, py: Python<'_>) -> bool {
        self.start.is_recording && self.data.open(py).is_none_or(|data| data.end_ns == 0)
    }

    /// Sets an attribute.
    pub(crate) fn set_attribute(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = key.py();
        if !self.start.is_recording {
            return Ok(());
        }
        let bounds = self.start.provider.get().span_bounds(py);
        let entry = prepare(key, value, bounds)?;
        self.change(py, "Setting attribute on ended span.", |data| match entry {
            Some((key, value)) => data.attributes.insert(py, key, value, bounds),
            None => data.attributes.dropped += 1,
        })
    }

    /// Sets all attributes of a mapping.
    fn set_attributes(&self, attributes: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = attributes.py();
        if !self.start.is_recording {
            return Ok(());
        }
        let bounds = bounds(&self.limits(py));
        let mut own = Attributes::default();
        own.extend(attributes, bounds)?;
        self.change(py, "Setting attribute on ended span.", |data| {
            data.attributes.append(py, own, bounds);
        })
    }

    /// Adds an event; `timestamp` in nanoseconds since 1970.
    #[pyo3(signature = (name, attributes=None, timestamp=None))]
    fn add_event(
        &self,
        name: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = name.py();
        let limits = self.limits(py);
        let bounds = Bounds { count: limits.event_attributes, length: limits.attribute_length };
        let mut own = Attributes::default();
        if let Some(attributes) = attributes {
            own.extend(attributes, bounds)?;
        }
        let time_ns = given_ns(timestamp).unwrap_or_else(engine::unix_ns);
        self.push_event(py, Event { name: name.clone().unbind(), time_ns, attributes: own })
    }

    /// Adds a link to the span of an API context.
    #[pyo3(signature = (context, attributes=None))]
    fn add_link(
        &self,
        context: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = context.py();
        if context.is_none() {
            return Ok(());
        }
        let limits = self.limits(py);
        let object = api(py)?.getattr("Link")?.call1((context, attributes))?;
        let Some(link) = Link::from_object(&object, &limits)? else { return Ok(()) };
        self.change(py, "Tried calling add_link on an ended span.", |data| {
            push_bounded(&mut data.links, link, limits.links, &mut data.dropped_links);
        })
    }

    /// Gives it another name.
    fn update_name(&self, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = name.py();
        let name = name.clone().unbind();
        self.change(py, "Calling update_name() on an ended span.", |data| data.name = name)
    }

    /// Sets the status: the API's `Status`, or a code and a description.
    #[pyo3(signature = (status, description=None))]
    fn set_status(
        &self,
        status: &Bound<'_, PyAny>,
        description: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = status.py();
        if let Ok(code) = status.getattr(intern!(py, "status_code")) {
            if let Some(description) = description {
                log(
                    py,
                    LOGGER,
                    "Description %s ignored. Use either `Status` or `(StatusCode, Description)`",
                    (description,),
                )?;
            }
            let own = status.getattr_opt(intern!(py, "description"))?;
            let own = own.filter(|own| !own.is_none());
            return match status_code(&code) {
                Some(code) => self.put_status(py, code, own.map(Bound::unbind)),
                None => Ok(()),
            };
        }
        match status_code(status) {
            Some(code) => self.put_status(py, code, description.map(Bound::unbind)),
            None => Ok(()),
        }
    }

    /// Records an exception as an event.
    #[pyo3(signature = (exception, attributes=None, timestamp=None, escaped=false))]
    fn record_exception(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
        escaped: bool,
    ) -> PyResult<()> {
        let (py, span) = (slf.py(), slf.get());
        if !span.start.is_recording {
            return Ok(());
        }
        let limits = span.limits(py);
        let bounds = Bounds { count: limits.event_attributes, length: limits.attribute_length };
        let mut own = Attributes::with_capacity(4);
        own.extend(exception_attributes(exception, escaped)?.as_any(), bounds)?;
        if let Some(attributes) = attributes {
            own.extend(attributes, bounds)?;
        }
        let time_ns = given_ns(timestamp).unwrap_or_else(engine::unix_ns);
        let name = intern!(py, "exception").clone().into_any().unbind();
        span.push_event(py, Event { name, time_ns, attributes: own })
    }

    /// Ends it; `end_time` in nanoseconds since 1970.
    #[pyo3(signature = (end_time=None))]
    pub(crate) fn end(slf: &Bound<'_, Self>, end_time: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, span) = (slf.py(), slf.get());
        if !span.start.is_recording {
            return Ok(());
        }
        let end_ns = given_ns(end_time).unwrap_or_else(engine::unix_ns);
        let processor = span.start.provider.get().processor(py);
        if let Some(processor) = &processor
            && span.is_recording_now(py)
        {
            processor.call_method1(intern!(py, "_on_ending"), (slf,))?;
        }
        let mut is_first = false;
        span.change(py, "Calling end() on an ended span.", |data| {
            data.end_ns = end_ns.max(1);
            is_first = true;
        })?;
        if !is_first {
            return Ok(());
        }
        if span.kind == kind::SERVER {
            request_ended(|| span.as_parent());
        }
        if span.start.provider.get().to_ring && span.start.flags & SAMPLED != 0 {
            span.write(py);
        }
        if let Some(processor) = processor {
            processor.call_method1(intern!(py, "on_end"), (slf,))?;
        }
        Ok(())
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    /// A span cannot be there twice: its copy is itself.
    fn __copy__<'py>(slf: Bound<'py, Self>) -> Bound<'py, Self> {
        slf
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        if !exception_type.is_none() && slf.get().is_recording_now(py) {
            // The text of the app's exception is made by the app's code.
            guard(py, "exception of a span", || Self::note(slf, exception, true));
        }
        Self::end(slf, None)
    }

    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.data.open(py).map(|data| data.name.bind(py).clone())
    }

    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.get_span_context(py)
    }

    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        api(py)?.getattr(intern!(py, "SpanKind"))?.call1((self.kind,))
    }

    #[getter]
    fn parent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.parent.as_ref().map(|parent| span_context(py, parent)).transpose()
    }

    #[getter]
    fn start_time(&self) -> u64 {
        self.start_ns
    }

    #[getter]
    fn end_time(&self, py: Python<'_>) -> Option<u64> {
        self.data.open(py).map(|data| data.end_ns).filter(|end_ns| *end_ns != 0)
    }

    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (code, description) = match self.data.open(py) {
            Some(data) => (
                data.status.code,
                data.status.description.as_ref().map(|text| text.bind(py).clone()),
            ),
            None => (status::UNSET, None),
        };
        let api = api(py)?;
        let code = api.getattr(intern!(py, "StatusCode"))?.call1((code,))?;
        api.getattr(intern!(py, "Status"))?.call1((code, description))
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dict = match self.data.open(py) {
            Some(data) => data.attributes.to_dict(py)?,
            None => PyDict::new(py),
        };
        read_only(&dict)
    }

    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let events: Vec<_> = match self.data.open(py) {
            Some(data) => data
                .events
                .iter()
                .map(|event| {
                    let name = event.name.bind(py).clone();
                    Ok((name, event.attributes.to_bounded(py)?, event.time_ns))
                })
                .collect::<PyResult<_>>()?,
            None => Vec::new(),
        };
        let class = py.import("opentelemetry.sdk.trace")?.getattr("Event")?;
        let events = events.into_iter().map(|event| class.call1(event));
        PyTuple::new(py, events.collect::<PyResult<Vec<_>>>()?)
    }

    #[getter]
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let links = self.data.open(py).map(|data| {
            data.links.iter().map(|link| link.to_object(py)).collect::<PyResult<Vec<_>>>()
        });
        PyTuple::new(py, links.unwrap_or_else(|| Ok(Vec::new()))?)
    }

    #[getter]
    fn dropped_attributes(&self, py: Python<'_>) -> u32 {
        self.data.open(py).map_or(0, |data| data.attributes.dropped)
    }

    #[getter]
    fn dropped_events(&self, py: Python<'_>) -> u32 {
        self.data.open(py).map_or(0, |data| data.dropped_events)
    }

    #[getter]
    fn dropped_links(&self, py: Python<'_>) -> u32 {
        self.data.open(py).map_or(0, |data| data.dropped_links)
    }

    #[getter]
    fn resource<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.start.provider.get().resource(py)
    }

    #[getter]
    fn instrumentation_scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scope(py).to_object(py)
    }

    /// The trace's id, 32 hexadecimal digits.
    #[getter]
    fn trace_id_hex(&self) -> String {
        hex(&self.start.trace_id)
    }

    /// The span's id, 16 hexadecimal digits.
    #[getter]
    fn span_id_hex(&self) -> String {
        hex(&self.start.span_id)
    }

    /// The parent's id, 16 hexadecimal digits; `None` for a root.
    #[getter]
    fn parent_id_hex(&self) -> Option<String> {
        self.parent.as_ref().map(|parent| hex(&parent.span_id))
    }

    /// Whether it is exported.
    #[getter]
    fn is_sampled(&self) -> bool {
        self.start.flags & SAMPLED != 0
    }

    /// The console exporter's text.
    #[pyo3(signature = (indent=Some(4)))]
    fn to_json<'py>(slf: &Bound<'py, Self>, indent: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        let class = slf.py().import("opentelemetry.sdk.trace")?.getattr("ReadableSpan")?;
        class.call_method1("to_json", (slf, indent))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let name = self.data.open(py).map(|data| data.name.bind(py).to_string());
        let name = name.unwrap_or_default();
        let (trace_id, span_id) = (hex(&self.start.trace_id), hex(&self.start.span_id));
        format!("_Span(name=\"{name}\", trace_id=0x{trace_id}, span_id=0x{span_id})")
    }
}

fn read_only<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let py = dict.py();
    py.import(intern!(py, "types"))?.getattr(intern!(py, "MappingProxyType"))?.call1((dict,))
}

/// The attributes of the event of an exception, as the semantic conventions name them.
pub(crate) fn exception_attributes<'py>(
    exception: &Bound<'py, PyAny>,
    escaped: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let py = exception.py();
    let class = exception.get_type();
    let qualified = class.qualname()?;
    let name = match class.module().ok().filter(|module| module != "builtins") {
        Some(module) => format!("{module}.{qualified}"),
        None => qualified.to_string(),
    };
    let traceback = py.import(intern!(py, "traceback"))?;
    // `None` has no traceback, and is still formatted.
    let place = exception.getattr_opt(intern!(py, "__traceback__"))?;
    let lines =
        traceback.call_method1(intern!(py, "format_exception"), (&class, exception, place))?;
    let attributes = PyDict::new(py);
    attributes.set_item("exception.type", name)?;
    attributes.set_item("exception.message", exception.str()?)?;
    attributes
        .set_item("exception.stacktrace", PyString::new(py, "").call_method1("join", (lines,))?)?;
    attributes.set_item("exception.escaped", if escaped { "True" } else { "False" })?;
    Ok(attributes)
}

/// The method that takes any kind of call.
static SET_ATTRIBUTE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// `set_attribute(key, value)`.
///
/// # Safety
/// CPython calls it, as a method of [`Span`].
unsafe extern "C" fn set_attribute_fast(
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    fast::run(|py| {
        // SAFETY: these are CPython's arguments, and the method's descriptor has checked that the
        // object is a span.
        unsafe {
            match fast::two(py, arguments, count, names) {
                Some((key, value)) => {
                    let slf = Borrowed::from_ptr(py, slf);
                    slf.cast_unchecked::<Span>().get().set_attribute(&key, &value).map(|()| None)
                }
                None => match SET_ATTRIBUTE.get(py) {
                    Some(replaced) => {
                        fast::call_replaced(py, replaced, slf, arguments, count, names).map(Some)
                    }
                    None => Ok(None),
                },
            }
        }
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Span>()?;
    let class = py.get_type::<Span>();
    // The official SDK's private names of what can be read: processors of apps use them. Not by
    // `__getattr__`, with which no method is found fast.
    for (private, public) in [
        ("_name", "name"),
        ("_context", "context"),
        ("_kind", "kind"),
        ("_parent", "parent"),
        ("_start_time", "start_time"),
        ("_end_time", "end_time"),
        ("_status", "status"),
        ("_attributes", "attributes"),
        ("_events", "events"),
        ("_links", "links"),
        ("_resource", "resource"),
    ] {
        class.setattr(private, class.getattr(public)?)?;
    }
    let replaced = fast::replace(&class, c"set_attribute", set_attribute_fast)?;
    // Set before any call: this is the module's initialisation, which is done once.
    let _ = SET_ATTRIBUTE.set(py, replaced);
    Ok(())
}
