//! Records of the standard library's `logging` as OTLP log records.
//!
//! `Logger.callHandlers` is wrapped: no handler is added anywhere, so `logging.basicConfig` and
//! whatever else looks at the handlers of the root logger do as without the engine. What is
//! exported is what a handler of the root logger would get.

mod correlation;
mod record;

use crate::engine;
use crate::logs;
use crate::method::{self, Call, Wrapper};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

pub(crate) use correlation::request_ended;

/// Records below it are not exported (`OTEL_PYTHON_LOG_HANDLER_LEVEL`).
static LEVEL: AtomicI64 = AtomicI64::new(0);

/// Whether records carry `code.*` attributes (`OTEL_PYTHON_LOG_CODE_ATTRIBUTES`).
static HAS_CODE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// A record is being translated in this thread: what the app's own code logs meanwhile (in
    /// `__str__`, say) is left out, as it could go on for ever.
    static IS_EMITTING: Cell<bool> = const { Cell::new(false) };
}

struct CallHandlers;

impl Wrapper for CallHandlers {
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let interrupt = match call.positional(0) {
            Some(record) if engine::is_on() && logs::are_wanted(call.py()) => {
                emit(call.instance(), &record)
            }
            _ => Ok(()),
        };
        let result = call.forward();
        interrupt?;
        result
    }
}

/// Exports a record where it is to be.
///
/// # Errors
/// Only what is no `Exception`: an interrupt that came while the app's code ran.
#[inline]
fn emit(logger: &Bound<'_, PyAny>, record: &Bound<'_, PyAny>) -> PyResult<()> {
    if IS_EMITTING.replace(true) {
        return Ok(());
    }
    let result = try_emit(logger, record);
    IS_EMITTING.set(false);
    match result {
        Err(error) if error.is_instance_of::<PyException>(record.py()) => {
            engine::fault(record.py(), "logging", Some(error.value(record.py())));
            Ok(())
        }
        result => result,
    }
}

#[inline]
fn try_emit(logger: &Bound<'_, PyAny>, record: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = record.py();
    let level: i64 = record.getattr(intern!(py, "levelno"))?.extract()?;
    if level < LEVEL.load(Ordering::Relaxed) || !reaches_root(logger)? {
        return Ok(());
    }
    record::write(record, level, HAS_CODE.load(Ordering::Relaxed))
}

/// Whether handlers of the root logger see what this logger handles.
#[inline]
fn reaches_root(logger: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = logger.py();
    let mut logger = logger.clone();
    loop {
        let parent = logger.getattr(intern!(py, "parent"))?;
        if parent.is_none() {
            return Ok(true);
        }
        if !logger.getattr(intern!(py, "propagate"))?.is_truthy()? {
            return Ok(false);
        }
        logger = parent;
    }
}

/// The method to put in the place of `Logger.callHandlers`; `None` where it cannot be made.
#[pyfunction]
fn logging_handlers<'py>(
    logger_class: &Bound<'py, PyType>,
    level: i64,
    has_code: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    LEVEL.store(level, Ordering::Relaxed);
    HAS_CODE.store(has_code, Ordering::Relaxed);
    let original = logger_class.getattr("callHandlers")?;
    method::wrapping(logger_class, "callHandlers", &original, Box::new(CallHandlers))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(logging_handlers, module)?)?;
    correlation::register(module)
}
