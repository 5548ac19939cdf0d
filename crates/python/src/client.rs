//! HTTP clients: one span for each call, and its metrics.
//!
//! A library's shim begins a call, runs the library's own function, and ends the call with what
//! that gave or raised. While a call is open, the libraries below it, and others that it uses,
//! begin none: requests over urllib3 over http.client is one span.

mod answer;
mod calls;
mod headers;
mod library;
mod measure;
mod request;
mod sections;
mod settings;
mod suppression;
mod url;

pub(crate) use self::suppression::{silences_all, silences_served};

use self::answer::Answer;
use self::headers::Side;
use self::library::{Library, Profile};
use self::measure::{Labels, Metrics, Sizes};
use self::request::{Described, Method, Request, Server};
use self::settings::Settings;
use crate::attributes::Value;
use crate::context::{self, current};
use crate::engine;
use crate::gil::GilCell;
use crate::metrics::Meter;
use crate::provider::Provider;
use crate::scope::Scope;
use crate::span::{self, Span, status};
use crate::tracer::{Beginning, Tracer, kind};
use carafe_wire::record::SpanReference;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The half of the universal engine that sees HTTP clients.
const CLIENT_HALF: u32 = 2;

/// The instrumentation of one library.
#[pyclass(frozen, module = "carafe_engine._native")]
struct HttpClient {
    library: Library,
    profile: Profile,
    settings: Settings,
    tracer: Tracer,
    metrics: Metrics,
    is_on: AtomicBool,
}

/// A call that has begun.
#[pyclass(frozen, module = "carafe_engine._native")]
struct HttpCall {
    client: Py<HttpClient>,
    open: GilCell<Option<OpenCall>>,
    /// What is to be sent in the place of the caller's: headers, or a request.
    #[pyo3(get)]
    sent: Option<Py<PyAny>>,
}

struct OpenCall {
    /// `None` for a call that is left alone: it only keeps the layers below it silent.
    span: Option<Py<Span>>,
    token: Option<Py<PyAny>>,
    method: Method,
    server: Server,
    url: String,
    started: Instant,
    request_bytes: Option<u64>,
    /// Headers that go away again from a request that is the caller's.
    borrowed: Option<(Py<PyAny>, Vec<String>)>,
}

/// Where a call's span is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// From the beginning to the end of the call.
    Current,
    /// Nowhere: the caller goes on before the call ends.
    Detached,
}

impl HttpClient {
    /// Begins a call; `None` where it is another call's part, or the engine is off.
    fn open<'py>(
        slf: &Bound<'py, Self>,
        request: Request<'_, 'py>,
        extent: Extent,
    ) -> PyResult<Option<OpenCall>> {
        let (py, client) = (slf.py(), slf.get());
        let context = current(py);
        if suppression::silences_http(py, context.as_ref())? {
            return Ok(None);
        }
        yield_client_half();
        let is_excluded = client.settings.excludes(py, request.url)?;
        if is_excluded && extent == Extent::Detached {
            return Ok(None);
        }
        let mut call = OpenCall {
            span: None,
            token: None,
            method: Method::none(),
            server: Server::default(),
            url: String::new(),
            started: Instant::now(),
            request_bytes: None,
            borrowed: None,
        };
        if is_excluded {
            call.token = Some(context::attach_client_call(py, None)?.unbind());
            return Ok(Some(call));
        }
        let limits = client.tracer.provider.get().limits(py);
        let bounds = span::bounds(&limits);
        let Described { method, server, url, attributes } =
            request.describe(py, &client.profile, &client.settings, bounds)?;
        let beginning = Beginning::here(method.span_name(py), kind::CLIENT, attributes)?;
        let span = client.tracer.start(py, beginning)?;
        if extent == Extent::Current {
            call.token = Some(context::attach_client_call(py, Some(span.as_any()))?.unbind());
        }
        call.span = Some(span.unbind());
        (call.method, call.server, call.url) = (method, server, url);
        Ok(Some(call))
    }

    fn call(slf: &Bound<'_, Self>, open: OpenCall, sent: Option<Py<PyAny>>) -> HttpCall {
        HttpCall { client: slf.clone().unbind(), open: GilCell::new(Some(open)), sent }
    }

    /// Runs the beginning of a call: an error of ours is counted, and the call is left alone.
    #[inline]
    fn begin(
        slf: &Bound<'_, Self>,
        begin: impl FnOnce() -> PyResult<Option<HttpCall>>,
    ) -> Option<HttpCall> {
        if !engine::is_on() || !slf.get().is_on.load(Ordering::Relaxed) {
            return None;
        }
        engine::guard(slf.py(), slf.get().profile.scope, begin).flatten()
    }
}

/// From the first call on, so that in a process whose calls are all made by libraries that are not
/// known here the universal engine still sees them.
#[inline]
fn yield_client_half() {
    static HAS_YIELDED: AtomicBool = AtomicBool::new(false);
    if !HAS_YIELDED.swap(true, Ordering::Relaxed) {
        engine::yield_universal(CLIENT_HALF);
    }
}

#[pymethods]
impl HttpClient {
    /// The instrumentation of the library of that name.
    ///
    /// # Errors
    /// There is none for that name, or a variable holds a pattern that is no regular expression.
    #[new]
    fn new(py: Python<'_>, library: &str) -> PyResult<Self> {
        let library = Library::named(library)
            .ok_or_else(|| PyValueError::new_err(format!("no such HTTP client: {library}")))?;
        let profile = library.profile();
        let settings = Settings::read(py, profile.variable)?;
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let schema_url = Some(settings.names.schema_url().to_owned());
        let scope = Arc::new(Scope::new(profile.scope, version, schema_url, None, py)?);
        let meter = Meter::new(Arc::clone(&scope));
        Ok(Self {
            library,
            profile,
            tracer: Tracer::new(Provider::global(py)?.clone_ref(py), scope),
            metrics: Metrics::new(&meter, &profile, settings.names),
            settings,
            is_on: AtomicBool::new(true),
        })
    }

    /// No call begins any more.
    fn stop(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }

    /// Begins `Session.send(request)` of requests.
    fn begin_requests(slf: &Bound<'_, Self>, request: &Bound<'_, PyAny>) -> Option<HttpCall> {
        Self::begin(slf, || calls::requests(slf, request))
    }

    /// Begins `pool.urlopen(method, url, body, headers)` of urllib3. `sent` are the headers to
    /// send: the caller's may be used for other requests.
    fn begin_urllib3(
        slf: &Bound<'_, Self>,
        pool: &Bound<'_, PyAny>,
        method: &Bound<'_, PyAny>,
        url: &Bound<'_, PyAny>,
        body: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
    ) -> Option<HttpCall> {
        Self::begin(slf, || calls::urllib3(slf, pool, method, url, body, headers))
    }

    /// Begins `opener.open(fullurl, data)` of urllib.request. `sent` is the request to open.
    fn begin_urllib(
        slf: &Bound<'_, Self>,
        opener: &Bound<'_, PyAny>,
        fullurl: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
    ) -> Option<HttpCall> {
        Self::begin(slf, || calls::urllib(slf, opener, fullurl, data))
    }

    /// Begins `transport.handle_request(request)` of httpx.
    fn begin_httpx(slf: &Bound<'_, Self>, request: &Bound<'_, PyAny>) -> Option<HttpCall> {
        Self::begin(slf, || calls::httpx(slf, request))
    }

    /// Begins the request that `connection.putrequest(method, url)` of http.client has begun. Its
    /// span does not become the current one.
    fn begin_http_client(
        slf: &Bound<'_, Self>,
        connection: &Bound<'_, PyAny>,
        method: &Bound<'_, PyAny>,
        url: &Bound<'_, PyAny>,
    ) -> Option<HttpCall> {
        Self::begin(slf, || calls::http_client(slf, connection, method, url))
    }
}

#[pymethods]
impl HttpCall {
    /// The headers that `connection` of http.client does not have yet, as names and values.
    fn missing_headers(
        &self,
        py: Python<'_>,
        connection: &Bound<'_, PyAny>,
    ) -> Vec<(&'static str, String)> {
        let headers = engine::guard(py, "http.client", || {
            let span = self.open.open(py).and_then(|open| {
                open.as_ref().and_then(|open| open.span.as_ref().map(|span| span.clone_ref(py)))
            });
            let Some(span) = span else { return Ok(Vec::new()) };
            let span = span.bind(py);
            let token = context::attach_span(span.as_any())?;
            let lines = connection.getattr("_buffer")?;
            let headers =
                headers::to_add(py, span.get(), None, |name| headers::in_lines(&lines, name));
            context::detach(&token)?;
            headers
        });
        headers.unwrap_or_default()
    }

    /// Ends the call with the library's response; `None` where there is none.
    fn end(&self, py: Python<'_>, response: Option<&Bound<'_, PyAny>>) {
        let Some(call) = self.open.open(py).and_then(|mut open| open.take()) else { return };
        let client = self.client.get();
        let answer = response.and_then(|response| {
            engine::guard(py, client.profile.scope, || Answer::of(client.library, response))
        });
        call.close(client, py, None, answer);
    }

    /// Ends the call with what it raised.
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        let Some(call) = self.open.open(py).and_then(|mut open| open.take()) else { return };
        let client = self.client.get();
        let answer =
            engine::guard(py, client.profile.scope, || Answer::of_error(client.library, error));
        call.close(client, py, Some(error), answer.flatten());
    }
}

impl OpenCall {
    fn close(
        mut self,
        client: &HttpClient,
        py: Python<'_>,
        error: Option<&Bound<'_, PyAny>>,
        answer: Option<Answer<'_>>,
    ) {
        let elapsed = self.started.elapsed();
        let place = client.profile.scope;
        engine::guard(py, place, || self.give_back(py));
        if let Some(token) = self.token.take() {
            // It fails where a generator has been closed from another task: nothing to undo there.
            let _ = context::detach(token.bind(py));
        }
        let Some(span) = self.span.take() else { return };
        let span = span.bind(py);
        // Exceptions that are no errors (`GeneratorExit`, a cancelled task) only end the span.
        let exception = error.filter(|error| error.is_instance_of::<PyException>());
        let error_type =
            engine::guard(py, place, || describe_end(client, span, exception, answer.as_ref()));
        let is_measured = match error {
            Some(_) => client.profile.measures_failures && exception.is_some(),
            None => answer.is_some(),
        };
        if is_measured {
            let sizes = Sizes {
                request: self.request_bytes,
                response: answer.as_ref().map_or(Some(0), |answer| answer.body_bytes),
            };
            let labels = Labels {
                method: self.method,
                server: self.server,
                url: self.url,
                status: answer.as_ref().and_then(|answer| answer.status),
                version: answer.as_ref().and_then(|answer| answer.version),
                error: error_type.flatten(),
            };
            let start = &span.get().start;
            let reference = SpanReference {
                trace_id: start.trace_id,
                span_id: start.span_id,
                is_sampled: span.get().as_parent().is_sampled(),
            };
            client.metrics.measure(py, &client.profile, labels, elapsed, sizes, Some(reference));
        }
        engine::guard(py, place, || Span::end(span, None));
    }

    /// Takes our headers out of a request that is the caller's.
    fn give_back(&mut self, py: Python<'_>) -> PyResult<()> {
        if let Some((headers, names)) = self.borrowed.take() {
            for name in names {
                headers.bind(py).call_method1("pop", (name, py.None()))?;
            }
        }
        Ok(())
    }
}

/// Puts the outcome of a call on its span; the type of the error, where the new names are written.
fn describe_end(
    client: &HttpClient,
    span: &Bound<'_, Span>,
    exception: Option<&Bound<'_, PyAny>>,
    answer: Option<&Answer<'_>>,
) -> PyResult<Option<String>> {
    let (py, names) = (span.py(), client.settings.names);
    let span_ = span.get();
    let mut error_type = None;
    if let Some(answer) = answer {
        if let Some(code) = answer.status {
            if names.old {
                span_.put(py, "http.status_code", Value::Int(code));
            }
            if names.new {
                span_.put(py, "http.response.status_code", Value::Int(code));
            }
            if !(100..400).contains(&code) {
                error_type = names.new.then(|| code.to_string());
                span_.put_status(py, status::ERROR, None)?;
            }
        }
        if let Some(version) = answer.version.filter(|_| client.profile.has_version && names.new) {
            span_.put(py, "network.protocol.version", Value::Static(version));
            if names.are_both() {
                span_.put(py, "http.flavor", Value::Static(version));
            }
        }
        if let Some(headers) = answer.headers.as_ref().filter(|_| span_.is_recording()) {
            for (key, value) in headers::recorded(&client.settings, Side::Response, headers)? {
                span.call_method1("set_attribute", (PyString::new(py, &key), value))?;
            }
        }
    }
    if let Some(exception) = exception {
        if client.profile.has_exception_type && names.new {
            error_type = Some(exception.get_type().qualname()?.to_string());
        }
        Span::note_exception(span, exception)?;
    }
    if let Some(error_type) = &error_type {
        span_.put(py, "error.type", Value::Text(error_type.as_str().into()));
    }
    Ok(error_type)
}

/// Sends our headers along with a request: puts them into a mapping. `ours` are the values that
/// an earlier attempt or hop has put there; those that are there now are returned. `name` makes a
/// header's name of its lower-case name.
fn send<'py>(
    call: &OpenCall,
    headers: &Bound<'py, PyAny>,
    ours: Option<&Bound<'py, PyAny>>,
    name: impl Fn(&'static str) -> String,
) -> PyResult<(Bound<'py, PyTuple>, Vec<String>)> {
    let py = headers.py();
    let Some(span) = &call.span else { return Ok((PyTuple::empty(py), Vec::new())) };
    let to_add = headers::to_add(py, span.get(), ours, |name| headers::get(headers, name))?;
    let mut names = Vec::with_capacity(to_add.len());
    for (lower_case, value) in &to_add {
        let name = name(lower_case);
        headers.set_item(&name, value)?;
        names.push(name);
    }
    Ok((PyTuple::new(py, to_add.iter().map(|(_, value)| value))?, names))
}

/// The API's key for contexts in which HTTP clients are silent.
pub(crate) fn http_silence_key(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    suppression::keys(py).map(|(_, http)| http)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HttpClient>()?;
    module.add_class::<HttpCall>()?;
    sections::register(module)
}
