//! Instruments whose measurements go into the ring; the launcher adds them up.

mod readers;
mod sets;

use crate::attributes::log;
use crate::context::current;
use crate::current::{SAMPLED, parent_in};
use crate::engine;
use crate::environment::wanted;
use crate::otlp::Writer;
use crate::scope::Scope;
use crate::span::Span;
use carafe_wire::record::{self, InstrumentKind, Measurement, Number, Record, SpanReference};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyTuple};
pub(crate) use sets::AttributeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes instruments of one scope.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Meter {
    scope: Arc<Scope>,
}

/// An instrument of the process.
#[pyclass(frozen, subclass, weakref, module = "carafe_engine._native")]
pub(crate) struct Instrument {
    id: u32,
    scope: Arc<Scope>,
    kind: InstrumentKind,
    #[pyo3(get)]
    name: String,
    #[pyo3(get)]
    unit: String,
    #[pyo3(get)]
    description: String,
    bounds: Option<Vec<f64>>,
    otlp: Vec<u8>,
    /// One more than the generation whose ring knows the instrument; 0 for none.
    defined: AtomicU32,
    /// The era of readers that know the instrument.
    told: AtomicU32,
}

impl Meter {
    /// A meter of that scope.
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self { scope }
    }

    /// An instrument; `bounds` are a histogram's buckets.
    pub(crate) fn make(
        &self,
        kind: InstrumentKind,
        name: &str,
        unit: &str,
        description: &str,
        bounds: Option<&[f64]>,
    ) -> Instrument {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut otlp = Vec::new();
        let mut writer = Writer::new(&mut otlp);
        writer.string(1, name);
        writer.string(2, description);
        writer.string(3, unit);
        if let Some(bounds) = bounds {
            let packed: Vec<u8> = bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect();
            writer.message(9, |histogram| histogram.message(1, |point| point.bytes(7, &packed)));
        }
        Instrument {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            scope: Arc::clone(&self.scope),
            kind,
            name: name.to_owned(),
            unit: unit.to_owned(),
            description: description.to_owned(),
            bounds: bounds.map(<[f64]>::to_vec),
            otlp,
            defined: AtomicU32::new(0),
            told: AtomicU32::new(0),
        }
    }
}

impl Instrument {
    /// Measures, in the current span.
    #[inline]
    pub(crate) fn measure(&self, py: Python<'_>, value: Number, set: Option<&AttributeSet>) {
        let span = current(py).and_then(|context| reference(&context));
        self.measure_in(py, value, set, span);
    }

    /// Measures, in that span.
    #[inline]
    pub(crate) fn measure_in(
        &self,
        py: Python<'_>,
        value: Number,
        set: Option<&AttributeSet>,
        span: Option<SpanReference>,
    ) {
        self.write(py, value, set, span);
        if readers::are_there() {
            self.tell_readers(py, value, set);
        }
    }

    #[inline]
    fn write(
        &self,
        py: Python<'_>,
        value: Number,
        set: Option<&AttributeSet>,
        span: Option<SpanReference>,
    ) {
        if !wanted(py).metrics {
            return;
        }
        let Some(instrument) = self.defined(py) else { return };
        let attributes = match set {
            Some(set) => match set.defined(py) {
                Some(id) => id,
                None => return,
            },
            None => 0,
        };
        let time_unix_ns = engine::unix_ns();
        engine::write(
            py,
            &Record::Measurement(Measurement { instrument, attributes, time_unix_ns, value, span }),
        );
    }

    #[inline]
    fn defined(&self, py: Python<'_>) -> Option<u32> {
        let generation = engine::generation(py) + 1;
        if self.defined.load(Ordering::Relaxed) != generation {
            let scope = self.scope.defined(py)?;
            let instrument =
                record::Instrument { id: self.id, scope, kind: self.kind, otlp: &self.otlp };
            if !engine::write(py, &Record::Instrument(instrument)) {
                return None;
            }
            self.defined.store(generation, Ordering::Relaxed);
        }
        Some(self.id)
    }

    fn tell_readers(&self, py: Python<'_>, value: Number, set: Option<&AttributeSet>) {
        let value = match value {
            Number::Int(value) => value.into_bound_py_any(py),
            Number::Double(value) => value.into_bound_py_any(py),
        };
        let attributes = set.and_then(AttributeSet::attributes);
        let attributes = attributes.map(|attributes| attributes.bind(py).clone().into_any());
        if let Ok(value) = value {
            readers::tell(py, self, value, attributes, None);
        }
    }

    #[inline]
    fn measure_given(
        &self,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if !engine::is_on() || !self.write_given(value, attributes, context)? {
            return Ok(());
        }
        if readers::are_there() {
            readers::tell(value.py(), self, value.clone(), attributes.cloned(), context);
        }
        Ok(())
    }

    /// Whether the measurement is a sound one.
    #[inline]
    fn write_given(
        &self,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = value.py();
        let Some(number) = number(value) else {
            return self.refuse(value, "is not a number");
        };
        let is_negative = match number {
            Number::Int(value) => value < 0,
            Number::Double(value) if !value.is_finite() => {
                return self.refuse(&value.into_bound_py_any(py)?, "is not finite");
            }
            Number::Double(value) => value < 0.0,
        };
        if is_negative && matches!(self.kind, InstrumentKind::Counter | InstrumentKind::Histogram) {
            return self.refuse(value, "is negative");
        }
        let set = match attributes {
            Some(attributes) => sets::named(attributes)?,
            None => None,
        };
        let span = match context {
            Some(context) if !context.is_none() => reference(context),
            _ => current(py).and_then(|context| reference(&context)),
        };
        self.write(py, number, set.as_deref(), span);
        Ok(true)
    }

    #[cold]
    fn refuse(&self, value: &Bound<'_, PyAny>, why: &str) -> PyResult<bool> {
        log(
            value.py(),
            "opentelemetry.sdk.metrics._internal.instrument",
            "%s %s; %s ignores it",
            (value, why, &self.name),
        )?;
        Ok(false)
    }

    /// What readers must know: number, kind, name, unit, description, buckets, scope.
    fn description<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let kind = InstrumentKind::ALL.iter().position(|kind| *kind == self.kind);
        let scope = self.scope.to_object(py)?;
        (self.id, kind, &self.name, &self.unit, &self.description, &self.bounds, scope)
            .into_pyobject(py)
    }
}

/// The span of a context, for exemplars.
#[inline]
fn reference(context: &Bound<'_, PyAny>) -> Option<SpanReference> {
    if let Ok(span) = context.cast::<Span>() {
        let start = &span.get().start;
        return Some(SpanReference {
            trace_id: start.trace_id,
            span_id: start.span_id,
            is_sampled: start.flags & SAMPLED != 0,
        });
    }
    let parent = parent_in(context).ok()??;
    Some(SpanReference {
        trace_id: parent.trace_id,
        span_id: parent.span_id,
        is_sampled: parent.is_sampled(),
    })
}

/// Whole numbers stay whole where they fit into 64 bits.
#[inline]
fn number(value: &Bound<'_, PyAny>) -> Option<Number> {
    if value.is_instance_of::<PyInt>() {
        return match value.extract() {
            Ok(whole) => Some(Number::Int(whole)),
            Err(_) => value.extract().ok().map(Number::Double),
        };
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Some(Number::Double(value.value()));
    }
    // Numbers of other libraries.
    match value.extract() {
        Ok(whole) => Some(Number::Int(whole)),
        Err(_) => value.extract().ok().map(Number::Double),
    }
}

fn kind_at(place: usize) -> PyResult<InstrumentKind> {
    InstrumentKind::ALL.get(place).copied().ok_or_else(|| {
        pyo3::exceptions::PyValueError::new_err(format!("no such kind of instrument: {place}"))
    })
}

#[pymethods]
impl Meter {
    /// An instrument; `kind` is its place in the wire's list of kinds.
    #[pyo3(signature = (kind, name, unit="", description="", boundaries=None))]
    fn instrument(
        &self,
        kind: usize,
        name: &str,
        unit: &str,
        description: &str,
        boundaries: Option<Vec<f64>>,
    ) -> PyResult<Instrument> {
        Ok(self.make(kind_at(kind)?, name, unit, description, boundaries.as_deref()))
    }
}

#[pymethods]
impl Instrument {
    /// An instrument of a class that Python code has derived from this one.
    #[new]
    #[pyo3(signature = (meter, kind, name, unit="", description="", boundaries=None))]
    fn of_meter(
        meter: &Bound<'_, Meter>,
        kind: usize,
        name: &str,
        unit: &str,
        description: &str,
        boundaries: Option<Vec<f64>>,
    ) -> PyResult<Self> {
        meter.get().instrument(kind, name, unit, description, boundaries)
    }

    /// Its number in this process.
    #[getter]
    fn number(&self) -> u32 {
        self.id
    }

    /// As an `InstrumentationScope` of the SDK.
    #[getter]
    fn instrumentation_scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scope.to_object(py)
    }

    /// Adds to a counter.
    #[pyo3(signature = (amount, attributes=None, context=None))]
    fn add(
        &self,
        amount: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.measure_given(amount, attributes, context)
    }

    /// Records a value of a histogram.
    #[pyo3(signature = (amount, attributes=None, context=None))]
    fn record(
        &self,
        amount: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.measure_given(amount, attributes, context)
    }

    /// Sets a gauge.
    #[pyo3(signature = (amount, attributes=None, context=None))]
    fn set(
        &self,
        amount: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.measure_given(amount, attributes, context)
    }

    /// What a callback has observed. Readers in the process ask the callbacks themselves.
    #[pyo3(signature = (value, attributes=None, context=None))]
    fn observe(
        &self,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if engine::is_on() {
            self.write_given(value, attributes, context)?;
        }
        Ok(())
    }
}

/// A meter of that scope.
#[pyfunction]
#[pyo3(signature = (name, version=None, schema_url=None, attributes=None))]
fn meter(
    py: Python<'_>,
    name: &str,
    version: Option<String>,
    schema_url: Option<String>,
    attributes: Option<&Bound<'_, PyAny>>,
) -> PyResult<Meter> {
    Ok(Meter { scope: Arc::new(Scope::new(name, version, schema_url, attributes, py)?) })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Meter>()?;
    module.add_class::<Instrument>()?;
    module.add_function(wrap_pyfunction!(readers::set_metric_readers, module)?)?;
    module.add_function(wrap_pyfunction!(meter, module)?)
}
