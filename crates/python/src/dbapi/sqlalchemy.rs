//! Spans of SQLAlchemy: one for each statement that a dialect sends, one for each
//! `Engine.connect`.

use super::target::{Described, Names};
use super::{is_silent, operation, silently, tracer};
use crate::attributes::{Attributes, Bounds};
use crate::capi;
use crate::client::silences_all;
use crate::context;
use crate::engine;
use crate::method::{self, Call, Wrapper};
use crate::metrics::{AttributeSet, Instrument};
use crate::span::{Span, status};
use crate::tracer::{Beginning, Tracer, kind};
use carafe_wire::record::Number;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use std::sync::atomic::{AtomicBool, Ordering};

/// The scope of the official package.
const SCOPE: &str = "opentelemetry.instrumentation.sqlalchemy";

/// The attribute of a dialect that holds its [`Database`].
const DATABASE: &str = "_carafe_database";

/// What is said of the statements of an engine, or of one of its connections.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(super) struct Database {
    /// Texts and numbers that every span has, as the official package orders them.
    attributes: Vec<(&'static str, Py<PyAny>)>,
    vendor: Py<PyString>,
    names: Names,
    /// What follows the operation in the name of a span.
    name_suffix: Option<String>,
    /// Called with an execution's context and its cursor: the `Database` of that connection. Only
    /// where the engine's URL does not say enough.
    describe: Option<Py<PyAny>>,
}

/// Attributes that a [`Database`] may have.
const KEYS: [&str; 8] = [
    "net.transport",
    "net.peer.name",
    "server.address",
    "net.peer.port",
    "server.port",
    "db.name",
    "db.namespace",
    "db.user",
];

#[pymethods]
impl Database {
    /// `attributes`: see the field; `names`: conventions of database attributes as
    /// `(old, stable)`.
    #[new]
    #[pyo3(signature = (attributes, vendor, names, name_suffix=None, describe=None))]
    fn new(
        attributes: &Bound<'_, PyDict>,
        vendor: Py<PyString>,
        names: (bool, bool),
        name_suffix: Option<String>,
        describe: Option<Py<PyAny>>,
    ) -> Self {
        let known = attributes.iter().filter_map(|(key, value)| {
            let text = capi::utf8(&key)?;
            let key = KEYS.into_iter().find(|known| *known == text)?;
            Some((key, value.unbind()))
        });
        Self {
            attributes: known.collect(),
            vendor,
            names: Names { old: names.0, stable: names.1 },
            name_suffix: name_suffix.filter(|suffix| !suffix.is_empty()),
            describe,
        }
    }
}

fn shared_tracer(py: Python<'_>) -> PyResult<&Tracer> {
    static TRACER: PyOnceLock<Tracer> = PyOnceLock::new();
    TRACER.get_or_try_init(py, || tracer(py, SCOPE))
}

impl Database {
    /// The attributes that all spans have.
    #[inline]
    fn describe(&self, py: Python<'_>, tracer: &Tracer) -> Described {
        let mut span = Described::of(py, tracer);
        for (key, value) in &self.attributes {
            span.set(key, value.bind(py));
        }
        span
    }

    /// The name of a statement's span.
    #[inline]
    fn span_name<'py>(&self, statement: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = statement.py();
        let operation = operation::name(statement)?;
        let is_empty = operation.len()? == 0;
        match &self.name_suffix {
            None if is_empty => Ok(self.vendor.bind(py).clone().into_any()),
            None => Ok(operation),
            Some(suffix) if is_empty => Ok(PyString::new(py, suffix).into_any()),
            Some(suffix) => Ok(PyString::new(
                py,
                &format!("{} {suffix}", capi::utf8(&operation).unwrap_or_default()),
            )
            .into_any()),
        }
    }

    #[inline]
    fn begin<'py>(&self, statement: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Span>>> {
        let name = self.span_name(statement)?;
        self.start(&name, |span| {
            span.put(statement, self.names, "db.statement", "db.query.text");
            self.put_vendor(span, statement.py());
            span.put(&name, self.names, "db.operation", "db.operation.name");
        })
    }

    /// The span of an `Engine.connect`.
    fn begin_connect<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Span>>> {
        self.start(intern!(py, "connect").as_any(), |span| self.put_vendor(span, py))
    }

    fn put_vendor(&self, span: &mut Described, py: Python<'_>) {
        span.put(self.vendor.bind(py).as_any(), self.names, "db.system", "db.system.name");
    }

    /// Starts a span; `None` where the app has asked for silence.
    #[inline]
    fn start<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        describe: impl FnOnce(&mut Described),
    ) -> PyResult<Option<Bound<'py, Span>>> {
        let py = name.py();
        let tracer = shared_tracer(py)?;
        let beginning = Beginning::here(name.clone(), kind::CLIENT, Attributes::default())?;
        if silences_all(py, beginning.context.as_ref())? {
            return Ok(None);
        }
        let span = tracer.start(py, beginning)?;
        if span.get().is_recording() {
            let mut described = self.describe(py, tracer);
            describe(&mut described);
            described.give_to(py, span.get());
        }
        Ok(Some(span))
    }
}

/// `do_execute`, `do_executemany` or `do_execute_no_params` of a dialect.
struct DoExecute {
    /// The place of the execution's context among the arguments.
    context: usize,
}

impl Wrapper for DoExecute {
    #[inline]
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = call.py();
        let (Some(cursor), Some(statement)) = (call.positional(0), call.positional(1)) else {
            return call.forward();
        };
        if !engine::is_on() || is_silent(&cursor) {
            return call.forward();
        }
        let span = engine::guard(py, "sqlalchemy", || {
            let Ok(database) = call.instance().getattr(intern!(py, DATABASE)) else {
                return Ok(None);
            };
            let database = database.cast_into::<Database>()?;
            match &database.get().describe {
                None => database.get().begin(&statement),
                Some(describe) => {
                    let context = call.positional(self.context);
                    let own = describe.bind(py).call1((context, &cursor))?;
                    own.cast::<Database>()?.get().begin(&statement)
                }
            }
        });
        let result = silently(&cursor, || call.forward());
        if let Some(span) = span.flatten() {
            engine::guard(py, "sqlalchemy", || {
                if let Err(error) = &result {
                    let text = error.value(py).str()?.into_any().unbind();
                    span.get().put_status(py, status::ERROR, Some(text))?;
                }
                Span::end(&span, None)
            });
        }
        result
    }
}

/// `Engine.connect`.
struct Connect;

impl Wrapper for Connect {
    #[inline]
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = call.py();
        if !engine::is_on() {
            return call.forward();
        }
        let begun = engine::guard(py, "sqlalchemy", || {
            let dialect = call.instance().getattr(intern!(py, "dialect"))?;
            let Ok(database) = dialect.getattr(intern!(py, DATABASE)) else { return Ok(None) };
            let Some(span) = database.cast::<Database>()?.get().begin_connect(py)? else {
                return Ok(None);
            };
            let token = context::attach_span(span.as_any())?;
            Ok(Some((span, token)))
        });
        let result = call.forward();
        if let Some((span, token)) = begun.flatten() {
            engine::guard(py, "sqlalchemy", || {
                let detached = context::detach(&token);
                if let Err(error) = &result
                    && super::is_exception(error.value(py).as_any())
                {
                    Span::note_exception(&span, error.value(py).as_any())?;
                }
                Span::end(&span, None)?;
                detached
            });
        }
        result
    }
}

/// The method to put in the place of `class.name` of a dialect or an engine; `None` where it cannot
/// be made.
#[pyfunction]
fn sqlalchemy_method<'py>(
    class: &Bound<'py, PyType>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let original = class.getattr(name)?;
    let wrapper: Box<dyn Wrapper> = match name {
        "connect" => Box::new(Connect),
        "do_execute_no_params" => Box::new(DoExecute { context: 2 }),
        _ => Box::new(DoExecute { context: 3 }),
    };
    method::wrapping(class, name, &original, wrapper)
}

/// Listeners stay on their pools: whether they measure.
static IS_LISTENING: AtomicBool = AtomicBool::new(false);

/// Whether the events of pools are measured.
#[pyfunction]
fn sqlalchemy_listen(is_listening: bool) {
    IS_LISTENING.store(is_listening, Ordering::Relaxed);
}

/// A listener of a pool's events, which measures `db.client.connections.usage`.
#[pyclass(frozen, weakref, module = "carafe_engine._native")]
struct PoolListener {
    usage: Py<Instrument>,
    changes: Vec<(i64, AttributeSet)>,
}

#[pymethods]
impl PoolListener {
    /// `changes`: what the event adds, and the attributes with which.
    #[new]
    fn new(
        py: Python<'_>,
        usage: Py<Instrument>,
        changes: Vec<(i64, Bound<'_, PyDict>)>,
    ) -> PyResult<Self> {
        let changes = changes.into_iter().map(|(change, attributes)| {
            let mut own = Attributes::with_capacity(attributes.len());
            own.extend(attributes.as_any(), Bounds { count: None, length: None })?;
            Ok((change, AttributeSet::new(py, &own)))
        });
        Ok(Self { usage, changes: changes.collect::<PyResult<_>>()? })
    }

    #[pyo3(signature = (*_event))]
    fn __call__(&self, py: Python<'_>, _event: &Bound<'_, PyTuple>) {
        if engine::is_on() && IS_LISTENING.load(Ordering::Relaxed) {
            for (change, attributes) in &self.changes {
                self.usage.get().measure(py, Number::Int(*change), Some(attributes));
            }
        }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SQLALCHEMY_DATABASE", DATABASE)?;
    module.add_class::<Database>()?;
    module.add_class::<PoolListener>()?;
    module.add_function(wrap_pyfunction!(sqlalchemy_listen, module)?)?;
    module.add_function(wrap_pyfunction!(sqlalchemy_method, module)?)
}
