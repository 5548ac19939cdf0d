//! Drivers, and what is said of every statement that goes to one database through them.

use crate::attributes::{Attributes, Bounds, Value};
use crate::span::{self, Span};
use crate::tracer::Tracer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The attribute of a connection that holds its [`Target`].
const TARGET: &str = "_carafe_target";

/// Which names attributes have: the old ones, the stable ones, or both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub(super) old: bool,
    pub(super) stable: bool,
}

/// A DB-API module.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Driver {
    pub(super) tracer: Tracer,
    /// `db.system`.
    system: Py<PyString>,
    database_names: Names,
    network_names: Names,
    pub(super) metrics: Option<Metrics>,
    /// A cursor's attribute with its connection; `None` where connections say nothing.
    connection: Option<Py<PyString>>,
    /// Called with a connection: `(database, user, host, port)`, any of them `None`.
    describe: Option<Py<PyAny>>,
}

/// Instruments of the stable conventions.
pub(super) struct Metrics {
    pub(super) duration: Py<PyAny>,
    pub(super) rows: Py<PyAny>,
}

/// A database as one connection sees it.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Target {
    pub(super) driver: Py<Driver>,
    /// The name of a span whose statement has none.
    pub(super) name: Py<PyAny>,
    database: Option<Py<PyAny>>,
    user: Option<Py<PyAny>>,
    host: Option<Py<PyAny>>,
    port: Option<Py<PyAny>>,
    pub(super) metric_attributes: Py<PyDict>,
    /// Another layer reports all statements of the connection.
    is_quiet: bool,
}

#[pymethods]
impl Driver {
    /// A driver: the scope's name, `db.system`, conventions of database and network attributes as
    /// `(old, stable)`, instruments as `(duration, rows)` or `None`, a cursor's attribute with its
    /// connection or `None`, and what describes a connection.
    #[new]
    #[pyo3(signature = (scope, system, database_names, network_names, metrics=None, connection=None,
                        describe=None))]
    #[expect(clippy::too_many_arguments, reason = "one call for each driver, by keywords")]
    fn new(
        py: Python<'_>,
        scope: &str,
        system: Py<PyString>,
        database_names: (bool, bool),
        network_names: (bool, bool),
        metrics: Option<(Py<PyAny>, Py<PyAny>)>,
        connection: Option<Py<PyString>>,
        describe: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let names = |(old, stable)| Names { old, stable };
        Ok(Self {
            tracer: super::tracer(py, scope)?,
            system,
            database_names: names(database_names),
            network_names: names(network_names),
            metrics: metrics.map(|(duration, rows)| Metrics { duration, rows }),
            connection,
            describe,
        })
    }

    /// What is said of the statements of a connection.
    #[pyo3(signature = (database=None, user=None, host=None, port=None, is_quiet=false))]
    pub(super) fn target<'py>(
        slf: &Bound<'py, Self>,
        database: Option<Bound<'py, PyAny>>,
        user: Option<Bound<'py, PyAny>>,
        host: Option<Bound<'py, PyAny>>,
        port: Option<Bound<'py, PyAny>>,
        is_quiet: bool,
    ) -> PyResult<Target> {
        let py = slf.py();
        let driver = slf.get();
        let system = driver.system.bind(py);
        let metric_attributes = PyDict::new(py);
        metric_attributes.set_item("db.system.name", system)?;
        if let Some(database) = &database {
            metric_attributes.set_item("db.namespace", database)?;
        }
        Ok(Target {
            driver: slf.clone().unbind(),
            name: database.clone().unwrap_or_else(|| system.clone().into_any()).unbind(),
            database: database.map(Bound::unbind),
            user: user.map(Bound::unbind),
            host: host.map(Bound::unbind),
            port: port.map(Bound::unbind),
            metric_attributes: metric_attributes.unbind(),
            is_quiet,
        })
    }
}

impl Target {
    /// The attributes of a statement, in the order of the official package.
    #[inline]
    pub(super) fn describe(&self, statement: &Bound<'_, PyAny>) -> Described {
        let py = statement.py();
        let driver = self.driver.get();
        let (database_names, network_names) = (driver.database_names, driver.network_names);
        let mut span = Described::of(py, &driver.tracer);
        span.put(driver.system.bind(py), database_names, "db.system", "db.system.name");
        if let Some(database) = &self.database {
            span.put(database.bind(py), database_names, "db.name", "db.namespace");
        }
        span.put(statement, database_names, "db.statement", "db.query.text");
        if let Some(user) = self.user.as_ref().filter(|_| database_names.old) {
            span.set("db.user", user.bind(py));
        }
        if let Some(host) = &self.host {
            span.put(host.bind(py), network_names, "net.peer.name", "server.address");
        }
        if let Some(port) = &self.port {
            span.put(port.bind(py), network_names, "net.peer.port", "server.port");
        }
        span
    }

    /// Adds what the metrics say of the server.
    pub(super) fn add_server(&self, attributes: &Bound<'_, PyDict>) -> PyResult<()> {
        if let Some(host) = &self.host {
            attributes.set_item("server.address", host)?;
        }
        if let Some(port) = &self.port {
            attributes.set_item("server.port", port)?;
        }
        Ok(())
    }
}

/// The attributes of a span that has begun.
pub(super) struct Described {
    attributes: Attributes,
    bounds: Bounds,
}

impl Described {
    /// Most spans of statements have six attributes.
    #[inline]
    pub(super) fn of(py: Python<'_>, tracer: &Tracer) -> Self {
        let bounds = span::bounds(&tracer.provider.get().limits(py));
        Self { attributes: Attributes::with_capacity(6), bounds }
    }

    /// Gives them to the span. What samplers and processors have set stays before them.
    #[inline]
    pub(super) fn give_to(self, py: Python<'_>, span: &Span) {
        if let Some(mut data) = span.data.open(py) {
            if data.attributes.len() == 0 {
                data.attributes = self.attributes;
            } else {
                data.attributes.append(py, self.attributes, self.bounds);
            }
        }
    }

    /// Sets what has an old and a stable name.
    #[inline]
    pub(super) fn put(
        &mut self,
        value: &Bound<'_, PyAny>,
        names: Names,
        old: &'static str,
        stable: &'static str,
    ) {
        if names.old {
            self.set(old, value);
        }
        if names.stable {
            self.set(stable, value);
        }
    }

    /// Sets an attribute.
    #[inline]
    pub(super) fn set(&mut self, name: &'static str, value: &Bound<'_, PyAny>) {
        let kept = Value::Object(value.clone().unbind());
        self.attributes.put(value.py(), name, kept, self.bounds);
    }
}

/// What is said of a cursor's statements; `None` where its connection is quiet.
#[inline]
pub(super) fn of_cursor<'py>(
    driver: &Bound<'py, Driver>,
    cursor: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, Target>>> {
    let py = cursor.py();
    let connection = match &driver.get().connection {
        Some(name) => cursor.getattr(name.bind(py))?,
        None => {
            return Ok(Some(Bound::new(
                py,
                Driver::target(driver, None, None, None, None, false)?,
            )?));
        }
    };
    let target = match connection.getattr(intern!(py, TARGET)) {
        Ok(target) => target.cast_into::<Target>()?,
        Err(_) => describe(driver, &connection)?,
    };
    Ok((!target.get().is_quiet).then_some(target))
}

#[cold]
fn describe<'py>(
    driver: &Bound<'py, Driver>,
    connection: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, Target>> {
    let py = connection.py();
    let target = match &driver.get().describe {
        Some(describe) if !connection.is_none() => {
            let (database, user, host, port) = describe.bind(py).call1((connection,))?.extract()?;
            Driver::target(driver, database, user, host, port, false)?
        }
        _ => Driver::target(driver, None, None, None, None, false)?,
    };
    let target = Bound::new(py, target)?;
    // A connection that takes no attribute is described at every statement.
    if !connection.is_none() {
        let _ = connection.setattr(intern!(py, TARGET), &target);
    }
    Ok(target)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DBAPI_TARGET", TARGET)?;
    module.add_class::<Driver>()?;
    module.add_class::<Target>()
}
