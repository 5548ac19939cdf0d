//! A request under way.

use super::SCOPE_KEY;
use super::library::Library;
use super::message::{Receive, Send, is_of_type};
use super::scope::{Kind, Scope};
use crate::attributes::{Attributes, Value};
use crate::capi;
use crate::context;
use crate::engine;
use crate::gil::GilCell;
use crate::leaf::Leaf;
use crate::server::convention::Status;
use crate::server::series::Series;
use crate::span::{Span, status};
use crate::tracer::{Beginning, kind};
use carafe_wire::record::{Number, SpanReference};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// The attribute of the spans of messages.
const EVENT_TYPE: &str = "asgi.event.type";

/// A request from its scope to the app's return.
#[pyclass(frozen, module = "carafe_engine._native")]
pub(crate) struct Request {
    pub(super) library: Py<Library>,
    pub(super) kind: Kind,
    pub(super) span: Py<Span>,
    /// Whether the span is a server's: not for requests that the process sends to itself.
    pub(super) is_server: bool,
    began: Instant,
    /// `None` for WebSockets, which official metrics leave out.
    series: Option<Arc<Series>>,
    request_size: Option<i64>,
    /// The method as names of spans have it.
    method: Cow<'static, str>,
    pub(super) state: GilCell<State>,
}

/// What changes until the end.
pub(super) struct State {
    /// The span's name, as we gave it.
    pub(super) name: String,
    /// The paths of the mounts that lead to the app that handles the request.
    pub(super) mounts: String,
    /// What the server has cut off before the first app.
    pub(super) root_path: Option<String>,
    /// `http.route`.
    pub(super) route: Option<String>,
    /// The route with the server's root path, as the old metrics have it.
    pub(super) target: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) has_trailers: bool,
    pub(super) response_size: Option<i64>,
    /// The last exception that was recorded.
    exception: Option<Py<PyAny>>,
    /// When the response was complete, where the span waits for the exception behind it.
    responded_ns: Option<u64>,
    is_ended: bool,
    /// `None` once the app has returned.
    call: Option<Call>,
}

/// What is needed until the app returns.
pub(super) struct Call {
    pub(super) token: Py<PyAny>,
    pub(super) scope: Py<PyDict>,
    pub(super) receive: Py<PyAny>,
    pub(super) send: Py<PyAny>,
}

impl Request {
    /// The request of a scope whose span has started and is current.
    pub(super) fn new<'py>(
        library: &Bound<'py, Library>,
        scope: &Scope<'_, 'py>,
        span: Bound<'py, Span>,
        is_server: bool,
        series: Option<Arc<Series>>,
        name: String,
        call: Call,
    ) -> Self {
        Self {
            library: library.clone().unbind(),
            kind: scope.kind,
            span: span.unbind(),
            is_server,
            began: Instant::now(),
            series,
            request_size: scope.headers.content_length(),
            method: library.get().method_in_name(scope),
            state: GilCell::new(State {
                name,
                mounts: String::new(),
                root_path: None,
                route: None,
                target: None,
                status: None,
                has_trailers: false,
                response_size: None,
                exception: None,
                responded_ns: None,
                is_ended: false,
                call: Some(call),
            }),
        }
    }

    /// The scope, until the app returns.
    pub(super) fn scope<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        Some(self.state.open(py)?.call.as_ref()?.scope.bind(py).clone())
    }

    /// The request of a scope.
    pub(crate) fn of_scope<'py>(scope: &Bound<'py, PyAny>) -> Option<Bound<'py, Self>> {
        let scope = scope.cast::<PyDict>().ok()?;
        scope.get_item(intern!(scope.py(), SCOPE_KEY)).ok()??.cast_into().ok()
    }

    /// Says which route has matched: `route` as `http.route` shall have it, `target` as the old
    /// metrics shall.
    pub(crate) fn set_route(&self, py: Python<'_>, route: String, target: Option<String>) {
        let name = match &*self.method {
            "" => route.clone(),
            method => format!("{method} {route}"),
        };
        self.rename(py, &name);
        self.span.get().put(py, "http.route", Value::Text(route.as_str().into()));
        if let Some(mut state) = self.state.open(py) {
            state.name = name;
            state.route = Some(route);
            state.target = target;
        }
    }

    /// The path was not found: a name with it would let a scanner make ever new ones.
    pub(super) fn forget_path(&self, py: Python<'_>) {
        if let Some(mut state) = self.state.open(py)
            && state.route.is_none()
            && self.library.get().style.names_paths()
        {
            state.name = self.method.to_string();
            self.rename(py, &self.method);
        }
    }

    fn rename(&self, py: Python<'_>, name: &str) {
        let name = PyString::new(py, name).into_any().unbind();
        if let Some(mut data) = self.span.get().data.open(py).filter(|data| data.end_ns == 0) {
            data.name = name;
        }
    }

    /// Tells of one message that was received or sent (`verb`) from `start_ns` on.
    pub(super) fn tell_message(
        &self,
        py: Python<'_>,
        verb: &str,
        start_ns: u64,
        message: Option<&Bound<'_, PyDict>>,
        code: Option<&Status>,
        error: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let what = match message {
            Some(message) => message.get_item(intern!(py, "type"))?,
            None => None,
        };
        let what = what.as_ref().and_then(capi::utf8);
        let library = self.library.get();
        let name = match self.state.open(py) {
            Some(state) => format!("{} {} {verb}", state.name, self.kind.as_str()),
            None => return Ok(()),
        };
        let is_error = code.is_some_and(Status::is_error);
        if error.is_none() && !matches!(code, Some(Status::Unreadable(_))) {
            let leaf = Leaf {
                name: &name,
                kind: kind::INTERNAL,
                start_ns,
                end_ns: engine::unix_ns(),
                status: if is_error { status::ERROR } else { status::UNSET },
            };
            let is_told = leaf.write(py, &library.own.tracer, |writer| {
                if let Some(what) = what {
                    writer.string_attribute(9, EVENT_TYPE, what);
                }
                if let Some(code) = code {
                    self.put_status_attributes(code, |key, value| match value {
                        Value::Int(value) => writer.int_attribute(9, key, value),
                        Value::Text(text) => writer.string_attribute(9, key, &text),
                        _ => {}
                    });
                }
            })?;
            if is_told {
                return Ok(());
            }
        }
        let bounds = library.limits(py);
        let mut attributes = Attributes::with_capacity(3);
        if let Some(what) = what {
            attributes.put(py, EVENT_TYPE, Value::Text(what.into()), bounds);
        }
        if let Some(code) = code {
            self.put_status_attributes(code, |key, value| attributes.put(py, key, value, bounds));
        }
        let name = PyString::new(py, &name).into_any();
        let beginning = Beginning::here(name, kind::INTERNAL, attributes)?;
        let beginning = Beginning { start_ns: Some(start_ns), ..beginning };
        let span = library.own.tracer.start(py, beginning)?;
        if let Some(code) = code.filter(|_| is_error) {
            span.get().put_status(py, status::ERROR, self.description(py, code))?;
        }
        if let Some(error) = error {
            Span::note_exception(&span, error)?;
        }
        Span::end(&span, None)
    }

    /// The attributes that a status code gives a span.
    pub(super) fn put_status_attributes(
        &self,
        code: &Status,
        mut put: impl FnMut(&'static str, Value),
    ) {
        let mode = self.library.get().mode;
        match code {
            Status::Code(code) => {
                if mode.is_old() {
                    put("http.status_code", Value::Int((*code).into()));
                }
                if mode.is_new() {
                    put("http.response.status_code", Value::Int((*code).into()));
                }
            }
            Status::Unreadable(_) => {}
        }
        if mode.is_new() && code.is_error() {
            put("error.type", Value::Text(code.text().into()));
        }
    }

    /// What a span with that code has to say.
    pub(super) fn description(&self, py: Python<'_>, code: &Status) -> Option<Py<PyAny>> {
        match code {
            Status::Code(_) => None,
            Status::Unreadable(text) => {
                let text = format!("Non-integer HTTP status: {text}");
                Some(PyString::new(py, &text).into_any().unbind())
            }
        }
    }

    /// The response has a status.
    pub(super) fn set_status(&self, py: Python<'_>, code: Status) -> PyResult<()> {
        let span = self.span.get();
        self.put_status_attributes(&code, |key, value| span.put(py, key, value));
        let exception = match self.state.open(py) {
            Some(mut state) if !state.is_ended => {
                state.status = Some(code.clone());
                state.exception.as_ref().map(|exception| exception.clone_ref(py))
            }
            _ => return Ok(()),
        };
        if !code.is_error() {
            return Ok(());
        }
        let description = match exception {
            Some(exception) if self.library.get().style.describes_errors() => {
                described(exception.bind(py))
            }
            _ => self.description(py, &code),
        };
        span.put_status(py, status::ERROR, description)
    }

    /// An exception that the app has not handled, or that its framework has turned into an error.
    pub(super) fn note_exception(
        &self,
        py: Python<'_>,
        exception: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let status_code = match self.state.open(py) {
            Some(mut state) => {
                let is_known =
                    state.exception.as_ref().is_some_and(|known| known.bind(py).is(exception));
                if is_known || state.is_ended {
                    return Ok(());
                }
                state.exception = Some(exception.clone().unbind());
                state.status.clone()
            }
            None => return Ok(()),
        };
        let span = self.span.bind(py);
        Span::note_exception(span, exception)?;
        match status_code.filter(Status::is_error) {
            // The official package lets the status of the response stand alone.
            Some(code) if !self.library.get().style.describes_errors() => {
                span.get().put_status(py, status::ERROR, self.description(py, &code))
            }
            _ => Ok(()),
        }
    }

    fn end_span(&self, py: Python<'_>, end_ns: Option<u64>) -> PyResult<()> {
        match self.state.open(py) {
            Some(mut state) if !state.is_ended => state.is_ended = true,
            _ => return Ok(()),
        }
        let end_ns = end_ns.unwrap_or_else(engine::unix_ns).into_pyobject(py)?;
        Span::end(self.span.bind(py), Some(end_ns.as_any()))
    }

    fn measure(&self, py: Python<'_>) {
        let Some(series) = &self.series else { return };
        let library = self.library.get();
        let Some((durations, response_size)) = self.state.open(py).map(|state| {
            let error = state.status.as_ref().filter(|code| code.is_error()).map(Status::text);
            let durations = series.durations(
                py,
                state.status.as_ref(),
                error.as_deref(),
                state.route.as_deref(),
                state.target.as_deref(),
            );
            (durations, state.response_size)
        }) else {
            return;
        };
        let start = &self.span.get().start;
        let span = Some(SpanReference {
            trace_id: start.trace_id,
            span_id: start.span_id,
            is_sampled: self.span.get().as_parent().is_sampled(),
        });
        let duration = self.began.elapsed();
        if let Some(instrument) = &library.own.duration_old {
            let milliseconds = (duration.as_secs_f64() * 1e3).round_ties_even() as i64;
            instrument.measure_in(py, Number::Int(milliseconds), durations.old.as_ref(), span);
        }
        if let Some(instrument) = &library.own.duration_new {
            let seconds = Number::Double(duration.as_secs_f64());
            instrument.measure_in(py, seconds, durations.new.as_ref(), span);
        }
        library.own.active.measure_in(py, Number::Int(-1), Some(&series.active), None);
        for (size, instruments) in
            [(response_size, &library.response_size), (self.request_size, &library.request_size)]
        {
            let Some(size) = size.map(Number::Int) else { continue };
            for (instrument, set) in
                [(&instruments.old, &durations.old), (&instruments.new, &durations.new)]
            {
                if let Some(instrument) = instrument {
                    instrument.measure_in(py, size, set.as_ref(), span);
                }
            }
        }
    }
}

/// An exception in the description of a status.
fn described(exception: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    let class = exception.get_type().name().ok()?;
    let text = format!("{class}: {}", exception.str().ok()?);
    Some(PyString::new(exception.py(), &text).into_any().unbind())
}

#[pymethods]
impl Request {
    /// Copies and pickles of a scope hold `None` in its place: nobody reports these again.
    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, Bound<'py, PyTuple>) {
        (py.None().bind(py).get_type().into_any(), PyTuple::empty(py))
    }

    /// The `receive` for the app.
    #[getter]
    fn receive<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let original = slf
            .get()
            .state
            .open(py)
            .and_then(|state| state.call.as_ref().map(|call| call.receive.bind(py).clone()));
        let original = original.unwrap_or_else(|| py.None().into_bound(py));
        if slf.get().span.get().is_recording() {
            Ok(Bound::new(py, Receive::new(slf, original.unbind()))?.into_any())
        } else {
            Ok(original)
        }
    }

    /// The `send` for the app.
    #[getter]
    fn send<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Send>> {
        let py = slf.py();
        let original = slf
            .get()
            .state
            .open(py)
            .and_then(|state| state.call.as_ref().map(|call| call.send.clone_ref(py)));
        Bound::new(py, Send::new(slf, original.unwrap_or_else(|| py.None())))
    }

    /// The app got a message that it waited for from `start_ns` on, or an exception.
    fn received(&self, start_ns: u64, message: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) {
        let py = message.py();
        engine::guard(py, "asgi receive", || self.try_received(start_ns, message, error));
    }

    /// The last message of the response is with the server.
    fn responded(&self, py: Python<'_>) {
        engine::guard(py, "asgi response", || {
            let now = engine::unix_ns();
            // Frameworks answer an exception with a status of 5xx and raise it again: the span
            // waits for that.
            let may_fail = self.state.open(py).is_some_and(|mut state| {
                state.responded_ns = Some(now);
                state.status.as_ref().is_some_and(Status::is_error)
            });
            if may_fail { Ok(()) } else { self.end_span(py, Some(now)) }
        });
    }

    /// The app has returned, or raised `error`.
    fn finish(&self, error: &Bound<'_, PyAny>) {
        let py = error.py();
        engine::guard(py, "asgi end", || {
            let mut end_ns = self.state.open(py).and_then(|state| state.responded_ns);
            if error.is_instance_of::<PyException>() {
                self.note_exception(py, error)?;
                end_ns = None;
            }
            self.measure(py);
            self.end_span(py, end_ns)
        });
        let taken = self.state.open(py).map(|mut state| {
            // Its traceback leads back to the frame that holds the request.
            (state.exception.take(), state.call.take())
        });
        let Some((_exception, Some(call))) = taken else { return };
        // In another task than it began in, as when an event loop closes forgotten tasks, there
        // is nothing to restore.
        let _elsewhere = context::detach(call.token.bind(py));
        let _gone = call.scope.bind(py).del_item(intern!(py, SCOPE_KEY));
    }
}

impl Request {
    fn try_received(
        &self,
        start_ns: u64,
        message: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = message.py();
        let message = message.cast::<PyDict>().ok();
        let is_text = match message {
            Some(message) => is_of_type(message, "websocket.receive")?,
            None => false,
        };
        let code = is_text.then_some(Status::Code(200));
        let error = error.is_instance_of::<PyException>().then_some(error);
        self.tell_message(py, "receive", start_ns, message, code.as_ref(), error)
    }
}
