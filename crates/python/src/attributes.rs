//! Attributes of spans, events, links and log records: kept as they were given, encoded at the
//! end.

use crate::capi;
use crate::otlp::Writer;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyMapping, PySequence, PyString, PyTuple,
};

/// A key: ours, or a `str` of the app's.
#[derive(Debug)]
pub(crate) enum Key {
    Static(&'static str),
    Object(Py<PyAny>),
}

/// A value: computed here, or an object of the app's that cannot change any more (`str`, `bool`,
/// `int`, `float`, `bytes`, or a `tuple` of these).
#[derive(Debug)]
pub(crate) enum Value {
    Static(&'static str),
    Text(Box<str>),
    Int(i64),
    Object(Py<PyAny>),
}

/// Attributes in the order in which they were first set.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    entries: Vec<(Key, Value)>,
    /// How many were lost at the limit.
    pub(crate) dropped: u32,
}

/// What bounds a set of attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Attributes; at the limit the oldest goes.
    pub(crate) count: Option<usize>,
    /// Characters of a text.
    pub(crate) length: Option<usize>,
}

impl Bounds {
    #[inline]
    fn is_reached(self, count: usize) -> bool {
        self.count.is_some_and(|limit| count >= limit)
    }
}

impl Key {
    #[inline]
    fn is(&self, py: Python<'_>, other: &Key) -> bool {
        match (self, other) {
            (Self::Static(one), Self::Static(two)) => one == two,
            (Self::Object(one), Self::Object(two)) if one.as_ptr() == two.as_ptr() => true,
            (one, two) => one.text(py, |one| two.text(py, |two| one == two)),
        }
    }

    #[inline]
    pub(crate) fn text<R>(&self, py: Python<'_>, use_text: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Static(text) => use_text(text),
            Self::Object(object) => use_text(capi::utf8(object.bind(py)).unwrap_or_default()),
        }
    }

    fn to_object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Static(text) => PyString::intern(py, text).into_any(),
            Self::Object(object) => object.bind(py).clone(),
        }
    }
}

impl Value {
    fn to_object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Static(text) => PyString::new(py, text).into_any(),
            Self::Text(text) => PyString::new(py, text).into_any(),
            Self::Int(value) => {
                value.into_pyobject(py).map_or_else(|never| match never {}, Bound::into_any)
            }
            Self::Object(object) => object.bind(py).clone(),
        }
    }

    #[inline]
    fn encode(&self, py: Python<'_>, any: &mut Writer<'_>) {
        match self {
            Self::Static(text) => any.bytes(1, text.as_bytes()),
            Self::Text(text) => any.bytes(1, text.as_bytes()),
            Self::Int(value) => any.int_value(*value),
            Self::Object(object) => any.any_value(object.bind(py)),
        }
    }
}

impl Attributes {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), dropped: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sets a value that was computed here.
    #[inline]
    pub(crate) fn put(&mut self, py: Python<'_>, key: &'static str, value: Value, bounds: Bounds) {
        let value = match (value, bounds.length) {
            (Value::Text(text), Some(limit)) if text.chars().count() > limit => {
                Value::Text(text.chars().take(limit).collect())
            }
            (value, _) => value,
        };
        self.insert(py, Key::Static(key), value, bounds);
    }

    /// Sets what the app gave; a key or value that is no attribute is warned of and left out.
    pub(crate) fn set(
        &mut self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        bounds: Bounds,
    ) -> PyResult<()> {
        if let Some((key_kept, value)) = prepare(key, value, bounds)? {
            self.insert(key.py(), key_kept, value, bounds);
        }
        Ok(())
    }

    /// Sets all of `others`.
    pub(crate) fn append(&mut self, py: Python<'_>, others: Self, bounds: Bounds) {
        for (key, value) in others.entries {
            self.insert(py, key, value, bounds);
        }
    }

    /// Sets all items of a mapping.
    pub(crate) fn extend(&mut self, mapping: &Bound<'_, PyAny>, bounds: Bounds) -> PyResult<()> {
        if let Ok(dict) = mapping.cast_exact::<PyDict>() {
            self.entries.reserve(dict.len());
            let is_fresh = self.entries.is_empty();
            for (key, value) in dict.iter() {
                match prepare(&key, &value, bounds)? {
                    // A dictionary has every key once.
                    Some(entry) if is_fresh && !bounds.is_reached(self.entries.len()) => {
                        self.entries.push(entry);
                    }
                    Some((key, value)) => self.insert(mapping.py(), key, value, bounds),
                    None => {}
                }
            }
            return Ok(());
        }
        let items = mapping.cast::<PyMapping>()?.items()?;
        for item in items.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            self.set(&key, &value, bounds)?;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn insert(&mut self, py: Python<'_>, key: Key, value: Value, bounds: Bounds) {
        if bounds.count == Some(0) {
            self.dropped += 1;
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|(known, _)| known.is(py, &key)) {
            entry.1 = value;
            return;
        }
        if bounds.is_reached(self.entries.len()) {
            self.entries.remove(0);
            self.dropped += 1;
        }
        self.entries.push((key, value));
    }

    /// A new dictionary of them.
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in &self.entries {
            dict.set_item(key.to_object(py), value.to_object(py))?;
        }
        Ok(dict)
    }

    /// Writes them as repeated `KeyValue`s. Runs no Python code.
    #[inline]
    pub(crate) fn encode(&self, py: Python<'_>, writer: &mut Writer<'_>, field: u64) {
        for (key, value) in &self.entries {
            writer.message(field, |pair| {
                key.text(py, |key| pair.bytes(1, key.as_bytes()));
                pair.message(2, |any| value.encode(py, any));
            });
        }
    }
}

/// What is kept of an attribute that the app gave; `None` where it is none, which is warned of.
/// Runs Python code.
#[inline]
pub(crate) fn prepare(
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    bounds: Bounds,
) -> PyResult<Option<(Key, Value)>> {
    if !key.is_instance_of::<PyString>() || key.len()? == 0 {
        warn(key.py(), "invalid key `%s`. must be non-empty string.", (key,))?;
        return Ok(None);
    }
    let value = clean(key, value, bounds.length)?;
    Ok(value.map(|value| (Key::Object(key.clone().unbind()), value)))
}

/// What is kept of a value; `None` where it is no attribute.
#[inline]
pub(crate) fn clean(
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    limit: Option<usize>,
) -> PyResult<Option<Value>> {
    if value.is_instance_of::<PyString>() {
        return Ok(Some(Value::Object(truncate(value, limit)?.unbind())));
    }
    if value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyBool>()
    {
        return Ok(Some(Value::Object(value.clone().unbind())));
    }
    clean_slowly(key, value, limit)
}

fn truncate<'py>(text: &Bound<'py, PyAny>, limit: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
    match limit {
        Some(limit) if text.len()? > limit => {
            let end = isize::try_from(limit).unwrap_or(isize::MAX);
            text.get_item(pyo3::types::PySlice::new(text.py(), 0, end, 1))
        }
        _ => Ok(text.clone()),
    }
}

#[cold]
fn clean_slowly(
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    limit: Option<usize>,
) -> PyResult<Option<Value>> {
    let py = key.py();
    if value.is_instance_of::<PyBytes>() {
        let text = value.call_method1("decode", ("utf-8",));
        return match text {
            Ok(text) => Ok(Some(Value::Object(truncate(&text, limit)?.unbind()))),
            Err(_) => {
                warn(py, "Byte attribute could not be decoded for key `%s`.", (key,))?;
                Ok(None)
            }
        };
    }
    if let Ok(sequence) = value.cast::<PySequence>() {
        return clean_sequence(key, sequence, limit);
    }
    warn(
        py,
        "Invalid type %s for attribute '%s' value. Expected one of bool, str, bytes, int, float or \
         a sequence of those types",
        (value.get_type().name()?, key),
    )?;
    Ok(None)
}

fn clean_sequence(
    key: &Bound<'_, PyAny>,
    sequence: &Bound<'_, PySequence>,
    limit: Option<usize>,
) -> PyResult<Option<Value>> {
    let py = key.py();
    let mut kept = Vec::with_capacity(sequence.len()?);
    let mut first_type: Option<Bound<'_, PyAny>> = None;
    for element in sequence.try_iter()? {
        let element = element?;
        if element.is_none() {
            kept.push(element);
            continue;
        }
        let element = if element.is_instance_of::<PyBytes>() {
            match element.call_method1("decode", ("utf-8",)) {
                Ok(text) => text,
                Err(_) => {
                    warn(py, "Byte attribute could not be decoded for key `%s`.", (key,))?;
                    kept.push(py.None().into_bound(py));
                    continue;
                }
            }
        } else {
            element
        };
        let is_valid = element.is_instance_of::<PyString>()
            || element.is_instance_of::<PyInt>()
            || element.is_instance_of::<PyFloat>();
        let element_type = element.get_type().into_any();
        if !is_valid {
            warn(
                py,
                "Invalid type %s in attribute '%s' value sequence. Expected one of bool, str, \
                 bytes, int, float or None",
                (element.get_type().name()?, key),
            )?;
            return Ok(None);
        }
        match &first_type {
            Some(first) if !first.is(&element_type) => {
                warn(
                    py,
                    "Attribute '%s' mixes types %s and %s in attribute value sequence",
                    (key, first.getattr("__name__")?, element.get_type().name()?),
                )?;
                return Ok(None);
            }
            Some(_) => {}
            None => first_type = Some(element_type),
        }
        if element.is_instance_of::<PyString>() {
            kept.push(truncate(&element, limit)?);
        } else {
            kept.push(element);
        }
    }
    Ok(Some(Value::Object(PyTuple::new(py, kept)?.into_any().unbind())))
}

/// A warning as the official package gives it, so that filters on its logger work.
#[cold]
fn warn<'py, A>(py: Python<'py>, message: &str, arguments: A) -> PyResult<()>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    PyErr: From<A::Error>,
{
    log(py, "opentelemetry.attributes", message, arguments)
}

/// A warning through the app's logging.
#[cold]
pub(crate) fn log<'py, A>(
    py: Python<'py>,
    logger: &str,
    message: &str,
    arguments: A,
) -> PyResult<()>
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    PyErr: From<A::Error>,
{
    let arguments = arguments.into_pyobject(py)?;
    let mut all = vec![PyString::new(py, message).into_any()];
    all.extend(arguments.iter());
    py.import("logging")?
        .call_method1("getLogger", (logger,))?
        .call_method1("warning", PyTuple::new(py, all)?)?;
    Ok(())
}
