//! One record of `logging` as one OTLP log record.

use super::correlation;
use crate::attributes::{Attributes, Key, Value};
use crate::capi;
use crate::engine;
use crate::gil::GilCell;
use crate::logs::{self, Body, Fields, Logger};
use crate::scope::Scope;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyMapping, PySequence, PySlice, PyString,
    PyTuple,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Loggers whose name becomes the name of a scope; those beyond it share one scope.
const SCOPE_LIMIT: usize = 1_000;

/// The scope of loggers beyond [`SCOPE_LIMIT`].
const OTHER_LOGGERS: &str = "logging";

/// How deep lists and mappings in an attribute may nest; deeper ones are left out.
const DEPTH_LIMIT: usize = 16;

/// What a record of `logging` has by itself: no attributes. `message` and `asctime` come from
/// formatters, `taskName` with 3.12.
const OWN: [&str; 24] = [
    "name",
    "msg",
    "args",
    "levelname",
    "levelno",
    "pathname",
    "filename",
    "module",
    "exc_info",
    "exc_text",
    "stack_info",
    "lineno",
    "funcName",
    "created",
    "msecs",
    "relativeCreated",
    "thread",
    "threadName",
    "processName",
    "process",
    "taskName",
    "message",
    "asctime",
    "getMessage",
];

struct Names {
    own: Py<PyFrozenSet>,
    /// Of a record without anything added.
    own_count: usize,
    record_class: Py<PyAny>,
}

fn names(py: Python<'_>) -> PyResult<&Names> {
    static NAMES: PyOnceLock<Names> = PyOnceLock::new();
    NAMES.get_or_try_init(py, || {
        let class = py.import("logging")?.getattr("LogRecord")?;
        let bare = class.call1(("", 0, "", 0, "", py.None(), py.None()))?;
        Ok(Names {
            own: PyFrozenSet::new(py, OWN)?.unbind(),
            own_count: bare.getattr("__dict__")?.len()?,
            record_class: class.unbind(),
        })
    })
}

/// Attributes of one record, all of types that OTLP has.
#[derive(Default)]
struct Extras<'py> {
    attributes: Attributes,
    event_name: Option<Bound<'py, PyAny>>,
}

/// Writes a record into the ring.
pub(super) fn write(record: &Bound<'_, PyAny>, level: i64, has_code: bool) -> PyResult<()> {
    let py = record.py();
    let name = record.getattr(intern!(py, "name"))?;
    let Some(logger) = logger(py, capi::utf8(&name).unwrap_or(OTHER_LOGGERS))? else {
        return Ok(());
    };
    let created: f64 = record.getattr(intern!(py, "created"))?.extract()?;
    let body = body(record)?;
    let body = match capi::utf8(&body) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(replaced(&body)),
    };
    let body = without_colours(&body);
    let level_name = record.getattr(intern!(py, "levelname"))?;
    let mut extras = extras(record)?;
    if has_code {
        add_code(record, &mut extras)?;
    }
    let exception = record.getattr(intern!(py, "exc_info"))?;
    if exception.is_truthy()? {
        add_exception(&exception, &mut extras)?;
    }
    let span = correlation::span(py, record)?;
    let fields = Fields {
        time_ns: (created * 1e9) as u64,
        observed_ns: engine::unix_ns(),
        severity: severity(level),
        severity_text: match capi::utf8(&level_name) {
            Some("WARNING") => "WARN",
            Some("CRITICAL") => "FATAL",
            text => text.unwrap_or_default(),
        },
        body: Body::Text(&body),
        attributes: &extras.attributes,
        event_name: extras.event_name.as_ref().and_then(capi::utf8).unwrap_or_default(),
        span,
    };
    logger.write(py, &fields);
    Ok(())
}

/// The logger whose scope is named as the app's; `None` where it cannot be looked up now.
#[inline]
fn logger(py: Python<'_>, name: &str) -> PyResult<Option<Arc<Logger>>> {
    static LOGGERS: GilCell<Option<HashMap<String, Arc<Logger>>>> = GilCell::new(None);
    let is_full = match LOGGERS.open(py) {
        Some(mut loggers) => {
            let loggers = loggers.get_or_insert_default();
            if let Some(known) = loggers.get(name) {
                return Ok(Some(Arc::clone(known)));
            }
            loggers.len() >= SCOPE_LIMIT
        }
        None => return Ok(None),
    };
    if is_full && name != OTHER_LOGGERS {
        return logger(py, OTHER_LOGGERS);
    }
    let new = Arc::new(Logger::new(Arc::new(Scope::new(name, None, None, None, py)?)));
    if let Some(loggers) = LOGGERS.open(py).as_mut().and_then(|loggers| loggers.as_mut()) {
        loggers.insert(name.to_owned(), Arc::clone(&new));
    }
    Ok(Some(new))
}

/// The formatted message, a `str`. What cannot be formatted is given as it is.
fn body<'py>(record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = record.py();
    let message = record.getattr(intern!(py, "msg"))?;
    let formatted = if record.get_type().is(names(py)?.record_class.bind(py)) {
        let arguments = record.getattr(intern!(py, "args"))?;
        let is_text = message.is_exact_instance_of::<PyString>();
        match (is_text, arguments.is_truthy()) {
            (true, Ok(false)) => return Ok(message),
            (true, Ok(true)) => message.rem(arguments),
            _ => record.call_method0(intern!(py, "getMessage")),
        }
    } else {
        record.call_method0(intern!(py, "getMessage"))
    };
    match formatted {
        Ok(text) if text.is_instance_of::<PyString>() => Ok(text),
        Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
        _ if message.is_instance_of::<PyString>() => Ok(message),
        _ => Ok(PyString::intern(py, "").into_any()),
    }
}

/// Text with lone surrogates, which UTF-8 has no place for: question marks instead.
#[cold]
fn replaced(text: &Bound<'_, PyAny>) -> String {
    let bytes = text.call_method1(intern!(text.py(), "encode"), ("utf-8", "replace"));
    let bytes = bytes.and_then(|bytes| bytes.extract::<Vec<u8>>()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// OpenTelemetry's number for a level of `logging`: four for each named level.
fn severity(level: i64) -> u8 {
    match level {
        ..10 => 0,
        54.. => 24,
        50..54 => 21 + (level - 50) as u8,
        _ => {
            let named = (level / 10) as u8;
            let fine = (level % 10).min(3) as u8;
            1 + named * 4 + fine
        }
    }
}

/// Text without the escape sequences of terminals (ECMA-48, section 5.4).
fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&0x1b) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start + 2..];
        let parameters = sequence.bytes().take_while(|byte| (0x20..0x40).contains(byte)).count();
        rest = match sequence.as_bytes().get(parameters) {
            Some(0x40..=0x7e) => &sequence[parameters + 1..],
            _ => sequence,
        };
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What the app has added to the record.
#[inline]
fn extras<'py>(record: &Bound<'py, PyAny>) -> PyResult<Extras<'py>> {
    let py = record.py();
    let names = names(py)?;
    let all = record.getattr(intern!(py, "__dict__"))?;
    let all = all.cast::<PyDict>()?;
    let mut extras = Extras::default();
    if all.len() == names.own_count {
        return Ok(extras);
    }
    let own = names.own.bind(py);
    let mut deprecated_event_name = None;
    let mut added = Vec::new();
    for (key, value) in all.iter() {
        if !own.contains(&key)? {
            added.push((key, value));
        }
    }
    for (key, value) in added {
        let Some(key) = clean_key(key)? else { continue };
        match capi::utf8(&key) {
            Some("otel.event.name") => extras.event_name = Some(value.str()?.into_any()),
            Some("event.name") => deprecated_event_name = Some(value.str()?.into_any()),
            _ => extras.set(&key, &clean(value, 0)?),
        }
    }
    extras.event_name = extras.event_name.or(deprecated_event_name);
    Ok(extras)
}

/// A key as a `str`; `None` where it can be none.
fn clean_key(key: Bound<'_, PyAny>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let key = if key.is_instance_of::<PyString>() {
        key
    } else if has_text(&key)? {
        key.str()?.into_any()
    } else {
        return Ok(None);
    };
    Ok(if key.len()? == 0 { None } else { Some(key) })
}

/// A value of types that OTLP has; other objects become their text, or `None` where they have none
/// of their own. Says nothing in the app's log, unlike what cleans attributes of spans: it would at
/// every record of Django's that has a request in its extras.
fn clean(value: Bound<'_, PyAny>, depth: usize) -> PyResult<Bound<'_, PyAny>> {
    let py = value.py();
    if value.is_instance_of::<PyString>() {
        return truncate(value);
    }
    let is_plain = value.is_none()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyBytes>();
    if is_plain {
        return Ok(value);
    }
    if depth >= DEPTH_LIMIT {
        return Ok(none(py));
    }
    if let Ok(sequence) = value.cast::<PySequence>() {
        let mut elements = Vec::new();
        for element in sequence.try_iter()? {
            elements.push(clean(element?, depth + 1)?);
        }
        return Ok(PyTuple::new(py, elements)?.into_any());
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let kept = PyDict::new(py);
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            if let Some(key) = clean_key(key)? {
                kept.set_item(key, clean(value, depth + 1)?)?;
            }
        }
        return Ok(kept.into_any());
    }
    let text = if has_text(&value)? { value.str().map(Bound::into_any) } else { Ok(none(py)) };
    match text {
        Ok(text) if text.is_none() => Ok(text),
        Ok(text) => truncate(text),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(none(py)),
        Err(error) => Err(error),
    }
}

/// A text within the limit.
fn truncate(text: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    match logs::bounds().length {
        Some(limit) if text.len()? > limit => {
            let end = isize::try_from(limit).unwrap_or(isize::MAX);
            text.get_item(PySlice::new(text.py(), 0, end, 1))
        }
        _ => Ok(text),
    }
}

fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

/// Whether the class of an object says how the object is written.
fn has_text(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    let object = py.get_type::<PyAny>();
    let class = value.get_type();
    for name in [intern!(py, "__str__"), intern!(py, "__repr__")] {
        if !class.getattr(name)?.is(object.getattr(name)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_code<'py>(record: &Bound<'py, PyAny>, extras: &mut Extras<'py>) -> PyResult<()> {
    let py = record.py();
    for (key, attribute) in [
        (intern!(py, "code.file.path"), intern!(py, "pathname")),
        (intern!(py, "code.function.name"), intern!(py, "funcName")),
        (intern!(py, "code.line.number"), intern!(py, "lineno")),
    ] {
        extras.set(key.as_any(), &record.getattr(attribute)?);
    }
    Ok(())
}

fn add_exception<'py>(exception: &Bound<'py, PyAny>, extras: &mut Extras<'py>) -> PyResult<()> {
    let py = exception.py();
    let Ok((class, value, traceback)) =
        exception.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)>()
    else {
        return Ok(());
    };
    if !class.is_none() {
        extras.set(intern!(py, "exception.type"), &class.getattr(intern!(py, "__name__"))?);
    }
    if !value.is_none() {
        let arguments = value.getattr(intern!(py, "args"))?;
        if arguments.is_truthy()? {
            let message = arguments.get_item(0)?.str();
            if let Ok(message) = message {
                extras.set(intern!(py, "exception.message"), &truncate(message.into_any())?);
            }
        }
    }
    if !traceback.is_none() {
        let lines = py
            .import(intern!(py, "traceback"))?
            .call_method1(intern!(py, "format_exception"), (class, value, traceback))?;
        let text = PyString::new(py, "").call_method1(intern!(py, "join"), (lines,))?;
        extras.set(intern!(py, "exception.stacktrace"), &truncate(text)?);
    }
    Ok(())
}

impl Extras<'_> {
    /// Sets an attribute, in the place of what the app has set under that name.
    fn set(&mut self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let name = Key::of_app(key.clone(), capi::utf8(key).unwrap_or_default());
        let value = Value::Object(value.clone().unbind());
        self.attributes.insert(key.py(), name, value, logs::bounds());
    }
}
