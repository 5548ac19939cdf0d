//! The messages of a request: `receive` and `send` as the app gets them.

use super::COROUTINES;
use super::headers::Headers;
use super::request::Request;
use crate::capi;
use crate::context;
use crate::engine;
use crate::server::convention::Status;
use crate::server::headers::Capture;
use crate::server::response::propagator;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Whether a message has that `type`.
pub(super) fn is_of_type(message: &Bound<'_, PyDict>, wanted: &str) -> PyResult<bool> {
    let what = message.get_item(intern!(message.py(), "type"))?;
    Ok(what.as_ref().and_then(capi::utf8) == Some(wanted))
}

/// The app's `receive`.
#[pyclass(frozen, module = "carafe_engine._native", name = "AsgiReceive")]
pub(super) struct Receive {
    request: Py<Request>,
    original: Py<PyAny>,
}

impl Receive {
    pub(super) fn new(request: &Bound<'_, Request>, original: Py<PyAny>) -> Self {
        Self { request: request.clone().unbind(), original }
    }
}

#[pymethods]
impl Receive {
    fn __call__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match COROUTINES.get(py) {
            Some(coroutines) => coroutines.receive.bind(py).call1((&self.request, &self.original)),
            None => self.original.bind(py).call0(),
        }
    }
}

/// The app's `send`.
#[pyclass(frozen, module = "carafe_engine._native", name = "AsgiSend")]
pub(super) struct Send {
    request: Py<Request>,
    original: Py<PyAny>,
}

impl Send {
    pub(super) fn new(request: &Bound<'_, Request>, original: Py<PyAny>) -> Self {
        Self { request: request.clone().unbind(), original }
    }
}

#[pymethods]
impl Send {
    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        let request = self.request.get();
        let is_last = engine::guard(py, "asgi send", || request.sending(message));
        let sending = self.original.bind(py).call1((message,))?;
        match COROUTINES.get(py) {
            Some(coroutines) if is_last == Some(true) => {
                coroutines.send_last.bind(py).call1((&self.request, sending))
            }
            _ => Ok(sending),
        }
    }
}

impl Request {
    /// A message is about to be sent; whether it completes the response.
    fn sending(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = message.py();
        let Ok(message) = message.cast::<PyDict>() else { return Ok(false) };
        let what = message.get_item(intern!(py, "type"))?;
        let Some(what) = what.as_ref().and_then(capi::utf8) else { return Ok(false) };
        let mut code = None;
        match what {
            "http.response.start" => {
                code = message.get_item(intern!(py, "status"))?.as_ref().map(status_of);
                self.begin_response(message)?;
                if matches!(code, Some(Status::Code(404 | 405))) {
                    self.forget_path(py);
                }
            }
            "websocket.send" => code = Some(Status::Code(200)),
            _ => {}
        }
        if self.span.get().is_recording() {
            // Official packages give it no duration.
            let now = engine::unix_ns();
            self.tell_message(py, "send", now, Some(message), code.as_ref(), None)?;
        }
        if let Some(code) = code {
            self.set_status(py, code)?;
        }
        let more = |key: &Bound<'_, PyString>| -> PyResult<bool> {
            message.get_item(key)?.map_or(Ok(false), |more| more.is_truthy())
        };
        let has_trailers = self.state.open(py).is_some_and(|state| state.has_trailers);
        match what {
            "http.response.body" if !has_trailers => Ok(!more(intern!(py, "more_body"))?),
            "http.response.trailers" if has_trailers => Ok(!more(intern!(py, "more_trailers"))?),
            // An extension: the server sends the file.
            "http.response.pathsend" => Ok(true),
            _ => Ok(false),
        }
    }

    fn begin_response(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = message.py();
        super::route::find_late(self, py)?;
        let has_trailers = match message.get_item(intern!(py, "trailers"))? {
            Some(trailers) => trailers.is_truthy()?,
            None => false,
        };
        let headers = Headers::of(message);
        if let Some(mut state) = self.state.open(py) {
            state.has_trailers = has_trailers;
            state.response_size = headers.content_length();
        }
        let capture = Capture::of_server_responses(py);
        if self.is_server && !capture.is_empty() {
            headers.capture(self.span.bind(py), capture)?;
        }
        if let Some(propagator) = propagator(py)? {
            let context = context::materialise(py, Some(self.span.bind(py).as_any()))?;
            let setter = py.import("carafe_engine.instrument.asgi")?.getattr("RESPONSE_SETTER")?;
            propagator.call_method1(intern!(py, "inject"), (message, context, setter))?;
        }
        Ok(())
    }
}

/// The status of a response as the app gives it.
fn status_of(status: &Bound<'_, PyAny>) -> Status {
    match status.extract::<u16>() {
        Ok(code) => Status::Code(code),
        Err(_) => {
            let text = status.str().map(|text| text.to_string()).unwrap_or_default();
            text.parse().map_or_else(|_| Status::Unreadable(text.as_str().into()), Status::Code)
        }
    }
}
