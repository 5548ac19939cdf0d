//! Sections of a library's work, each with a span that is current until its end.

use super::suppression::silences_all;
use crate::attributes::Attributes;
use crate::context::{self, current};
use crate::engine;
use crate::gil::GilCell;
use crate::provider::Provider;
use crate::scope::Scope;
use crate::span::{self, Span};
use crate::tracer::{Beginning, Tracer};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// Begins the sections of one library.
#[pyclass(frozen, module = "carafe_engine._native")]
struct Sections {
    tracer: Tracer,
    name: String,
}

/// A section that has begun.
#[pyclass(frozen, module = "carafe_engine._native")]
struct Section {
    open: GilCell<Option<(Py<Span>, Py<PyAny>)>>,
}

#[pymethods]
impl Sections {
    /// The sections of that scope.
    #[new]
    #[pyo3(signature = (scope, schema_url=None))]
    fn new(py: Python<'_>, scope: &str, schema_url: Option<String>) -> PyResult<Self> {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let made = Arc::new(Scope::new(scope, version, schema_url, None, py)?);
        Ok(Self {
            tracer: Tracer::new(Provider::global(py)?.clone_ref(py), made),
            name: scope.to_owned(),
        })
    }

    /// Begins a section; `None` where the engine is off. `attributes` is a dictionary, `kind` the
    /// API's number.
    #[pyo3(signature = (name, kind, attributes))]
    fn begin(
        &self,
        name: &Bound<'_, PyAny>,
        kind: u8,
        attributes: &Bound<'_, PyDict>,
    ) -> Option<Section> {
        let py = name.py();
        if !engine::is_on() {
            return None;
        }
        engine::guard(py, &self.name, || {
            let limits = self.tracer.provider.get().limits(py);
            let mut own = Attributes::with_capacity(attributes.len());
            own.extend(attributes.as_any(), span::bounds(&limits))?;
            let span = self.tracer.start(py, Beginning::here(name.clone(), kind, own)?)?;
            let token = context::attach_span(span.as_any())?;
            Ok(Section { open: GilCell::new(Some((span.unbind(), token.unbind()))) })
        })
    }

    /// Whether the app has asked for silence, or the engine is off.
    fn is_silenced(&self, py: Python<'_>) -> bool {
        !engine::is_on()
            || engine::guard(py, &self.name, || silences_all(py, current(py).as_ref()))
                .unwrap_or(true)
    }
}

#[pymethods]
impl Section {
    /// Sets an attribute of the span.
    fn set(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let span =
            self.open.open(py).and_then(|open| open.as_ref().map(|(span, _)| span.clone_ref(py)));
        if let Some(span) = span {
            engine::guard(py, "section", || {
                span.bind(py).call_method1("set_attribute", (key, value)).map(drop)
            });
        }
    }

    /// Ends it, with what it raised where it did.
    #[pyo3(signature = (error=None))]
    fn end(&self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) {
        let Some((span, token)) = self.open.open(py).and_then(|mut open| open.take()) else {
            return;
        };
        // It fails where a generator has been closed from another task: nothing to undo there.
        let _ = context::detach(token.bind(py));
        let span = span.bind(py);
        engine::guard(py, "section", || {
            // Exceptions that are no errors (`GeneratorExit`, a cancelled task) only end the span.
            if let Some(error) = error.filter(|error| error.is_instance_of::<PyException>()) {
                Span::note_exception(span, error)?;
            }
            Span::end(span, None)
        });
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Sections>()?;
    module.add_class::<Section>()
}
