//! Reads and writes the headers that carry a trace from process to process.

use crate::context::{Frame, RemoteParent, current, materialise};
use crate::current::{Parent, RANDOM, SAMPLED, TraceState, parent_of_span, span_of};
use crate::engine::guard;
use crate::ids::{hex, unhex};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::sync::Arc;

/// A format of headers (`OTEL_PROPAGATORS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    /// W3C Trace Context.
    TraceContext,
    /// W3C Baggage.
    Baggage,
    /// B3 in one header.
    B3,
    /// B3 in several headers.
    B3Multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
}

/// W3C Baggage: longer headers are not taken.
const BAGGAGE_LIMIT_BYTES: usize = 8_192;

/// W3C Trace Context: more than this of `tracestate` is not passed on.
const TRACE_STATE_LIMIT_BYTES: usize = 8_192;

impl Propagator {
    /// The formats in that list; the specification's default for none.
    pub(crate) fn from_names(names: Option<&str>) -> Vec<Self> {
        let Some(names) = names else { return vec![Self::TraceContext, Self::Baggage] };
        let mut propagators = Vec::new();
        for name in names.split(',') {
            let propagator = match name.trim().to_ascii_lowercase().as_str() {
                "tracecontext" => Self::TraceContext,
                "baggage" => Self::Baggage,
                "b3" => Self::B3,
                "b3multi" => Self::B3Multi,
                "jaeger" => Self::Jaeger,
                _ => continue,
            };
            if !propagators.contains(&propagator) {
                propagators.push(propagator);
            }
        }
        propagators
    }
}

/// The formats that are used, which do not change after the start.
fn propagators(py: Python<'_>) -> &'static [Propagator] {
    static PROPAGATORS: std::sync::OnceLock<Vec<Propagator>> = std::sync::OnceLock::new();
    PROPAGATORS.get_or_init(|| crate::engine::environment(py).propagators)
}

/// What a request's headers say: a value to attach, or `None`. `header` gives a header by its
/// lower-case name.
pub(crate) fn extract<'py>(
    py: Python<'py>,
    header: impl Fn(&'static str) -> Option<String>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(custom) = CUSTOM.get(py) {
        // What fails in the app's code costs the parent, not the span.
        let found = guard(py, "extract of the app's propagator", || custom.extract(py, header));
        return Ok(found.flatten());
    }
    let mut parent = None;
    let mut baggage = None;
    for propagator in propagators(py) {
        // The last that finds something wins, as in the official composite propagator.
        let found = match propagator {
            Propagator::TraceContext => trace_context(&header),
            Propagator::Baggage => {
                baggage = header("baggage")
                    .filter(|text| !text.trim().is_empty() && text.len() <= BAGGAGE_LIMIT_BYTES);
                None
            }
            Propagator::B3 | Propagator::B3Multi => {
                b3_single(&header).or_else(|| b3_multi(&header))
            }
            Propagator::Jaeger => jaeger(&header),
        };
        parent = found.or(parent);
    }
    let parent = match parent {
        Some(parent) => Some(Bound::new(py, RemoteParent(parent))?.into_any()),
        None => None,
    };
    match (parent, baggage) {
        (parent, None) => Ok(parent),
        (parent, Some(baggage)) => {
            let frame = Frame {
                span: parent.map(Bound::unbind),
                baggage: Some(Arc::from(baggage)),
                rest: None,
                is_in_client_call: false,
            };
            Ok(Some(Bound::new(py, frame)?.into_any()))
        }
    }
}

/// The headers for the current context, as names and values.
pub(crate) fn inject(py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
    if let Some(custom) = CUSTOM.get(py) {
        let headers = guard(py, "inject of the app's propagator", || custom.inject(py));
        return Ok(headers.unwrap_or_default());
    }
    let Some(value) = current(py) else { return Ok(Vec::new()) };
    let parent = match span_of(&value)? {
        Some(span) => parent_of_span(&span)?,
        None => None,
    };
    let mut headers = Vec::with_capacity(2);
    for propagator in propagators(py) {
        match (propagator, &parent) {
            (Propagator::Baggage, _) => {
                headers.extend(baggage_header(&value)?.map(|text| ("baggage", text)));
            }
            (_, None) => {}
            (Propagator::TraceContext, Some(parent)) => {
                let (trace_id, span_id) = (hex(&parent.trace_id), hex(&parent.span_id));
                headers
                    .push(("traceparent", format!("00-{trace_id}-{span_id}-{:02x}", parent.flags)));
                let state = parent.trace_state.to_header(py)?;
                if !state.is_empty() {
                    headers.push(("tracestate", state));
                }
            }
            (Propagator::B3, Some(parent)) => {
                let sampled = u8::from(parent.is_sampled());
                let (trace_id, span_id) = (hex(&parent.trace_id), hex(&parent.span_id));
                headers.push(("b3", format!("{trace_id}-{span_id}-{sampled}")));
            }
            (Propagator::B3Multi, Some(parent)) => {
                headers.push(("x-b3-traceid", hex(&parent.trace_id)));
                headers.push(("x-b3-spanid", hex(&parent.span_id)));
                headers.push(("x-b3-sampled", u8::from(parent.is_sampled()).to_string()));
            }
            (Propagator::Jaeger, Some(parent)) => {
                let (trace_id, span_id) = (hex(&parent.trace_id), hex(&parent.span_id));
                let sampled = u8::from(parent.is_sampled());
                headers.push(("uber-trace-id", format!("{trace_id}:{span_id}:0:{sampled}")));
            }
        }
    }
    Ok(headers)
}

type Header<'a> = &'a dyn Fn(&'static str) -> Option<String>;

/// W3C Trace Context, section 3.2: a higher version may have more fields.
fn trace_context(header: Header<'_>) -> Option<Parent> {
    let text = header("traceparent")?;
    let text = text.trim();
    let mut fields = text.split('-');
    let version: [u8; 1] = unhex(fields.next()?.as_bytes())?;
    let (trace_id, span_id) = (fields.next()?, fields.next()?);
    let flags: [u8; 1] = unhex(fields.next()?.as_bytes())?;
    let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if version == [0xff] || (version == [0] && fields.next().is_some()) || !is_lower_case {
        return None;
    }
    let mut parent = remote(trace_id, span_id, flags[0] & (SAMPLED | RANDOM))?;
    let state = header("tracestate").map(|state| state.trim().to_owned()).unwrap_or_default();
    if !state.is_empty() && state.len() <= TRACE_STATE_LIMIT_BYTES {
        parent.trace_state = TraceState::Raw(Arc::from(state));
    }
    Some(parent)
}

fn b3_single(header: Header<'_>) -> Option<Parent> {
    let text = header("b3")?;
    let mut fields = text.trim().split('-');
    let (trace_id, span_id) = (fields.next()?, fields.next()?);
    b3(trace_id, span_id, fields.next())
}

fn b3_multi(header: Header<'_>) -> Option<Parent> {
    let (trace_id, span_id) = (header("x-b3-traceid")?, header("x-b3-spanid")?);
    let sampled = match header("x-b3-flags").as_deref() {
        Some("1") => Some("d".to_owned()),
        _ => header("x-b3-sampled"),
    };
    b3(trace_id.trim(), span_id.trim(), sampled.as_deref())
}

/// Ids of 64 bits are the low half of 128.
fn b3(trace_id: &str, span_id: &str, sampled: Option<&str>) -> Option<Parent> {
    let is_sampled = matches!(sampled, Some("1" | "d" | "true" | "True"));
    remote(&padded(trace_id, 32), &padded(span_id, 16), u8::from(is_sampled))
}

fn jaeger(header: Header<'_>) -> Option<Parent> {
    let text = header("uber-trace-id")?.replace("%3A", ":");
    let fields: Vec<&str> = text.trim().split(':').collect();
    let [trace_id, span_id, _parent, flags] = fields[..] else { return None };
    let flags = u64::from_str_radix(flags, 16).ok()?;
    remote(&padded(trace_id, 32), &padded(span_id, 16), (flags & 1) as u8)
}

fn padded(digits: &str, length: usize) -> String {
    format!("{digits:0>length$}")
}

fn remote(trace_id: &str, span_id: &str, flags: u8) -> Option<Parent> {
    let trace_id: [u8; 16] = unhex(trace_id.as_bytes())?;
    let span_id: [u8; 8] = unhex(span_id.as_bytes())?;
    (trace_id != [0; 16] && span_id != [0; 8]).then_some(Parent {
        trace_id,
        span_id,
        flags,
        is_remote: true,
        trace_state: TraceState::Empty,
    })
}

/// The header of what baggage is current.
fn baggage_header(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let py = value.py();
    let (raw, context) = match value.cast::<Frame>() {
        Ok(frame) => {
            let frame = frame.get();
            (frame.baggage.clone(), frame.rest.as_ref().map(|rest| rest.bind(py).clone()))
        }
        Err(_) => (None, value.cast::<PyDict>().ok().map(|dict| dict.clone().into_any())),
    };
    if let Some(raw) = raw {
        return Ok(Some(raw.to_string()));
    }
    let Some(context) = context else { return Ok(None) };
    let entries = py.import("opentelemetry.baggage")?.call_method1("get_all", (&context,))?;
    if entries.len()? == 0 {
        return Ok(None);
    }
    let quote = py.import("urllib.parse")?.getattr("quote_plus")?;
    let mut pairs = Vec::new();
    for item in entries.call_method0("items")?.try_iter()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        let value: String = quote.call1((value.str()?,))?.extract()?;
        pairs.push(format!("{}={value}", key.str()?));
    }
    Ok(Some(pairs.join(",")))
}

/// Puts a header's baggage into a context of the API's that is being made.
pub(crate) fn put_baggage(items: &Bound<'_, PyDict>, header: &str) -> PyResult<()> {
    let py = items.py();
    let unquote = py.import("urllib.parse")?.getattr("unquote_plus")?;
    let entries = PyDict::new(py);
    for pair in header.split(',') {
        // What follows a semicolon are properties, which the API does not know.
        let Some((key, value)) = pair.split(';').next().and_then(|pair| pair.split_once('='))
        else {
            continue;
        };
        entries.set_item(unquote.call1((key.trim(),))?, unquote.call1((value.trim(),))?)?;
    }
    let key = py.import("opentelemetry.baggage")?.getattr(intern!(py, "_BAGGAGE_KEY"))?;
    items.set_item(key, entries)
}

/// What the app uses in the place of all formats of ours.
static CUSTOM: PyOnceLock<Custom> = PyOnceLock::new();

/// A propagator of the API.
struct Custom {
    propagator: Py<PyAny>,
    /// The headers that it reads and writes: by its own names, and in lower case.
    fields: Vec<(String, &'static str)>,
}

/// Headers that a propagator may have; their names stay in memory.
const FIELD_LIMIT: usize = 64;

impl Custom {
    fn new(propagator: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut fields = Vec::new();
        for field in propagator.getattr("fields")?.try_iter()?.take(FIELD_LIMIT) {
            let field: String = field?.extract()?;
            let lower: &'static str = Box::leak(field.to_ascii_lowercase().into_boxed_str());
            fields.push((field, lower));
        }
        Ok(Self { propagator: propagator.clone().unbind(), fields })
    }

    fn extract<'py>(
        &self,
        py: Python<'py>,
        header: impl Fn(&'static str) -> Option<String>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let carrier = PyDict::new(py);
        for (field, lower) in &self.fields {
            if let Some(value) = header(lower) {
                carrier.set_item(field, value)?;
            }
        }
        if carrier.is_empty() {
            return Ok(None);
        }
        // Into an empty context: what is current here is no part of the request.
        let context = materialise(py, None)?;
        let found = self.propagator.bind(py).call_method1("extract", (carrier, context))?;
        Ok(found.is_truthy()?.then_some(found))
    }

    fn inject(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
        let carrier = PyDict::new(py);
        self.propagator.bind(py).call_method1("inject", (&carrier,))?;
        let mut headers = Vec::with_capacity(carrier.len());
        for (name, value) in carrier.iter() {
            let name: String = name.extract()?;
            let known = self.fields.iter().find(|(_, lower)| lower.eq_ignore_ascii_case(&name));
            if let Some((_, lower)) = known {
                headers.push((*lower, value.extract()?));
            }
        }
        Ok(headers)
    }
}

/// A propagator of the API to use in the place of all formats of ours. Once per process.
#[pyfunction]
fn set_propagator(propagator: &Bound<'_, PyAny>) -> PyResult<()> {
    let custom = Custom::new(propagator)?;
    let _ = CUSTOM.set(propagator.py(), custom);
    Ok(())
}

/// What headers say: a value to attach, or `None`. `get` gives a header by its lower-case name, or
/// `None`.
#[pyfunction(name = "extract")]
fn extract_with<'py>(get: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    extract(get.py(), |name| get.call1((name,)).ok()?.extract().ok())
}

/// The headers for the current context, as a list of names and values.
#[pyfunction(name = "inject")]
fn inject_list(py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
    inject(py)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(extract_with, module)?)?;
    module.add_function(wrap_pyfunction!(set_propagator, module)?)?;
    module.add_function(wrap_pyfunction!(inject_list, module)?)
}
