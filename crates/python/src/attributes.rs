//! Attributes of spans, events, links and log records: kept as they were given, encoded at the
//! end.

use crate::capi;
use crate::otlp::{DEPTH_LIMIT, Writer};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

/// A key: ours, or a `str` of the app's.
#[derive(Debug)]
pub(crate) struct Key {
    /// Tells most keys apart without a look at their texts.
    print: u32,
    name: Name,
}

#[derive(Debug)]
enum Name {
    Static(&'static str),
    Object(Py<PyAny>),
}

/// A value: computed here, or an object of the app's that cannot change any more (`str`, `bool`,
/// `int`, `float`, `bytes`, `None`, or a `tuple` or `dict` of our making of these).
#[derive(Debug)]
pub(crate) enum Value {
    Static(&'static str),
    Text(Box<str>),
    Int(i64),
    Object(Py<PyAny>),
}

/// Attributes in the order in which they were last set.
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
    fn ours(name: &'static str) -> Self {
        Self { print: print_of(name), name: Name::Static(name) }
    }

    /// A `str` and its text.
    #[inline]
    pub(crate) fn of_app(name: Bound<'_, PyAny>, text: &str) -> Self {
        Self { print: print_of(text), name: Name::Object(name.unbind()) }
    }

    #[inline]
    fn is(&self, py: Python<'_>, other: &Self) -> bool {
        if self.print != other.print {
            return false;
        }
        match (&self.name, &other.name) {
            (Name::Object(one), Name::Object(two)) if one.as_ptr() == two.as_ptr() => true,
            _ => self.text(py, |one| other.text(py, |two| one == two)),
        }
    }

    #[inline]
    pub(crate) fn text<R>(&self, py: Python<'_>, use_text: impl FnOnce(&str) -> R) -> R {
        match &self.name {
            Name::Static(text) => use_text(text),
            Name::Object(object) => use_text(capi::utf8(object.bind(py)).unwrap_or_default()),
        }
    }

    fn to_object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.name {
            Name::Static(text) => PyString::intern(py, text).into_any(),
            Name::Object(object) => object.bind(py).clone(),
        }
    }
}

/// A number that is the same for the same text: of its length and its end, where names differ.
#[inline]
fn print_of(text: &str) -> u32 {
    /// An odd number without a pattern (2^64 divided by the golden ratio).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = text.as_bytes();
    let end = match bytes.last_chunk::<8>() {
        Some(end) => u64::from_le_bytes(*end),
        None => bytes.iter().fold(0, |end, byte| end << 8 | u64::from(*byte)),
    };
    let mixed = (end ^ bytes.len() as u64).wrapping_mul(SPREAD);
    (mixed >> 32) as u32
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
            (Value::Object(object), Some(limit)) => match capi::utf8(object.bind(py)) {
                Some(text) if text.chars().count() > limit => {
                    Value::Text(text.chars().take(limit).collect())
                }
                _ => Value::Object(object),
            },
            (value, _) => value,
        };
        self.insert(py, Key::ours(key), value, bounds);
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
        let mut done = 0;
        if let Ok(dict) = mapping.cast_exact::<PyDict>() {
            done = self.extend_plainly(dict, bounds);
            if done == dict.len() {
                return Ok(());
            }
        }
        // A copy: cleaning runs Python code, which may change the mapping.
        let items = match mapping.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?,
            // What has `items` is as good.
            Err(_) => {
                let items = mapping.call_method0(intern!(mapping.py(), "items"))?;
                PyList::new(items.py(), items.try_iter()?.collect::<PyResult<Vec<_>>>()?)?
            }
        };
        for item in items.iter().skip(done) {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            match clean_key(&key)? {
                Some(key) => self.set(&key, &value, bounds)?,
                None => self.dropped += 1,
            }
        }
        Ok(())
    }

    /// Sets the items of a dictionary up to the first that needs cleaning; how many. Runs no
    /// Python code.
    #[inline]
    fn extend_plainly(&mut self, dict: &Bound<'_, PyDict>, bounds: Bounds) -> usize {
        self.entries.reserve(dict.len());
        let is_fresh = self.entries.is_empty();
        let mut done = 0;
        for (key, value) in dict.iter() {
            let is_plain = if value.is_exact_instance_of::<PyString>() {
                bounds.length.is_none()
            } else {
                value.is_exact_instance_of::<PyInt>()
                    || value.is_exact_instance_of::<PyBool>()
                    || value.is_exact_instance_of::<PyFloat>()
            };
            if !is_plain || !key.is_exact_instance_of::<PyString>() {
                break;
            }
            let key = match capi::utf8(&key) {
                Some(text) if !text.is_empty() => Key::of_app(key.clone(), text),
                _ => break,
            };
            let entry = (key, Value::Object(value.unbind()));
            // A dictionary has every key once.
            if is_fresh && !bounds.is_reached(self.entries.len()) {
                self.entries.push(entry);
            } else {
                self.insert(dict.py(), entry.0, entry.1, bounds);
            }
            done += 1;
        }
        done
    }

    #[inline]
    pub(crate) fn insert(&mut self, py: Python<'_>, key: Key, value: Value, bounds: Bounds) {
        if bounds.count == Some(0) {
            self.dropped += 1;
            return;
        }
        // What is set again becomes the newest.
        if let Some(place) = self.entries.iter().position(|(known, _)| known.is(py, &key)) {
            self.entries.remove(place);
            self.entries.push((key, value));
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

    /// The API's immutable collection of them, as events and links have it.
    pub(crate) fn to_bounded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = py.import(intern!(py, "opentelemetry.attributes"))?;
        let bounded = class
            .getattr(intern!(py, "BoundedAttributes"))?
            .call1((py.None(), self.to_dict(py)?))?;
        if self.dropped > 0 {
            bounded.setattr(intern!(py, "dropped"), self.dropped)?;
        }
        Ok(bounded)
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
    let key_kept = match capi::utf8(key) {
        Some(text) if !text.is_empty() => Key::of_app(key.clone(), text),
        // Lone surrogates: a text, but not one in UTF-8.
        None if key.is_instance_of::<PyString>() => Key::of_app(key.clone(), ""),
        _ => {
            warn(key.py(), "invalid key `%s`. must be non-empty string.", (key,))?;
            return Ok(None);
        }
    };
    let value = clean(value, bounds.length)?;
    Ok(Some((key_kept, Value::Object(value.unbind()))))
}

/// A mapping's key: what is no text is made one, where its class says how. `None` where there is
/// nothing to keep, which is warned of.
fn clean_key<'py>(key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if key.is_instance_of::<PyString>() && key.len()? > 0 {
        return Ok(Some(key.clone()));
    }
    warn(key.py(), "Invalid attribute key `%s`: it must be a non-empty string.", (key,))?;
    if key.is_truthy()? { as_text(key) } else { Ok(None) }
}

/// What is kept of a value: nothing that can change any more.
#[inline]
pub(crate) fn clean<'py>(
    value: &Bound<'py, PyAny>,
    limit: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    clean_at(value, limit, 0)
}

#[inline]
fn clean_at<'py>(
    value: &Bound<'py, PyAny>,
    limit: Option<usize>,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    if value.is_instance_of::<PyString>() {
        return truncate(value, limit);
    }
    if value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyBytes>()
        || value.is_none()
    {
        return Ok(value.clone());
    }
    clean_slowly(value, limit, depth)
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

/// Sequences become tuples and mappings new dictionaries, what else there is its text, all of
/// which the specification allows as values.
#[cold]
fn clean_slowly<'py>(
    value: &Bound<'py, PyAny>,
    limit: Option<usize>,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if depth >= DEPTH_LIMIT {
        return Ok(py.None().into_bound(py));
    }
    if let Ok(sequence) = value.cast::<PySequence>() {
        let mut kept = Vec::new();
        for element in sequence.try_iter()? {
            kept.push(clean_at(&element?, limit, depth + 1)?);
        }
        return Ok(PyTuple::new(py, kept)?.into_any());
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let kept = PyDict::new(py);
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            if let Some(key) = clean_key(&key)? {
                kept.set_item(key, clean_at(&value, limit, depth + 1)?)?;
            }
        }
        return Ok(kept.into_any());
    }
    warn(
        py,
        "Invalid type %s for attribute value: expected None, bool, str, bytes, int, float, or a \
         sequence or mapping of those types",
        (value.get_type().name()?,),
    )?;
    Ok(as_text(value)?.unwrap_or_else(|| py.None().into_bound(py)))
}

/// The text of an object whose class says what that is; `None` for others: they would give their
/// address in memory.
fn as_text<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let (class, base) = (object.get_type(), py.get_type::<PyAny>());
    for name in [intern!(py, "__str__"), intern!(py, "__repr__")] {
        if !class.getattr(name)?.is(&base.getattr(name)?) {
            return match object.str() {
                Ok(text) => Ok(Some(text.into_any())),
                // Its class does not say it after all.
                Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
                Err(error) => Err(error),
            };
        }
    }
    Ok(None)
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
