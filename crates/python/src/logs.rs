//! Log records that go into the ring.

pub(crate) mod processors;

use crate::attributes::{Attributes, Bounds, clean};
use crate::capi;
use crate::context::current;
use crate::current::{Parent, TraceState, parent_in, parent_of_span};
use crate::engine;
use crate::environment::wanted;
use crate::otlp::Writer;
use crate::scope::Scope;
use crate::span::exception_attributes;
use carafe_wire::record::{Record, Scoped};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};
use std::sync::{Arc, OnceLock};

/// Emits log records of one scope.
#[pyclass(frozen, subclass, weakref, module = "carafe_engine._native")]
pub(crate) struct Logger {
    scope: Arc<Scope>,
}

/// A record that is to be written.
pub(crate) struct Fields<'a, 'py> {
    /// Nanoseconds since 1970; 0 for unknown.
    pub(crate) time_ns: u64,
    /// Nanoseconds since 1970.
    pub(crate) observed_ns: u64,
    /// As OTLP numbers it; 0 for unknown.
    pub(crate) severity: u8,
    pub(crate) severity_text: &'a str,
    pub(crate) body: Body<'a, 'py>,
    pub(crate) attributes: &'a Attributes,
    pub(crate) event_name: &'a str,
    /// The span in which it was written.
    pub(crate) span: Option<Parent>,
}

/// What a record says.
pub(crate) enum Body<'a, 'py> {
    Text(&'a str),
    /// Of types that OTLP has.
    Object(&'a Bound<'py, PyAny>),
    None,
}

/// What the app gave for a record.
#[derive(Default)]
struct Given<'py> {
    time_ns: u64,
    observed_ns: u64,
    severity: u8,
    severity_text: Option<Bound<'py, PyAny>>,
    body: Option<Bound<'py, PyAny>>,
    attributes: Attributes,
    event_name: Option<Bound<'py, PyAny>>,
    span: Option<Parent>,
}

/// The specification's default for the attributes of a record.
const DEFAULT_ATTRIBUTE_COUNT: usize = 128;

/// The limits of a record's attributes, from the environment.
pub(crate) fn bounds() -> Bounds {
    static BOUNDS: OnceLock<Bounds> = OnceLock::new();
    *BOUNDS.get_or_init(|| Bounds {
        count: limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
            .unwrap_or(Some(DEFAULT_ATTRIBUTE_COUNT)),
        length: limit(
            "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        )
        .flatten(),
    })
}

/// The limit that the first of the variables that is set says, an empty one saying that there is
/// none; `None` where neither is set to a number.
fn limit(own: &str, general: &str) -> Option<Option<usize>> {
    [own, general].into_iter().find_map(|name| {
        let text = std::env::var(name).ok()?;
        match text.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        }
    })
}

impl Fields<'_, '_> {
    fn encode(&self, py: Python<'_>, writer: &mut Writer<'_>) {
        writer.fixed64(1, self.time_ns);
        writer.uint(2, self.severity.into());
        writer.string(3, self.severity_text);
        match self.body {
            Body::Text(text) => writer.message(5, |any| any.bytes(1, text.as_bytes())),
            Body::Object(object) => writer.message(5, |any| any.any_value(object)),
            Body::None => {}
        }
        self.attributes.encode(py, writer, 6);
        writer.uint(7, self.attributes.dropped.into());
        if let Some(span) = &self.span {
            writer.fixed32(8, span.flags.into());
            writer.bytes(9, &span.trace_id);
            writer.bytes(10, &span.span_id);
        }
        writer.fixed64(11, self.observed_ns);
        writer.string(12, self.event_name);
    }
}

impl<'py> Given<'py> {
    /// The fields of a `LogRecord` of the API, or of the SDK's object around it.
    fn of_record(record: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = record.py();
        let time = match record.getattr(intern!(py, "timestamp")) {
            Ok(time) => time,
            Err(_) => return Self::of_record(&record.getattr(intern!(py, "log_record"))?),
        };
        let get = |name| record.getattr(name).ok();
        let mut fields = Self {
            time_ns: nanoseconds(Some(&time)).unwrap_or(0),
            observed_ns: nanoseconds(get(intern!(py, "observed_timestamp")).as_ref())
                .unwrap_or_else(engine::unix_ns),
            severity: severity(get(intern!(py, "severity_number")).as_ref()),
            severity_text: text(get(intern!(py, "severity_text")))?,
            event_name: text(get(intern!(py, "event_name")))?,
            ..Self::default()
        };
        fields.span = ids(record);
        fields.set_body(get(intern!(py, "body")).as_ref())?;
        fields.set_attributes(
            get(intern!(py, "attributes")).as_ref(),
            get(intern!(py, "exception")).as_ref(),
        )?;
        Ok(fields)
    }

    fn set_body(&mut self, body: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        self.body = match body {
            Some(body) if !body.is_none() => Some(clean(body, None)?),
            _ => None,
        };
        Ok(())
    }

    /// Sets the attributes and those of the exception, which are not to hide the app's own.
    fn set_attributes(
        &mut self,
        attributes: Option<&Bound<'py, PyAny>>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        if let Some(exception) = exception.filter(|exception| !exception.is_none()) {
            let told = exception_attributes(exception, false)?;
            told.del_item("exception.escaped")?;
            self.attributes.extend(told.as_any(), bounds())?;
        }
        if let Some(attributes) = attributes.filter(|attributes| !attributes.is_none()) {
            if !attributes.is_exact_instance_of::<PyDict>()
                && let Ok(dropped) = attributes.getattr(intern!(attributes.py(), "dropped"))
            {
                self.attributes.dropped += dropped.extract().unwrap_or(0);
            }
            self.attributes.extend(attributes, bounds())?;
        }
        Ok(())
    }

    fn fields(&self) -> Fields<'_, 'py> {
        Fields {
            time_ns: self.time_ns,
            observed_ns: self.observed_ns,
            severity: self.severity,
            severity_text: utf8_of(&self.severity_text),
            body: self.body.as_ref().map_or(Body::None, Body::Object),
            attributes: &self.attributes,
            event_name: utf8_of(&self.event_name),
            span: self.span.clone(),
        }
    }
}

fn utf8_of<'a>(text: &'a Option<Bound<'_, PyAny>>) -> &'a str {
    text.as_ref().and_then(capi::utf8).unwrap_or_default()
}

/// A time that the app gave; `None` for what is none.
fn nanoseconds(time: Option<&Bound<'_, PyAny>>) -> Option<u64> {
    let time = time?;
    time.extract().ok().or_else(|| Some(time.extract::<f64>().ok()? as u64))
}

/// The number of a `SeverityNumber`; 0 where there is none that OTLP has.
fn severity(number: Option<&Bound<'_, PyAny>>) -> u8 {
    const HIGHEST: u8 = 24;
    let Some(number) = number else { return 0 };
    let number = if number.is_instance_of::<PyInt>() {
        number.extract()
    } else {
        number.getattr(intern!(number.py(), "_value_")).and_then(|value| value.extract())
    };
    number.ok().filter(|number| *number <= HIGHEST).unwrap_or(0)
}

fn text(object: Option<Bound<'_, PyAny>>) -> PyResult<Option<Bound<'_, PyAny>>> {
    match object {
        None => Ok(None),
        Some(object) if object.is_none() => Ok(None),
        Some(object) if object.is_instance_of::<PyString>() => Ok(Some(object)),
        Some(object) => Ok(Some(object.str()?.into_any())),
    }
}

/// The span that a record names; `None` where its ids are none.
fn ids(record: &Bound<'_, PyAny>) -> Option<Parent> {
    let py = record.py();
    let get = |name| record.getattr(name).ok();
    let trace_id: u128 = get(intern!(py, "trace_id"))?.extract().ok().filter(|id| *id != 0)?;
    let span_id: u64 = get(intern!(py, "span_id"))?.extract().unwrap_or(0);
    let flags = get(intern!(py, "trace_flags")).and_then(|flags| flags.extract().ok());
    Some(Parent {
        trace_id: trace_id.to_be_bytes(),
        span_id: span_id.to_be_bytes(),
        flags: flags.unwrap_or(0),
        is_remote: false,
        trace_state: TraceState::Empty,
    })
}

/// The span of a context, of itself, or the current one.
fn span_in(py: Python<'_>, context: Option<&Bound<'_, PyAny>>) -> Option<Parent> {
    match context.filter(|context| !context.is_none()) {
        Some(context) => {
            parent_in(context).ok().flatten().or_else(|| parent_of_span(context).ok().flatten())
        }
        None => parent_in(&current(py)?).ok().flatten(),
    }
}

/// Whether records go anywhere: into the ring, or to processors of the app's.
#[inline]
pub(crate) fn are_wanted(py: Python<'_>) -> bool {
    processors::are_there() || wanted(py).logs
}

impl Logger {
    /// A logger of that scope.
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self { scope }
    }

    /// A record of the built-in instrumentation: to the app's processors if there are some, and to
    /// the ring. Without processors it runs no Python code.
    pub(crate) fn write(&self, py: Python<'_>, fields: &Fields<'_, '_>) {
        if processors::are_there() {
            processors::emit_fields(py, self.scope.name(), fields);
        } else {
            self.put(py, fields);
        }
    }

    /// Writes a record; whether it was written. Runs no Python code.
    fn put(&self, py: Python<'_>, fields: &Fields<'_, '_>) -> bool {
        if !wanted(py).logs {
            return false;
        }
        let Some(scope) = self.scope.defined(py) else { return false };
        engine::write_encoded(
            py,
            |writer| fields.encode(py, writer),
            |otlp| Record::Log(Scoped { scope, otlp }),
        )
    }
}

/// The arguments of `emit` that describe a record, where none is given.
const ARGUMENTS: [&str; 9] = [
    "timestamp",
    "observed_timestamp",
    "context",
    "severity_number",
    "severity_text",
    "body",
    "attributes",
    "event_name",
    "exception",
];

#[pymethods]
impl Logger {
    /// A logger of a class that Python code has derived from this one.
    #[new]
    #[pyo3(signature = (name, version=None, schema_url=None, attributes=None))]
    fn of_scope(
        py: Python<'_>,
        name: &str,
        version: Option<String>,
        schema_url: Option<String>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self { scope: Arc::new(Scope::new(name, version, schema_url, attributes, py)?) })
    }

    /// As an `InstrumentationScope` of the SDK.
    #[getter]
    fn instrumentation_scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scope.to_object(py)
    }

    /// Emits a record of the API, or one made of the other arguments: to the app's processors if
    /// there are some, and to the ring.
    #[pyo3(signature = (record=None, *, timestamp=None, observed_timestamp=None, context=None,
                        severity_number=None, severity_text=None, body=None, attributes=None,
                        event_name=None, exception=None))]
    #[expect(clippy::too_many_arguments, reason = "the API's")]
    fn emit<'py>(
        slf: &Bound<'py, Self>,
        record: Option<Bound<'py, PyAny>>,
        timestamp: Option<Bound<'py, PyAny>>,
        observed_timestamp: Option<Bound<'py, PyAny>>,
        context: Option<Bound<'py, PyAny>>,
        severity_number: Option<Bound<'py, PyAny>>,
        severity_text: Option<Bound<'py, PyAny>>,
        body: Option<Bound<'py, PyAny>>,
        attributes: Option<Bound<'py, PyAny>>,
        event_name: Option<Bound<'py, PyAny>>,
        exception: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        if !engine::is_on() {
            return Ok(());
        }
        if processors::are_there() {
            let arguments = PyDict::new(py);
            let given = [
                timestamp,
                observed_timestamp,
                context,
                severity_number,
                severity_text,
                body,
                attributes,
                event_name,
                exception,
            ];
            for (name, value) in ARGUMENTS.into_iter().zip(given) {
                arguments.set_item(name, value)?;
            }
            return processors::emit(slf.as_any(), record, &arguments);
        }
        if !wanted(py).logs {
            return Ok(());
        }
        let given = match record {
            Some(record) => Given::of_record(&record)?,
            None => {
                let mut given = Given {
                    time_ns: nanoseconds(timestamp.as_ref()).unwrap_or(0),
                    observed_ns: nanoseconds(observed_timestamp.as_ref())
                        .unwrap_or_else(engine::unix_ns),
                    severity: severity(severity_number.as_ref()),
                    severity_text: text(severity_text)?,
                    event_name: text(event_name)?,
                    span: span_in(py, context.as_ref()),
                    ..Given::default()
                };
                given.set_body(body.as_ref())?;
                given.set_attributes(attributes.as_ref(), exception.as_ref())?;
                given
            }
        };
        slf.get().put(py, &given.fields());
        Ok(())
    }

    /// Writes a record of the API to the ring alone.
    #[pyo3(name = "write")]
    fn write_record(&self, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = record.py();
        if engine::is_on() && wanted(py).logs {
            self.put(py, &Given::of_record(record)?.fields());
        }
        Ok(())
    }

    /// Writes a record in `span` (or a context), or in the current span; whether it was written.
    /// Times in nanoseconds since 1970.
    #[pyo3(signature = (timestamp_ns, observed_ns, severity_number, severity_text, body, attributes,
                        event_name=None, span=None))]
    #[expect(clippy::too_many_arguments, reason = "the fields of a record")]
    fn emit_fields<'py>(
        &self,
        py: Python<'py>,
        timestamp_ns: Option<u64>,
        observed_ns: Option<u64>,
        severity_number: Option<u8>,
        severity_text: Option<Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        event_name: Option<Bound<'py, PyAny>>,
        span: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        if !engine::is_on() || !wanted(py).logs {
            return Ok(false);
        }
        let mut given = Given {
            time_ns: timestamp_ns.unwrap_or(0),
            observed_ns: observed_ns.unwrap_or_else(engine::unix_ns),
            severity: severity_number.unwrap_or(0),
            severity_text: text(severity_text)?,
            event_name: text(event_name)?,
            span: span_in(py, span),
            ..Given::default()
        };
        given.set_body(body)?;
        given.set_attributes(attributes, None)?;
        Ok(self.put(py, &given.fields()))
    }
}

/// A logger of that scope.
#[pyfunction]
#[pyo3(signature = (name, version=None, schema_url=None, attributes=None))]
fn logger(
    py: Python<'_>,
    name: &str,
    version: Option<String>,
    schema_url: Option<String>,
    attributes: Option<&Bound<'_, PyAny>>,
) -> PyResult<Logger> {
    Logger::of_scope(py, name, version, schema_url, attributes)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Logger>()?;
    module.add_function(wrap_pyfunction!(processors::set_log_processors, module)?)?;
    module.add_function(wrap_pyfunction!(logger, module)?)
}
