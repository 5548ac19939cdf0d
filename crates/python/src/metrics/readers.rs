//! Metric readers that the app has added in Python: they get each measurement too.

use super::Instrument;
use crate::engine;
use crate::gil::GilCell;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often readers were set; 0 where there are none.
static ERA: AtomicU32 = AtomicU32::new(0);

static READERS: GilCell<Option<Py<PyAny>>> = GilCell::new(None);

/// The eras until now.
static ERAS: AtomicU32 = AtomicU32::new(0);

/// Whether there are readers in the process.
#[inline]
pub(super) fn are_there() -> bool {
    ERA.load(Ordering::Relaxed) != 0
}

/// Hands a measurement over. An error is counted and goes no further.
#[cold]
pub(super) fn tell(
    py: Python<'_>,
    instrument: &Instrument,
    value: Bound<'_, PyAny>,
    attributes: Option<Bound<'_, PyAny>>,
    context: Option<&Bound<'_, PyAny>>,
) {
    engine::guard(py, "metric readers", || {
        let Some(readers) =
            READERS.open(py).and_then(|readers| readers.as_ref().map(|them| them.clone_ref(py)))
        else {
            return Ok(());
        };
        let readers = readers.bind(py);
        let era = ERA.load(Ordering::Relaxed);
        if instrument.told.swap(era, Ordering::Relaxed) != era {
            readers.call_method1("define", instrument.description(py)?)?;
        }
        readers.call_method1("measure", (instrument.id, value, attributes, context))?;
        Ok(())
    });
}

/// From now on `readers.define(...)` is told of each instrument before its first measurement, and
/// `readers.measure(number, value, attributes, context)` of each measurement. `None` ends that.
#[pyfunction]
pub(super) fn set_metric_readers(py: Python<'_>, readers: Option<Py<PyAny>>) {
    let is_set = readers.is_some();
    let Some(former) =
        READERS.open(py).map(|mut current| std::mem::replace(&mut *current, readers))
    else {
        return;
    };
    let era = if is_set { ERAS.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
    ERA.store(era, Ordering::Relaxed);
    // Its end may run Python code.
    drop(former);
}
