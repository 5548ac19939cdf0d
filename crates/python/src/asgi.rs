//! ASGI: requests to apps, from the scope to the end.
//!
//! What has to be a coroutine is in `carafe_engine/instrument/asgi.py`; all else is here. A
//! [`Library`] begins a [`Request`] for each scope that it is asked about, and the request stays
//! in the scope until it ends, so that an app inside another of the same scope finds it, and so
//! that routes can tell it that they match.

pub(crate) mod headers;
mod library;
mod message;
pub(crate) mod request;
mod route;
pub(crate) mod scope;

use library::Library;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use request::Request;

/// The key of the request in its scope.
const SCOPE_KEY: &str = "carafe.request";

/// The coroutine functions of `asgi.py`.
struct Coroutines {
    /// `receive(request, original)`
    receive: Py<PyAny>,
    /// `send_last(request, sending)`
    send_last: Py<PyAny>,
}

static COROUTINES: PyOnceLock<Coroutines> = PyOnceLock::new();

/// Takes the coroutine functions of `asgi.py`.
#[pyfunction]
fn asgi_coroutines(py: Python<'_>, receive: Py<PyAny>, send_last: Py<PyAny>) {
    // Set twice: the functions are the same.
    let _already_set = COROUTINES.set(py, Coroutines { receive, send_last });
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ASGI_SCOPE_KEY", SCOPE_KEY)?;
    module.add_class::<Library>()?;
    module.add_class::<Request>()?;
    module.add_class::<message::Send>()?;
    module.add_function(wrap_pyfunction!(asgi_coroutines, module)?)?;
    route::register(module)
}
