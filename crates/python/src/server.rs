//! HTTP requests that the app serves: spans and metrics as the official packages give them.
//!
//! [`view::RequestView`] is a request whatever the protocol between server and app,
//! [`exchange::Exchange`] makes a span and measurements of it. [`environ`] reads WSGI;
//! [`wsgi`] and [`django`] are what the shims call.

pub(crate) mod convention;
pub(crate) mod django;
pub(crate) mod environ;
pub(crate) mod exchange;
pub(crate) mod headers;
pub(crate) mod library;
pub(crate) mod patterns;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod series;
pub(crate) mod url;
pub(crate) mod view;
pub(crate) mod wsgi;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    request::register(module)?;
    response::register(module)?;
    wsgi::register(module)?;
    django::register(module)
}
