//! Functions of the interpreter that every CPython from 3.7.1 on exports, but that are not in the
//! limited API of 3.9 and so not declared by PyO3.

use pyo3::ffi::{Py_ssize_t, PyObject};
use pyo3::prelude::*;
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn PyContextVar_New(name: *const c_char, default: *mut PyObject) -> *mut PyObject;
    fn PyContextVar_Get(
        var: *mut PyObject,
        default: *mut PyObject,
        value: *mut *mut PyObject,
    ) -> c_int;
    fn PyContextVar_Set(var: *mut PyObject, value: *mut PyObject) -> *mut PyObject;
    fn PyContextVar_Reset(var: *mut PyObject, token: *mut PyObject) -> c_int;
    fn PyUnicode_AsUTF8AndSize(unicode: *mut PyObject, size: *mut Py_ssize_t) -> *const c_char;
}

/// A `contextvars.ContextVar`.
pub(crate) struct ContextVar(Py<PyAny>);

impl ContextVar {
    /// A new variable without a default.
    pub(crate) fn new(py: Python<'_>, name: &std::ffi::CStr) -> PyResult<Self> {
        // SAFETY: the name is a C string; a null default means none; the result is a new
        // reference or null with an exception set.
        let var = unsafe {
            Bound::from_owned_ptr_or_err(py, PyContextVar_New(name.as_ptr(), std::ptr::null_mut()))?
        };
        Ok(Self(var.unbind()))
    }

    /// Its value in the current context.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let mut value = std::ptr::null_mut();
        // SAFETY: the object is a ContextVar, and the place for the value outlives the call,
        // which leaves a new reference or null there.
        let result = unsafe { PyContextVar_Get(self.0.as_ptr(), std::ptr::null_mut(), &mut value) };
        if result != 0 {
            drop(PyErr::take(py));
            return None;
        }
        // SAFETY: as above.
        unsafe { Bound::from_owned_ptr_or_opt(py, value) }
    }

    /// Sets it; the token undoes that.
    #[inline]
    pub(crate) fn set<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the object is a ContextVar; the result is a new reference or null with an
        // exception set.
        unsafe {
            Bound::from_owned_ptr_or_err(py, PyContextVar_Set(self.0.as_ptr(), value.as_ptr()))
        }
    }

    /// Restores what was there before `token` was made.
    ///
    /// # Errors
    /// `ValueError` where the token is of another context or variable, `RuntimeError` where it was
    /// used before, `TypeError` where it is none.
    #[inline]
    pub(crate) fn reset(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<()> {
        let type_name = token.get_type();
        if type_name.as_ptr() != token_type(py)?.as_ptr() {
            return Err(pyo3::exceptions::PyTypeError::new_err("not a token of attach"));
        }
        // SAFETY: the objects are a ContextVar and a Token.
        match unsafe { PyContextVar_Reset(self.0.as_ptr(), token.as_ptr()) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    }
}

fn token_type(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static TYPE: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    TYPE.get_or_try_init(py, || Ok(py.import("_contextvars")?.getattr("Token")?.unbind()))
        .map(|token| token.bind(py))
}

/// The UTF-8 of a `str`, which the object keeps; `None` where it is no `str` or holds lone
/// surrogates.
#[inline]
pub(crate) fn utf8<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    let mut size = 0;
    // SAFETY: the call checks the type itself; the place for the size outlives it.
    let data = unsafe { PyUnicode_AsUTF8AndSize(object.as_ptr(), &mut size) };
    if data.is_null() {
        drop(PyErr::take(object.py()));
        return None;
    }
    // SAFETY: the interpreter gave `size` bytes of UTF-8 that live as long as the object, which
    // the reference keeps alive and which cannot change.
    Some(unsafe {
        std::str::from_utf8_unchecked(std::slice::from_raw_parts(
            data.cast(),
            usize::try_from(size).unwrap_or(0),
        ))
    })
}
