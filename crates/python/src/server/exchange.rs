//! A request and its response, whatever the protocol between server and app: one span, and the
//! measurements of its metrics.

use super::convention::{Mode, Status, name_of_method};
use super::library::Library;
use super::series::Series;
use super::view::RequestView;
use crate::attributes::{Attributes, Value};
use crate::context::{self, current};
use crate::current::{SAMPLED, parent_in};
use crate::engine;
use crate::span::{self, Span};
use crate::tracer::Beginning;
use carafe_wire::record::{Number, SpanReference};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// Kinds of spans, as the API numbers them.
const INTERNAL: u8 = 0;
const SERVER: u8 = 1;

/// Attributes that most requests have in the end.
const ATTRIBUTES: usize = 16;

/// A request that is served.
pub(crate) struct Exchange {
    /// Whose count of active requests it is in.
    counted_by: Arc<Library>,
    /// Who tells it.
    told_by: Arc<Library>,
    started: Instant,
    start_ns: u64,
    series: Arc<Series>,
    method: Cow<'static, str>,
    /// Whether there is a span and a duration; active requests are counted in any case.
    is_excluded: bool,
    span: Option<Py<Span>>,
    /// Undoes what was made current.
    token: Option<Py<PyAny>>,
    route: Option<Py<PyAny>>,
    status: Option<Status>,
    /// The class of the exception that ended the app, in the stable conventions.
    error_type: Option<String>,
    has_exception: bool,
    /// Whether the span's name has the path in it, for want of a route.
    is_named_by_path: bool,
    is_finished: bool,
}

impl Exchange {
    /// A request has come: it counts as active until [`finish`](Self::finish).
    #[inline]
    pub(crate) fn begin(
        py: Python<'_>,
        library: Arc<Library>,
        view: &RequestView<'_>,
        is_excluded: bool,
    ) -> Self {
        let series = Series::of(py, view);
        let start_ns = engine::unix_ns();
        library.active.measure_in(py, Number::Int(1), Some(&series.active), None);
        Self {
            counted_by: Arc::clone(&library),
            told_by: library,
            started: Instant::now(),
            start_ns,
            series,
            method: view.method.to_static(),
            is_excluded,
            span: None,
            token: None,
            route: None,
            status: None,
            error_type: None,
            has_exception: false,
            is_named_by_path: false,
            is_finished: false,
        }
    }

    /// Starts the span and makes it current: a server's, a child of what the request's headers
    /// say; or, inside another span, a child of that one. Does nothing where there is one already,
    /// or shall be none.
    #[inline]
    pub(crate) fn start_span<'py>(
        &mut self,
        py: Python<'py>,
        view: &RequestView<'py>,
        name: &str,
        route: Option<&Bound<'py, PyAny>>,
        extract: impl FnOnce() -> PyResult<Option<Bound<'py, PyAny>>>,
    ) -> PyResult<()> {
        if self.span.is_some() || self.is_excluded || self.is_finished {
            return Ok(());
        }
        self.route = route.map(|route| route.clone().unbind());
        let here = current(py);
        let outer = match &here {
            Some(here) => parent_in(here)?,
            None => None,
        };
        let (kind, parent, context) = match outer {
            Some(outer) => (INTERNAL, Some(outer), here),
            None => {
                let extracted = extract()?;
                let parent = match &extracted {
                    Some(extracted) => parent_in(extracted)?,
                    None => None,
                };
                (SERVER, parent, extracted)
            }
        };
        let wishes = self.told_by.tracer.provider.get().wishes(py);
        let bounds = span::bounds(&wishes.limits);
        let fill = |attributes: &mut Attributes| {
            view.attributes(Mode::of_process(), |key, value| {
                attributes.put(py, key, value, bounds);
            });
            if let Some(route) = route {
                attributes.put(py, "http.route", Value::Object(route.clone().unbind()), bounds);
            }
        };
        // Samplers and processors in Python see the attributes; without them, only a span that is
        // recorded needs some.
        let is_observed = wishes.sampler.is_err() || wishes.processor.is_some();
        let mut attributes = Attributes::default();
        if is_observed {
            fill(&mut attributes);
        }
        let span = self.told_by.tracer.start(
            py,
            Beginning {
                name: PyString::new(py, name).into_any(),
                kind,
                parent,
                context: context.clone(),
                attributes,
                links: Vec::new(),
                start_ns: Some(self.start_ns),
                record_exception: true,
                set_status_on_exception: true,
            },
        )?;
        if !is_observed
            && span.get().is_recording()
            && let Some(mut data) = span.get().data.open(py)
        {
            data.attributes = Attributes::with_capacity(ATTRIBUTES);
            fill(&mut data.attributes);
        }
        // One token undoes both.
        let token = match context.filter(|_| kind == SERVER) {
            Some(extracted) => {
                let token = context::attach(&extracted)?;
                context::attach_span(span.as_any())?;
                token
            }
            None => context::attach_span(span.as_any())?,
        };
        self.token = Some(token.unbind());
        self.span = Some(span.unbind());
        Ok(())
    }

    /// The route is known now, and with it the span's name.
    #[inline]
    pub(crate) fn set_route(&mut self, route: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
        let py = route.py();
        self.route = Some(route.clone().unbind());
        if let Some(span) = &self.span {
            let span = span.get();
            span.put(py, "http.route", Value::Object(route.clone().unbind()));
            rename(py, span, name);
        }
        Ok(())
    }

    /// Gives the span another name.
    pub(crate) fn set_name(&self, py: Python<'_>, name: &str) {
        if let Some(span) = &self.span {
            rename(py, span.get(), name);
        }
    }

    /// The span's name has the path in it: it loses that where the path is not found, so that a
    /// scanner does not make a name per path.
    pub(crate) fn name_by_path(&mut self) {
        self.is_named_by_path = true;
    }

    /// Hands a request that has only begun to the library that knows more of it.
    pub(crate) fn hand_over(&mut self, py: Python<'_>, library: &Arc<Library>) {
        if let Some(span) = &self.span {
            let scope = Arc::clone(&library.tracer.scope);
            if let Some(mut data) = span.get().data.open(py) {
                data.scope = Some(scope);
            }
        }
        self.told_by = Arc::clone(library);
        self.is_named_by_path = false;
    }

    /// The response has begun.
    #[inline]
    pub(crate) fn set_status(&mut self, status: Status) {
        self.status = Some(status);
    }

    /// An exception that the app did not handle. With `names_error`, as the WSGI and ASGI packages
    /// do, the stable conventions also get its class.
    pub(crate) fn note_exception(
        &mut self,
        exception: &Bound<'_, PyAny>,
        names_error: bool,
    ) -> PyResult<()> {
        let py = exception.py();
        self.has_exception = true;
        let class = exception.get_type().qualname()?.to_string();
        if let Some(span) = &self.span {
            Span::note_exception(span.bind(py), exception)?;
            if names_error && Mode::of_process().is_new() {
                let description = exception.str()?.into_any().unbind();
                span.get().put_status(py, span::status::ERROR, Some(description))?;
                span.get().put(py, "error.type", Value::Text(class.as_str().into()));
            }
        }
        self.error_type = Some(class);
        Ok(())
    }

    /// Whether the app has failed with an exception.
    #[inline]
    pub(crate) fn has_exception(&self) -> bool {
        self.has_exception
    }

    /// The request's method, as telemetry gives it.
    #[inline]
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The span, where one was started.
    #[inline]
    pub(crate) fn span(&self) -> Option<&Py<Span>> {
        self.span.as_ref()
    }

    /// The span where it records and is a server's: the one that captured headers go on.
    #[inline]
    pub(crate) fn server_span(&self) -> Option<&Py<Span>> {
        self.span.as_ref().filter(|span| span.get().kind == SERVER && span.get().is_recording())
    }

    /// What was current before the request is current again. In another thread or task than the
    /// one where the span was started, nothing changes.
    #[inline]
    pub(crate) fn leave(&mut self, py: Python<'_>) {
        if let Some(token) = self.token.take() {
            let _other_thread = context::detach(token.bind(py));
        }
    }

    /// The request is over: ends the span and takes the measurements. Only the first call counts.
    #[inline]
    pub(crate) fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        self.leave(py);
        let mode = Mode::of_process();
        self.counted_by.active.measure_in(py, Number::Int(-1), Some(&self.series.active), None);
        if self.is_excluded {
            return Ok(());
        }
        let elapsed = self.started.elapsed();
        let error_type = mode.is_new().then(|| self.failure()).flatten();
        let route = self.route.as_ref().map(|route| route.bind(py));
        let route = route.and_then(|route| crate::capi::utf8(route));
        let (status, error_type) = (self.status.as_ref(), error_type.as_deref());
        let sets = self.series.durations(py, status, error_type, route, route);
        let reference = self.span.as_ref().map(|span| reference(span.get()));
        if let (Some(instrument), Some(set)) = (&self.told_by.duration_old, &sets.old) {
            // As the official packages: whole milliseconds, halves to even.
            let millis = (elapsed.as_secs_f64() * 1e3).round_ties_even() as i64;
            instrument.measure_in(py, Number::Int(millis), Some(set), reference);
        }
        if let (Some(instrument), Some(set)) = (&self.told_by.duration_new, &sets.new) {
            instrument.measure_in(py, Number::Double(elapsed.as_secs_f64()), Some(set), reference);
        }
        if self.is_named_by_path && self.status == Some(Status::Code(404)) {
            self.set_name(py, name_of_method(self.method()));
        }
        let Some(span) = self.span.as_ref() else { return Ok(()) };
        if let Some(status) = self.status.as_ref().filter(|_| span.get().is_recording()) {
            put_status(py, span.get(), status, mode, self.has_exception)?;
        }
        Span::end(span.bind(py), None)
    }

    /// Whether this request has a span, or is to get one.
    #[inline]
    pub(crate) fn is_excluded(&self) -> bool {
        self.is_excluded
    }

    /// There shall be no span and no duration after all.
    pub(crate) fn exclude(&mut self) {
        self.is_excluded = true;
    }

    /// `error.type` of the metrics.
    fn failure(&self) -> Option<String> {
        match &self.status {
            Some(status) if status.is_error() => Some(status.text()),
            Some(_) => None,
            None => self.error_type.clone(),
        }
    }
}

impl Drop for Exchange {
    /// A server that has lost interest does not close what it got.
    fn drop(&mut self) {
        if !self.is_finished {
            // Not where the interpreter is about to end.
            let _ended = Python::try_attach(|py| {
                engine::guard(py, "end of a request", || self.finish(py));
            });
        }
    }
}

fn reference(span: &Span) -> SpanReference {
    SpanReference {
        trace_id: span.start.trace_id,
        span_id: span.start.span_id,
        is_sampled: span.start.flags & SAMPLED != 0,
    }
}

fn rename(py: Python<'_>, span: &Span, name: &str) {
    let name = PyString::new(py, name).into_any().unbind();
    if let Some(mut data) = span.data.open(py).filter(|data| data.end_ns == 0) {
        data.name = name;
    }
}

/// What the status of the response says of the span. The description of an exception stays.
fn put_status(
    py: Python<'_>,
    span: &Span,
    status: &Status,
    mode: Mode,
    has_exception: bool,
) -> PyResult<()> {
    match status {
        Status::Code(code) => {
            let code = i64::from(*code);
            if mode.is_old() {
                span.put(py, "http.status_code", Value::Int(code));
            }
            if mode.is_new() {
                span.put(py, "http.response.status_code", Value::Int(code));
            }
        }
        Status::Unreadable(_) => {}
    }
    if !status.is_error() {
        return Ok(());
    }
    if mode.is_new() {
        span.put(py, "error.type", Value::Text(status.text().into()));
    }
    if has_exception {
        return Ok(());
    }
    let description = match status {
        Status::Code(_) => None,
        Status::Unreadable(text) => {
            let text = format!("Non-integer HTTP status: {text}");
            Some(PyString::new(py, &text).into_any().unbind())
        }
    };
    span.put_status(py, span::status::ERROR, description)
}
