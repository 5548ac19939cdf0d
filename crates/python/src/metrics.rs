//! Instruments whose measurements go into the ring; the launcher adds them up.

use crate::attributes::{Attributes, Bounds, log};
use crate::context::current;
use crate::current::parent_in;
use crate::engine;
use crate::gil::GilCell;
use crate::otlp::Writer;
use crate::scope::Scope;
use carafe_wire::record::{
    self, Definition, InstrumentKind, Measurement, Number, Record, SpanReference,
};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Attribute sets that a process keeps. The launcher bounds the sets of each instrument; further
/// ones than this are measured as its overflow set.
const SET_LIMIT: usize = 20_000;

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
    otlp: Vec<u8>,
    /// One more than the generation whose ring knows the instrument; 0 for none.
    defined: AtomicU32,
}

/// A set of attributes that the ring knows by a number.
#[derive(Debug)]
pub(crate) struct AttributeSet {
    id: u32,
    otlp: Vec<u8>,
    defined: AtomicU32,
}

impl AttributeSet {
    /// The set of these attributes: to be kept by its user, who measures with it again and again.
    pub(crate) fn new(py: Python<'_>, attributes: &Attributes) -> Self {
        let mut otlp = Vec::new();
        attributes.encode(py, &mut Writer::new(&mut otlp), 1);
        Self { id: next_set_id(), otlp, defined: AtomicU32::new(0) }
    }

    /// The number that this process' ring knows it by; `None` where it could not be told.
    #[inline]
    fn defined(&self, py: Python<'_>) -> Option<u32> {
        let generation = engine::generation(py) + 1;
        if self.defined.load(Ordering::Relaxed) != generation {
            let definition = Definition { id: self.id, otlp: &self.otlp };
            if !engine::write(py, &Record::Attributes(definition)) {
                return None;
            }
            self.defined.store(generation, Ordering::Relaxed);
        }
        Some(self.id)
    }
}

fn next_set_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Sets that the app's own dictionaries have named, by the hash of their content.
static SETS: GilCell<Option<HashMap<u64, Vec<KnownSet>>>> = GilCell::new(None);

struct KnownSet {
    attributes: Py<PyDict>,
    types: Vec<usize>,
    set: Arc<AttributeSet>,
}

impl Meter {
    /// A meter of that scope.
    pub(crate) fn of_scope(scope: Arc<Scope>) -> Self {
        Self { scope }
    }

    /// A meter for built-in instrumentation.
    pub(crate) fn built_in(py: Python<'_>, name: &str) -> PyResult<Self> {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        Ok(Self { scope: Arc::new(Scope::new(name, version, None, None, py)?) })
    }

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
            otlp,
            defined: AtomicU32::new(0),
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

    fn measure_given(
        &self,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = value.py();
        if !engine::is_on() {
            return Ok(());
        }
        let Some(number) = number(value) else {
            return self.refuse(value, "is no number");
        };
        let is_negative = match number {
            Number::Int(value) => value < 0,
            Number::Double(value) => value < 0.0,
        };
        if is_negative && matches!(self.kind, InstrumentKind::Counter | InstrumentKind::Histogram) {
            return self.refuse(value, "is negative");
        }
        let set = match attributes {
            Some(attributes) if attributes.is_truthy()? => Some(known_set(attributes)?),
            _ => None,
        };
        let span = match context {
            Some(context) => reference(context),
            None => current(py).and_then(|context| reference(&context)),
        };
        self.measure_in(py, number, set.as_deref(), span);
        Ok(())
    }

    #[cold]
    fn refuse(&self, value: &Bound<'_, PyAny>, why: &str) -> PyResult<()> {
        log(
            value.py(),
            "opentelemetry.sdk.metrics._internal.instrument",
            "%s of %s was not taken: it %s",
            (value, &self.name, why),
        )
    }
}

/// The span of a context, for exemplars.
#[inline]
fn reference(context: &Bound<'_, PyAny>) -> Option<SpanReference> {
    let parent = parent_in(context).ok()??;
    Some(SpanReference {
        trace_id: parent.trace_id,
        span_id: parent.span_id,
        is_sampled: parent.is_sampled(),
    })
}

#[inline]
fn number(value: &Bound<'_, PyAny>) -> Option<Number> {
    if value.is_instance_of::<PyInt>() {
        return Some(
            value
                .extract()
                .map_or_else(|_| Number::Double(value.extract().unwrap_or(f64::MAX)), Number::Int),
        );
    }
    match value.cast::<PyFloat>() {
        Ok(value) => Some(Number::Double(value.value())),
        Err(_) => value.extract().ok().map(Number::Double),
    }
}

/// The set of a mapping's attributes.
fn known_set(attributes: &Bound<'_, PyAny>) -> PyResult<Arc<AttributeSet>> {
    let py = attributes.py();
    let dict = match attributes.cast_exact::<PyDict>() {
        Ok(dict) => dict.clone(),
        Err(_) => {
            let dict = PyDict::new(py);
            dict.update(attributes.cast()?)?;
            dict
        }
    };
    let mut hash = dict.len() as u64;
    let mut types = Vec::new();
    for (key, value) in dict.iter() {
        let value_hash = match value.hash() {
            Ok(hash) => hash,
            // A list: compared as the tuple that it becomes.
            Err(_) => value.try_iter().and_then(|_| PyTuple::new(py, [&value])?.repr()?.hash())?,
        };
        let kind = type_tag(&value);
        let key_hash = key.hash()?.cast_unsigned() as u64;
        // The order of a dictionary says nothing: a sum.
        hash = hash.wrapping_add(
            (key_hash ^ (value_hash.cast_unsigned() as u64).rotate_left(17) ^ kind as u64)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15),
        );
        types.push(kind);
    }
    if let Some(mut sets) = SETS.open(py) {
        let known = sets.get_or_insert_default().get(&hash);
        let same = known.into_iter().flatten().find(|known| {
            known.types.len() == types.len() && known.attributes.bind(py).eq(&dict).unwrap_or(false)
        });
        if let Some(same) = same {
            return Ok(Arc::clone(&same.set));
        }
    }
    remember(&dict, hash, types)
}

#[cold]
fn remember(dict: &Bound<'_, PyDict>, hash: u64, types: Vec<usize>) -> PyResult<Arc<AttributeSet>> {
    let py = dict.py();
    let mut own = Attributes::with_capacity(dict.len());
    let is_full =
        SETS.open(py).is_none_or(|sets| sets.as_ref().is_some_and(|sets| sets.len() >= SET_LIMIT));
    if is_full {
        let overflow = PyDict::new(py);
        overflow.set_item("otel.metric.overflow", true)?;
        own.extend(overflow.as_any(), Bounds { count: None, length: None })?;
        return Ok(Arc::new(AttributeSet::new(py, &own)));
    }
    own.extend(dict.as_any(), Bounds { count: None, length: None })?;
    let set = Arc::new(AttributeSet::new(py, &own));
    let known = KnownSet { attributes: dict.copy()?.unbind(), types, set: Arc::clone(&set) };
    if let Some(mut sets) = SETS.open(py) {
        sets.get_or_insert_default().entry(hash).or_default().push(known);
    }
    Ok(set)
}

/// Tells values apart that are equal in Python: 1, 1.0 and True.
#[inline]
fn type_tag(value: &Bound<'_, PyAny>) -> usize {
    if value.is_instance_of::<PyString>() {
        1
    } else if value.is_instance_of::<PyBool>() {
        2
    } else if value.is_instance_of::<PyInt>() {
        3
    } else if value.is_instance_of::<PyFloat>() {
        4
    } else {
        5
    }
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
        let kind = *InstrumentKind::ALL.get(kind).ok_or_else(|| {
            pyo3::exceptions::PyValueError::new_err(format!("no such kind of instrument: {kind}"))
        })?;
        Ok(self.make(kind, name, unit, description, boundaries.as_deref()))
    }
}

#[pymethods]
impl Instrument {
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

    /// What a callback has observed.
    #[pyo3(signature = (value, attributes=None, context=None))]
    fn observe(
        &self,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.measure_given(value, attributes, context)
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
    module.add_function(wrap_pyfunction!(meter, module)?)
}
