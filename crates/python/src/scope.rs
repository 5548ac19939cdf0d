//! Instrumentation scopes.

use crate::attributes::{Attributes, Bounds};
use crate::engine;
use crate::otlp::Writer;
use carafe_wire::record::{Definition, Record};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who measured: a library and its version.
pub(crate) struct Scope {
    id: u32,
    name: String,
    version: Option<String>,
    schema_url: Option<String>,
    attributes: Option<Py<PyAny>>,
    otlp: Vec<u8>,
    /// One more than the generation whose ring knows the scope; 0 for none.
    defined: AtomicU32,
}

impl Scope {
    /// A scope; attributes are a mapping.
    pub(crate) fn new(
        name: &str,
        version: Option<String>,
        schema_url: Option<String>,
        attributes: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut own = Attributes::default();
        if let Some(attributes) = attributes {
            own.extend(attributes, Bounds { count: Some(128), length: None })?;
        }
        let mut otlp = Vec::new();
        let mut writer = Writer::new(&mut otlp);
        writer.message(1, |scope| {
            scope.string(1, name);
            scope.string(2, version.as_deref().unwrap_or_default());
            own.encode(py, scope, 3);
        });
        writer.string(3, schema_url.as_deref().unwrap_or_default());
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            version,
            schema_url,
            attributes: attributes.map(|attributes| attributes.clone().unbind()),
            otlp,
            defined: AtomicU32::new(0),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number that this process' ring knows it by; `None` where it could not be told.
    #[inline]
    pub(crate) fn defined(&self, py: Python<'_>) -> Option<u32> {
        let generation = engine::generation(py) + 1;
        if self.defined.load(Ordering::Relaxed) != generation {
            if !engine::write(py, &Record::Scope(Definition { id: self.id, otlp: &self.otlp })) {
                return None;
            }
            self.defined.store(generation, Ordering::Relaxed);
        }
        Some(self.id)
    }

    /// The SDK's object for it.
    pub(crate) fn to_object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("opentelemetry.sdk.util.instrumentation")?
            .getattr("InstrumentationScope")?
            .call1((&self.name, &self.version, &self.schema_url, self.attributes.as_ref()))
    }
}
