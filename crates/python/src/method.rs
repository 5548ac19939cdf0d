//! Native functions as methods of classes that are not ours.
//!
//! The interpreter calls a method descriptor with the instance and the arguments in place, without
//! a bound method, a tuple or a dictionary between: nothing is cheaper that Python code can call.
//! A descriptor carries no data, so each wrapped method has a function of its own, made from one
//! generic function and a place in a table.

use crate::engine;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Methods that can be wrapped in a process. Each class of cursors that the app brings takes up to
/// four; beyond the limit a class is left as it is, which the shims report.
const METHOD_LIMIT: usize = 64;

/// `METH_FASTCALL`, which PyO3 leaves out for the limited API of 3.9; its meaning has not changed
/// since 3.7.
const METH_FASTCALL: c_int = 0x80;

/// The type of functions with that flag and `METH_KEYWORDS`, left out likewise.
type FastFunction = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// What a wrapped method does: it calls [`Call::forward`] exactly once and gives its result.
pub(crate) trait Wrapper: Send + Sync {
    /// Handles a call.
    fn call<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>>;
}

struct Method {
    original: Py<PyAny>,
    wrapper: Box<dyn Wrapper>,
}

static METHODS: [OnceLock<Method>; METHOD_LIMIT] = [const { OnceLock::new() }; METHOD_LIMIT];

/// A call of a wrapped method.
pub(crate) struct Call<'a, 'py> {
    py: Python<'py>,
    instance: Bound<'py, PyAny>,
    original: &'a Py<PyAny>,
    positional: &'a [*mut ffi::PyObject],
    keyword_values: &'a [*mut ffi::PyObject],
    keyword_names: Option<Bound<'py, PyTuple>>,
    is_forwarded: Cell<bool>,
}

impl<'py> Call<'_, 'py> {
    #[inline]
    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// The instance whose method was called.
    #[inline]
    pub(crate) fn instance(&self) -> &Bound<'py, PyAny> {
        &self.instance
    }

    /// An argument by its place, the instance not counted.
    #[inline]
    pub(crate) fn positional(&self, place: usize) -> Option<Bound<'py, PyAny>> {
        let argument = *self.positional.get(place)?;
        // SAFETY: the caller holds a reference to each argument during the call.
        Some(unsafe { Bound::from_borrowed_ptr(self.py, argument) })
    }

    /// An argument by its name.
    pub(crate) fn keyword(&self, name: &str) -> Option<Bound<'py, PyAny>> {
        let names = self.keyword_names.as_ref()?;
        let place = names
            .iter()
            .position(|known| known.cast::<PyString>().is_ok_and(|known| known == name))?;
        let argument = *self.keyword_values.get(place)?;
        // SAFETY: as above.
        Some(unsafe { Bound::from_borrowed_ptr(self.py, argument) })
    }

    /// Calls the original method with the arguments as they came.
    #[inline]
    pub(crate) fn forward(&self) -> PyResult<Bound<'py, PyAny>> {
        self.is_forwarded.set(true);
        let arguments = self.arguments()?;
        self.original.bind(self.py).call(arguments, self.keywords()?.as_ref())
    }

    /// The keyword arguments as a new dictionary.
    fn keywords(&self) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(names) = &self.keyword_names else { return Ok(None) };
        let keywords = PyDict::new(self.py);
        for (name, value) in names.iter().zip(self.keyword_values) {
            // SAFETY: as above.
            keywords.set_item(name, unsafe { Bound::from_borrowed_ptr(self.py, *value) })?;
        }
        Ok(Some(keywords))
    }

    #[inline]
    fn arguments(&self) -> PyResult<Bound<'py, PyTuple>> {
        let count = self.positional.len() + 1;
        let size = ffi::Py_ssize_t::try_from(count).unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: a new tuple, each of whose places gets an owned reference before anyone else
        // sees it.
        unsafe {
            let tuple = Bound::from_owned_ptr_or_err(self.py, ffi::PyTuple_New(size))?;
            let objects =
                std::iter::once(self.instance.as_ptr()).chain(self.positional.iter().copied());
            for (place, object) in (0..size).zip(objects) {
                ffi::Py_INCREF(object);
                ffi::PyTuple_SetItem(tuple.as_ptr(), place, object);
            }
            Ok(tuple.cast_into_unchecked())
        }
    }
}

/// A method descriptor of `class` called `name` that hands its calls to `wrapper`, which stands
/// before `original`: a callable that takes the instance first. `None` where the limit is reached.
pub(crate) fn wrapping<'py>(
    class: &Bound<'py, PyType>,
    name: &str,
    original: &Bound<'py, PyAny>,
    wrapper: Box<dyn Wrapper>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut method = Method { original: original.clone().unbind(), wrapper };
    for (place, trampoline) in METHODS.iter().zip(TRAMPOLINES) {
        match place.set(method) {
            Ok(()) => return descriptor(class, name, *trampoline).map(Some),
            Err(back) => method = back,
        }
    }
    Ok(None)
}

fn descriptor<'py>(
    class: &Bound<'py, PyType>,
    name: &str,
    trampoline: FastFunction,
) -> PyResult<Bound<'py, PyAny>> {
    let name = CString::new(name).map_err(|_| PyTypeError::new_err("a name with a zero byte"))?;
    // Descriptors keep pointers to both, and live as long as the process may.
    let name: &'static CString = Box::leak(Box::new(name));
    // SAFETY: between pointers to functions; the flags below tell the interpreter the real type.
    let function =
        unsafe { std::mem::transmute::<FastFunction, ffi::PyCFunctionWithKeywords>(trampoline) };
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionWithKeywords: function },
        ml_flags: METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    }));
    // SAFETY: the definition is never freed, its flags are those of the function's type; the
    // result is a new reference or null with an exception set.
    unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(class.py(), descriptor)
    }
}

/// What the interpreter calls for the method at place `N`.
///
/// # Safety
/// As for every `METH_FASTCALL | METH_KEYWORDS` function: the lock is held, `arguments` has
/// `positional_count` positional arguments and those that `keyword_names` (a tuple, or null) names.
unsafe extern "C" fn trampoline<const N: usize>(
    instance: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional_count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        let positional_count = usize::try_from(positional_count).unwrap_or(0);
        // SAFETY: the interpreter passes live objects.
        let (instance, keyword_names) = unsafe {
            let names = Bound::from_borrowed_ptr_or_opt(py, keyword_names);
            (
                Bound::from_borrowed_ptr(py, instance),
                names.map(|names| names.cast_into_unchecked::<PyTuple>()),
            )
        };
        let keyword_count = keyword_names.as_ref().map_or(0, |names| names.len());
        let arguments: &[*mut ffi::PyObject] = if arguments.is_null() {
            &[]
        } else {
            // SAFETY: see above; the array lives during the call.
            unsafe { std::slice::from_raw_parts(arguments, positional_count + keyword_count) }
        };
        let (positional, keyword_values) =
            arguments.split_at(positional_count.min(arguments.len()));
        let Some(method) = METHODS.get(N).and_then(OnceLock::get) else {
            PyRuntimeError::new_err("a method that was never wrapped").restore(py);
            return std::ptr::null_mut();
        };
        let call = Call {
            py,
            instance,
            original: &method.original,
            positional,
            keyword_values,
            keyword_names,
            is_forwarded: Cell::new(false),
        };
        let result = catch_unwind(AssertUnwindSafe(|| method.wrapper.call(&call)));
        let result = result.unwrap_or_else(|_| {
            engine::fault(py, "method", None);
            if call.is_forwarded.get() {
                Err(PyRuntimeError::new_err("fault of carafe after the call"))
            } else {
                call.forward()
            }
        });
        match result {
            Ok(value) => value.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    })
}

macro_rules! trampolines {
    ($($place:literal)*) => {
        [$(trampoline::<$place> as FastFunction),*]
    };
}

#[rustfmt::skip]
static TRAMPOLINES: &[FastFunction; METHOD_LIMIT] = &trampolines![
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
];
