//! Spans of database statements: DB-API 2.0 drivers and SQLAlchemy.
//!
//! One statement is one span. Where SQLAlchemy sends it, the span is SQLAlchemy's, and the driver
//! below stays silent for that cursor.

mod operation;
mod sqlalchemy;
mod statement;
mod target;

use crate::attributes::Attributes;
use crate::client::silences_all;
use crate::context;
use crate::engine;
use crate::method::{self, Call, Wrapper};
use crate::span::Span;
use crate::tracer::{Beginning, Tracer, kind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::cell::RefCell;
use std::time::Instant;
use target::{Driver, Target};

thread_local! {
    /// Cursors whose statements are someone else's to report, by address: SQLAlchemy's while it
    /// executes, and those that execute one statement for each of many parameters.
    static SILENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Whether another layer reports what this cursor does.
#[inline]
fn is_silent(cursor: &Bound<'_, PyAny>) -> bool {
    let address = cursor.as_ptr() as usize;
    SILENT.with_borrow(|silent| silent.contains(&address))
}

/// Runs `work` while this cursor is silent. Greenlets may leave in another order than they came.
#[inline]
fn silently<R>(cursor: &Bound<'_, PyAny>, work: impl FnOnce() -> R) -> R {
    let address = cursor.as_ptr() as usize;
    SILENT.with_borrow_mut(|silent| silent.push(address));
    let result = work();
    SILENT.with_borrow_mut(|silent| {
        if let Some(place) = silent.iter().rposition(|known| *known == address) {
            silent.swap_remove(place);
        }
    });
    result
}

/// A statement that is being executed.
struct Execution<'py> {
    span: Bound<'py, Span>,
    token: Option<Bound<'py, PyAny>>,
    measured: Option<Measured<'py>>,
}

/// What the metrics of a statement need.
struct Measured<'py> {
    target: Bound<'py, Target>,
    operation: Bound<'py, PyAny>,
    started: Instant,
}

impl<'py> Execution<'py> {
    /// Starts the span of a statement and makes it current.
    #[inline]
    fn begin(
        target: &Bound<'py, Target>,
        cursor: &Bound<'py, PyAny>,
        statement: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let py = cursor.py();
        let driver = target.get().driver.get();
        let text = match statement {
            Some(statement) => statement::text(statement, cursor)?,
            None => intern!(py, "").clone().into_any(),
        };
        let operation = operation::name(&text)?;
        let name = if operation.len()? == 0 {
            target.get().name.bind(py).clone()
        } else {
            operation.clone()
        };
        let beginning = Beginning::here(name, kind::CLIENT, Attributes::default())?;
        if silences_all(py, beginning.context.as_ref())? {
            return Ok(None);
        }
        let span = driver.tracer.start(py, beginning)?;
        if span.get().is_recording() {
            target.get().describe(&text).give_to(py, span.get());
        }
        let token = context::attach_span(span.as_any())?;
        let measured = driver.metrics.is_some().then(|| Measured {
            target: target.clone(),
            operation,
            started: Instant::now(),
        });
        Ok(Some(Self { span, token: Some(token), measured }))
    }

    /// Ends the span as the statement has ended.
    #[inline]
    fn finish(
        &mut self,
        cursor: &Bound<'py, PyAny>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let detached = match self.token.take() {
            Some(token) => context::detach(&token),
            None => Ok(()),
        };
        if let Some(error) = error.filter(|error| is_exception(error)) {
            Span::note_exception(&self.span, error)?;
        }
        Span::end(&self.span, None)?;
        if let Some(measured) = self.measured.take() {
            measured.record(cursor, error)?;
        }
        detached
    }
}

impl<'py> Measured<'py> {
    #[cold]
    fn record(self, cursor: &Bound<'py, PyAny>, error: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let py = cursor.py();
        let elapsed = self.started.elapsed().as_secs_f64();
        let target = self.target.get();
        let Some(metrics) = &target.driver.get().metrics else { return Ok(()) };
        let attributes = target.metric_attributes.bind(py).copy()?;
        if self.operation.len()? > 0 {
            attributes.set_item(intern!(py, "db.operation.name"), &self.operation)?;
        }
        target.add_server(&attributes)?;
        if let Some(error) = error.filter(|error| is_exception(error)) {
            attributes.set_item(intern!(py, "error.type"), error.get_type().qualname()?)?;
        }
        let record = intern!(py, "record");
        metrics.duration.bind(py).call_method1(record, (elapsed, &attributes))?;
        if error.is_none()
            && let Ok(rows) = cursor.getattr(intern!(py, "rowcount"))
            && let Ok(rows) = rows.extract::<i64>()
            && rows >= 0
        {
            metrics.rows.bind(py).call_method1(record, (rows, &attributes))?;
        }
        Ok(())
    }
}

/// Interrupts, exits and cancellations are no errors of the statement.
fn is_exception(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance_of::<pyo3::exceptions::PyException>()
}

/// `execute`, `executemany` or `callproc` of a class of cursors.
struct Execute {
    driver: Py<Driver>,
    /// Whether the original calls another wrapped method of the same cursor.
    is_nesting: bool,
}

/// Names of the first parameter, by driver.
const STATEMENT_NAMES: [&str; 6] =
    ["query", "sql", "operation", "sql_script", "procname", "statement"];

impl Wrapper for Execute {
    #[inline]
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let (py, cursor) = (call.py(), call.instance());
        if !engine::is_on() || is_silent(cursor) {
            return call.forward();
        }
        let execution = engine::guard(py, "dbapi", || {
            let Some(target) = target::of_cursor(self.driver.bind(py), cursor)? else {
                return Ok(None);
            };
            let statement = call.positional(0);
            let statement =
                statement.or_else(|| STATEMENT_NAMES.iter().find_map(|name| call.keyword(name)));
            Execution::begin(&target, cursor, statement.as_ref())
        });
        let Some(mut execution) = execution.flatten() else { return call.forward() };
        let result =
            if self.is_nesting { silently(cursor, || call.forward()) } else { call.forward() };
        let error = result.as_ref().err().map(|error| error.value(py).clone().into_any());
        engine::guard(py, "dbapi", || execution.finish(cursor, error.as_ref()));
        result
    }
}

/// The method to put in the place of `class.name`, which sends statements; `None` where it cannot
/// be made.
#[pyfunction]
#[pyo3(signature = (driver, class, name, is_nesting=false))]
fn dbapi_method<'py>(
    driver: Py<Driver>,
    class: &Bound<'py, PyType>,
    name: &str,
    is_nesting: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let original = class.getattr(name)?;
    method::wrapping(class, name, &original, Box::new(Execute { driver, is_nesting }))
}

/// A statement of an asynchronous cursor, between its begin and its end.
#[pyclass(module = "carafe_engine._native")]
struct AsyncExecution {
    span: Py<Span>,
    token: Option<Py<PyAny>>,
    measured: Option<(Py<Target>, Py<PyAny>, Instant)>,
}

#[pymethods]
impl AsyncExecution {
    /// Ends the span; `error` is what the statement raised, or `None`. Raises nothing.
    fn finish<'py>(
        &mut self,
        py: Python<'py>,
        cursor: &Bound<'py, PyAny>,
        error: Option<Bound<'py, PyAny>>,
    ) {
        let mut execution = Execution {
            span: self.span.bind(py).clone(),
            token: self.token.take().map(|token| token.into_bound(py)),
            measured: self.measured.take().map(|(target, operation, started)| Measured {
                target: target.into_bound(py),
                operation: operation.into_bound(py),
                started,
            }),
        };
        engine::guard(py, "dbapi async", || execution.finish(cursor, error.as_ref()));
    }
}

/// Begins a statement of an asynchronous cursor; `None` where there is nothing to report. Raises
/// nothing.
#[pyfunction]
fn dbapi_begin<'py>(
    driver: &Bound<'py, Driver>,
    cursor: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: &Bound<'py, PyDict>,
) -> Option<AsyncExecution> {
    let py = driver.py();
    if !engine::is_on() || is_silent(cursor) {
        return None;
    }
    let execution = engine::guard(py, "dbapi async", || {
        let Some(target) = target::of_cursor(driver, cursor)? else { return Ok(None) };
        let mut statement = arguments.get_item(0).ok();
        for name in STATEMENT_NAMES {
            if statement.is_none() {
                statement = keywords.get_item(name)?;
            }
        }
        Execution::begin(&target, cursor, statement.as_ref())
    })??;
    Some(AsyncExecution {
        span: execution.span.unbind(),
        token: execution.token.map(Bound::unbind),
        measured: execution.measured.map(|measured| {
            (measured.target.unbind(), measured.operation.unbind(), measured.started)
        }),
    })
}

/// A tracer of the built-in instrumentation `name`.
fn tracer(py: Python<'_>, name: &str) -> PyResult<Tracer> {
    Tracer::built_in(py, name)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AsyncExecution>()?;
    module.add_function(wrap_pyfunction!(dbapi_method, module)?)?;
    module.add_function(wrap_pyfunction!(dbapi_begin, module)?)?;
    target::register(module)?;
    sqlalchemy::register(module)
}
