//! Log records that go into the ring.

use crate::attributes::{Attributes, Bounds};
use crate::context::current;
use crate::current::{Parent, parent_in, parent_of_span};
use crate::engine;
use crate::otlp::Writer;
use crate::scope::Scope;
use carafe_wire::record::{Record, Scoped};
use pyo3::prelude::*;
use std::sync::Arc;

/// Emits log records of one scope.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Logger {
    pub(crate) scope: Arc<Scope>,
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
    Object(&'a Bound<'py, PyAny>),
    None,
}

impl Logger {
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self { scope }
    }

    /// Writes a record; whether it was written. Runs no Python code.
    pub(crate) fn write(&self, py: Python<'_>, fields: &Fields<'_, '_>) -> bool {
        let Some(scope) = self.scope.defined(py) else { return false };
        engine::write_encoded(
            py,
            |writer| fields.encode(py, writer),
            |otlp| Record::Log(Scoped { scope, otlp }),
        )
    }
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

#[pymethods]
impl Logger {
    /// Writes a record in `span` (or a context), or in the current span. Times in nanoseconds
    /// since 1970.
    #[pyo3(signature = (timestamp_ns, observed_ns, severity_number, severity_text, body, attributes,
                        event_name=None, span=None))]
    #[expect(clippy::too_many_arguments, reason = "the fields of a record")]
    fn emit_fields<'py>(
        &self,
        py: Python<'py>,
        timestamp_ns: Option<u64>,
        observed_ns: Option<u64>,
        severity_number: Option<u8>,
        severity_text: Option<&str>,
        body: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        event_name: Option<&str>,
        span: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        if !engine::is_on() {
            return Ok(false);
        }
        let mut own = Attributes::default();
        if let Some(attributes) = attributes {
            own.extend(attributes, Bounds { count: Some(128), length: None })?;
        }
        let span = match span {
            Some(span) => match parent_in(span)? {
                None => parent_of_span(span).unwrap_or(None),
                parent => parent,
            },
            None => current(py).map(|context| parent_in(&context)).transpose()?.flatten(),
        };
        let fields = Fields {
            time_ns: timestamp_ns.unwrap_or(0),
            observed_ns: observed_ns.unwrap_or_else(engine::unix_ns),
            severity: severity_number.unwrap_or(0),
            severity_text: severity_text.unwrap_or_default(),
            body: body.map_or(Body::None, Body::Object),
            attributes: &own,
            event_name: event_name.unwrap_or_default(),
            span,
        };
        Ok(self.write(py, &fields))
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
    Ok(Logger::new(Arc::new(Scope::new(name, version, schema_url, attributes, py)?)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Logger>()?;
    module.add_function(wrap_pyfunction!(logger, module)?)
}
