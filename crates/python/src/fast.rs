//! Methods that take their arguments as an array.
//!
//! For CPython 3.9's limited API, PyO3 has the interpreter make a tuple of the arguments of every
//! call. Every CPython from 3.7 on can pass them as an array instead (`METH_FASTCALL`), in the way
//! that the limited API names from 3.10 on. That is worth it where a call does little else.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What CPython calls: the object, the arguments, how many are positional, names of the others.
pub(crate) type Function = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

const METH_KEYWORDS: c_int = 0x02;
const METH_FASTCALL: c_int = 0x80;

/// Puts `function` in the place of a method of a class of ours; what was there.
pub(crate) fn replace(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    function: Function,
) -> PyResult<Py<PyAny>> {
    let py = class.py();
    let python_name = name.to_string_lossy();
    let given = class.getattr(&*python_name)?;
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            // SAFETY: the field is read as what the flags say, a function of this type.
            PyCFunction: unsafe {
                std::mem::transmute::<*mut c_void, ffi::PyCFunction>(function as *mut c_void)
            },
        },
        ml_flags: METH_FASTCALL | METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    }));
    // SAFETY: the class is a type, and the definition lives as long as the process. The result is
    // a new reference or null with an exception set.
    let descriptor = unsafe {
        Bound::from_owned_ptr_or_err(
            py,
            ffi::PyDescr_NewMethod(class.as_ptr().cast::<ffi::PyTypeObject>(), definition),
        )?
    };
    class.setattr(&*python_name, descriptor)?;
    Ok(given.unbind())
}

/// The two positional arguments of a call; `None` where it is another kind of call.
///
/// # Safety
/// The arguments are those of a [`Function`] that is being called.
#[inline]
pub(crate) unsafe fn two<'py>(
    py: Python<'py>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> Option<(Borrowed<'py, 'py, PyAny>, Borrowed<'py, 'py, PyAny>)> {
    if count != 2 || !names.is_null() {
        return None;
    }
    // SAFETY: there are two, and the caller keeps them for the time of the call.
    unsafe { Some((Borrowed::from_ptr(py, *arguments), Borrowed::from_ptr(py, *arguments.add(1)))) }
}

/// Calls the method that was replaced.
///
/// # Safety
/// As for [`two`], and `slf` is the object.
#[cold]
pub(crate) unsafe fn call_replaced(
    py: Python<'_>,
    replaced: &Py<PyAny>,
    slf: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<Py<PyAny>> {
    let count = usize::try_from(count).unwrap_or_default();
    // SAFETY: the array holds the positional arguments and, after them, one for each name.
    let argument = |index: usize| unsafe { Bound::from_borrowed_ptr(py, *arguments.add(index)) };
    // SAFETY: an object that lives for the time of the call.
    let mut positional = vec![unsafe { Bound::from_borrowed_ptr(py, slf) }];
    positional.extend((0..count).map(argument));
    let named = PyDict::new(py);
    if !names.is_null() {
        // SAFETY: a tuple of names that lives for the time of the call.
        let names = unsafe { Bound::from_borrowed_ptr(py, names) };
        for (index, name) in names.try_iter()?.enumerate() {
            named.set_item(name?, argument(count + index))?;
        }
    }
    Ok(replaced.bind(py).call(PyTuple::new(py, positional)?, Some(&named))?.unbind())
}

/// Runs the body of a [`Function`]: its object, or null with its exception set. A panic becomes an
/// exception.
#[inline]
pub(crate) fn run(
    body: impl for<'py> FnOnce(Python<'py>) -> PyResult<Option<Py<PyAny>>>,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls methods with the interpreter's lock held.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(Some(object))) => object.into_ptr(),
        Ok(Ok(None)) => py.None().into_ptr(),
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => {
            pyo3::exceptions::PyRuntimeError::new_err("a fault of carafe's engine").restore(py);
            std::ptr::null_mut()
        }
    }
}
