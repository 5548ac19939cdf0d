//! Attribute sets, and the numbers by which the ring knows them.

use crate::attributes::{Attributes, Bounds, log};
use crate::engine;
use crate::gil::GilCell;
use crate::otlp::Writer;
use carafe_wire::record::{Definition, Record};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyMapping, PyString};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Sets of the app's that are kept. Where there are more, all are forgotten and learnt again: that
/// costs a definition each, and loses nothing. The launcher bounds the sets of an instrument.
const SET_LIMIT: usize = 8_192;

/// Contents of dictionaries that are known at sight: those of equal sets in another order, too.
const SIGHT_LIMIT: usize = 2 * SET_LIMIT;

/// A set of attributes that the ring knows by a number.
#[derive(Debug)]
pub(crate) struct AttributeSet {
    id: u32,
    otlp: Vec<u8>,
    /// For readers in the process; sets of the app's own dictionaries have none.
    attributes: Option<Py<PyDict>>,
    /// One more than the generation whose ring knows the set; 0 for none.
    defined: AtomicU32,
}

impl AttributeSet {
    /// The set of these attributes: to be kept by its user, who measures with it again and again.
    pub(crate) fn new(py: Python<'_>, attributes: &Attributes) -> Self {
        let mut set = Self::of(encode(py, attributes));
        set.attributes = attributes.to_dict(py).ok().map(Bound::unbind);
        set
    }

    fn of(otlp: Vec<u8>) -> Self {
        Self { id: numbers::take(), otlp, attributes: None, defined: AtomicU32::new(0) }
    }

    /// The attributes as Python objects, where they are kept.
    pub(super) fn attributes(&self) -> Option<&Py<PyDict>> {
        self.attributes.as_ref()
    }

    /// The number that this process' ring knows it by; `None` where it could not be told.
    #[inline]
    pub(super) fn defined(&self, py: Python<'_>) -> Option<u32> {
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

impl Drop for AttributeSet {
    fn drop(&mut self) {
        numbers::give_back(self.id);
    }
}

/// Numbers of sets. They are used again, for the launcher keeps what the highest one needs.
mod numbers {
    use super::{AtomicU32, Mutex, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(1);

    /// Only touched with the interpreter's lock held, so never locked while a process forks.
    static FREE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

    pub(super) fn take() -> u32 {
        let free = FREE.try_lock().ok().and_then(|mut free| free.pop());
        free.unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn give_back(number: u32) {
        if let Ok(mut free) = FREE.try_lock() {
            free.push(number);
        }
    }
}

/// The sets that the app's own dictionaries have named.
#[derive(Default)]
struct Known {
    /// By the content of a dictionary in its order.
    at_sight: HashMap<u64, Seen, BuildHasherDefault<Given>>,
    /// By the encoded attributes, sorted by key.
    by_content: HashMap<Box<[u8]>, Arc<AttributeSet>>,
}

struct Seen {
    items: Vec<(Py<PyAny>, Py<PyAny>)>,
    set: Arc<AttributeSet>,
}

/// Keys that are hashes already.
#[derive(Default)]
struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash << 8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

static KNOWN: GilCell<Option<Known>> = GilCell::new(None);

/// The set of the attributes that the app gave; `None` for the empty one. What is no mapping is
/// warned of and counts as empty.
///
/// # Errors
/// Those of the app's mapping.
#[inline]
pub(super) fn named(attributes: &Bound<'_, PyAny>) -> PyResult<Option<Arc<AttributeSet>>> {
    let Ok(dict) = attributes.cast_exact::<PyDict>() else {
        return named_by_other(attributes);
    };
    if dict.is_empty() {
        return Ok(None);
    }
    let sight = sight(dict);
    if let Some(hash) = sight
        && let Some(known) = KNOWN.open(dict.py())
        && let Some(seen) = known.as_ref().and_then(|known| known.at_sight.get(&hash))
        && seen.is(dict)
    {
        return Ok(Some(Arc::clone(&seen.set)));
    }
    learn(dict, sight).map(Some)
}

#[cold]
fn named_by_other(attributes: &Bound<'_, PyAny>) -> PyResult<Option<Arc<AttributeSet>>> {
    let py = attributes.py();
    if attributes.is_none() {
        return Ok(None);
    }
    let Ok(mapping) = attributes.cast::<PyMapping>() else {
        log(
            py,
            "opentelemetry.sdk.metrics._internal.measurement",
            "Invalid type %s of attributes: a mapping is wanted; they are left out",
            (attributes.get_type(),),
        )?;
        return Ok(None);
    };
    let dict = PyDict::new(py);
    dict.update(mapping)?;
    named(dict.as_any())
}

/// A hash of a dictionary whose keys are `str` and whose values are `str`, `int`, `float` or
/// `bool`, and not of classes derived from them: of these it takes no Python code to know whether
/// they are the same. It tells 1, 1.0 and True apart.
#[inline]
fn sight(dict: &Bound<'_, PyDict>) -> Option<u64> {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = dict.len() as u64;
    for (key, value) in dict.iter() {
        if !key.is_exact_instance_of::<PyString>() || !is_plain(&value) {
            return None;
        }
        let kind = value.get_type_ptr() as u64;
        for part in [key.hash().ok()?.cast_unsigned() as u64, kind] {
            hash = (hash.rotate_left(23) ^ part).wrapping_mul(FACTOR);
        }
        hash = (hash ^ value.hash().ok()?.cast_unsigned() as u64).wrapping_mul(FACTOR);
    }
    Some(hash ^ (hash >> 29))
}

#[inline]
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
}

impl Seen {
    /// Whether the dictionary has this content; it has been through [`sight`].
    #[inline]
    fn is(&self, dict: &Bound<'_, PyDict>) -> bool {
        let py = dict.py();
        self.items.len() == dict.len()
            && self.items.iter().zip(dict.iter()).all(|((key, value), (other_key, other_value))| {
                is_same(key.bind(py), &other_key) && is_same(value.bind(py), &other_value)
            })
    }
}

#[inline]
fn is_same(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    one.is(other) || one.get_type_ptr() == other.get_type_ptr() && one.eq(other).unwrap_or(false)
}

#[cold]
fn learn(dict: &Bound<'_, PyDict>, sight: Option<u64>) -> PyResult<Arc<AttributeSet>> {
    let py = dict.py();
    let mut own = Attributes::with_capacity(dict.len());
    own.extend(sorted(dict)?.as_any(), Bounds { count: None, length: None })?;
    let content = encode(py, &own);
    let items = sight.map(|hash| {
        (hash, dict.iter().map(|(key, value)| (key.unbind(), value.unbind())).collect())
    });
    let Some(mut known) = KNOWN.open(py) else { return Ok(Arc::new(AttributeSet::of(content))) };
    let known = known.get_or_insert_default();
    if known.by_content.len() >= SET_LIMIT || known.at_sight.len() >= SIGHT_LIMIT {
        *known = Known::default();
    }
    let set = match known.by_content.get(&*content) {
        Some(set) => Arc::clone(set),
        None => {
            let set = Arc::new(AttributeSet::of(content.clone()));
            known.by_content.insert(content.into(), Arc::clone(&set));
            set
        }
    };
    if let Some((hash, items)) = items {
        known.at_sight.insert(hash, Seen { items, set: Arc::clone(&set) });
    }
    Ok(set)
}

/// The dictionary with its keys in order, where they can be ordered.
fn sorted<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let keys = dict.keys();
    if keys.sort().is_err() {
        return Ok(dict.clone());
    }
    let sorted = PyDict::new(dict.py());
    for key in keys.iter() {
        sorted.set_item(&key, dict.get_item(&key)?)?;
    }
    Ok(sorted)
}

fn encode(py: Python<'_>, attributes: &Attributes) -> Vec<u8> {
    let mut otlp = Vec::new();
    attributes.encode(py, &mut Writer::new(&mut otlp), 1);
    otlp
}
