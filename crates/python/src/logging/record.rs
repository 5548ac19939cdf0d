//! One record of `logging` as one OTLP log record.

use super::correlation;
use crate::capi;
use crate::engine;
use crate::gil::GilCell;
use crate::scope::Scope;
use carafe_wire::record::{Record, Scoped};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyMapping, PySequence, PyString, PyTuple,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Loggers whose name becomes the name of a scope; those beyond it share one scope.
const SCOPE_LIMIT: usize = 1_000;

/// The scope of loggers beyond [`SCOPE_LIMIT`].
const OTHER_LOGGERS: &str = "logging";

/// The specification's default for the attributes of a log record; the first ones go.
const ATTRIBUTE_LIMIT: usize = 128;

/// How deep lists and mappings in an attribute may nest; deeper ones are left out.
const DEPTH_LIMIT: usize = 16;

/// Fields of OTLP's `LogRecord`.
mod field {
    pub(super) const TIME: u64 = 1;
    pub(super) const SEVERITY_NUMBER: u64 = 2;
    pub(super) const SEVERITY_TEXT: u64 = 3;
    pub(super) const BODY: u64 = 5;
    pub(super) const ATTRIBUTES: u64 = 6;
    pub(super) const DROPPED_ATTRIBUTES: u64 = 7;
    pub(super) const FLAGS: u64 = 8;
    pub(super) const TRACE_ID: u64 = 9;
    pub(super) const SPAN_ID: u64 = 10;
    pub(super) const OBSERVED_TIME: u64 = 11;
    pub(super) const EVENT_NAME: u64 = 12;
}

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
    entries: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    event_name: Option<Bound<'py, PyAny>>,
}

/// Writes a record into the ring.
pub(super) fn write(record: &Bound<'_, PyAny>, level: i64, has_code: bool) -> PyResult<()> {
    let py = record.py();
    let Some(scope) = scope(py, &record.getattr(intern!(py, "name"))?)? else { return Ok(()) };
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
    let dropped = extras.entries.len().saturating_sub(ATTRIBUTE_LIMIT);
    let span = correlation::span(py, record)?;
    let observed_ns = engine::unix_ns();
    engine::write_encoded(
        py,
        |log| {
            log.fixed64(field::TIME, (created * 1e9) as u64);
            log.uint(field::SEVERITY_NUMBER, severity(level));
            match capi::utf8(&level_name) {
                Some("WARNING") => log.string(field::SEVERITY_TEXT, "WARN"),
                Some("CRITICAL") => log.string(field::SEVERITY_TEXT, "FATAL"),
                text => log.string(field::SEVERITY_TEXT, text.unwrap_or_default()),
            }
            log.message(field::BODY, |any| any.bytes(1, body.as_bytes()));
            for (key, value) in extras.entries.iter().skip(dropped) {
                log.message(field::ATTRIBUTES, |pair| {
                    pair.text(1, key);
                    pair.message(2, |any| any.any_value(value));
                });
            }
            log.uint(field::DROPPED_ATTRIBUTES, dropped as u64);
            if let Some(span) = &span {
                log.fixed32(field::FLAGS, u32::from(span.flags));
                log.bytes(field::TRACE_ID, &span.trace_id);
                log.bytes(field::SPAN_ID, &span.span_id);
            }
            log.fixed64(field::OBSERVED_TIME, observed_ns);
            if let Some(name) = &extras.event_name {
                log.text(field::EVENT_NAME, name);
            }
        },
        |otlp| Record::Log(Scoped { scope, otlp }),
    );
    Ok(())
}

/// The number of the scope that is named as the logger.
#[inline]
fn scope(py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    static SCOPES: GilCell<Option<HashMap<String, Arc<Scope>>>> = GilCell::new(None);
    let name = capi::utf8(name).unwrap_or(OTHER_LOGGERS);
    let (known, is_full) = match SCOPES.open(py) {
        Some(mut scopes) => {
            let scopes = scopes.get_or_insert_with(HashMap::new);
            (scopes.get(name).cloned(), scopes.len() >= SCOPE_LIMIT)
        }
        None => return Ok(None),
    };
    let scope = match known {
        Some(scope) => scope,
        None if is_full && name != OTHER_LOGGERS => {
            return scope(py, PyString::intern(py, OTHER_LOGGERS).as_any());
        }
        None => {
            let scope = Arc::new(Scope::new(name, None, None, None, py)?);
            if let Some(scopes) = SCOPES.open(py).as_mut().and_then(|scopes| scopes.as_mut()) {
                scopes.insert(name.to_owned(), Arc::clone(&scope));
            }
            scope
        }
    };
    Ok(scope.defined(py))
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
fn severity(level: i64) -> u64 {
    match level {
        ..10 => 0,
        54.. => 24,
        50..54 => 21 + (level - 50) as u64,
        _ => {
            let named = (level / 10) as u64;
            let fine = (level % 10).min(3) as u64;
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
            _ => extras.entries.push((key, clean(value, 0)?)),
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
/// of their own.
fn clean(value: Bound<'_, PyAny>, depth: usize) -> PyResult<Bound<'_, PyAny>> {
    let py = value.py();
    let is_plain = value.is_none()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyBytes>();
    if is_plain {
        return Ok(value);
    }
    if depth >= DEPTH_LIMIT {
        return Ok(py.None().into_bound(py));
    }
    if let Ok(sequence) = value.cast::<PySequence>() {
        let mut elements = Vec::with_capacity(sequence.len()?);
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
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(none(py)),
        text => text,
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
        extras.set(key, record.getattr(attribute)?);
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
        extras.set(intern!(py, "exception.type"), class.getattr(intern!(py, "__name__"))?);
    }
    if !value.is_none() {
        let arguments = value.getattr(intern!(py, "args"))?;
        if arguments.is_truthy()? {
            let message = arguments.get_item(0)?.str();
            if let Ok(message) = message {
                extras.set(intern!(py, "exception.message"), message.into_any());
            }
        }
    }
    if !traceback.is_none() {
        let lines = py
            .import(intern!(py, "traceback"))?
            .call_method1(intern!(py, "format_exception"), (class, value, traceback))?;
        let text = PyString::new(py, "").call_method1(intern!(py, "join"), (lines,))?;
        extras.set(intern!(py, "exception.stacktrace"), text);
    }
    Ok(())
}

impl<'py> Extras<'py> {
    /// Sets an attribute, in the place of what the app has set under that name.
    fn set(&mut self, key: &Bound<'py, PyString>, value: Bound<'py, PyAny>) {
        let known = self.entries.iter_mut().find(|(known, _)| known.eq(key).unwrap_or(false));
        match known {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.clone().into_any(), value)),
        }
    }
}
