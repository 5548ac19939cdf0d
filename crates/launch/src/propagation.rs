//! The context that a request carries: W3C Trace Context, B3 and Jaeger headers.

use carafe_telemetry::{SpanId, TraceId};

/// The flag of a sampled trace (W3C Trace Context, trace-flags).
pub const SAMPLED: u8 = 1;

/// The longest `tracestate` that is kept (W3C Trace Context asks for at least 512 characters).
const TRACE_STATE_LIMIT_BYTES: usize = 4_096;

/// A format of context headers; its name in `OTEL_PROPAGATORS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// `tracecontext`: `traceparent` and `tracestate`.
    TraceContext,
    /// `b3` and `b3multi`: the single header or the `X-B3-*` headers, either is read.
    B3,
    /// `jaeger`: `uber-trace-id`.
    Jaeger,
}

/// The span that a request names as its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub span_id: SpanId,
    /// Trace flags of the W3C Trace Context.
    pub flags: u8,
    /// `tracestate` as it came; empty where there was none.
    pub trace_state: String,
}

/// The first context that one of the propagators finds; `header` looks a header up by its
/// lower-case name.
pub fn extract<'a>(
    propagators: &[Propagator],
    header: impl Fn(&str) -> Option<&'a [u8]>,
) -> Option<RemoteParent> {
    let text = |name: &str| header(name).and_then(|value| std::str::from_utf8(value).ok());
    propagators.iter().find_map(|propagator| match propagator {
        Propagator::TraceContext => trace_context(text("traceparent")?, text("tracestate")),
        Propagator::B3 => match text("b3") {
            Some(single) => b3_single(single),
            None => b3(
                text("x-b3-traceid")?,
                text("x-b3-spanid")?,
                text("x-b3-flags").filter(|flags| *flags == "1").or(text("x-b3-sampled")),
            ),
        },
        Propagator::Jaeger => jaeger(text("uber-trace-id")?),
    })
}

fn parent(trace_id: &str, span_id: &str, flags: u8, trace_state: String) -> Option<RemoteParent> {
    let trace_id = TraceId::from_hex(trace_id).ok().filter(|id| id.is_valid())?;
    let span_id = SpanId::from_hex(span_id).ok().filter(|id| id.is_valid())?;
    Some(RemoteParent { trace_id, span_id, flags, trace_state })
}

/// W3C Trace Context section 3.2: `00-<32 hex>-<16 hex>-<2 hex>`, lower case; higher versions may
/// have more fields.
fn trace_context(value: &str, state: Option<&str>) -> Option<RemoteParent> {
    let mut fields = value.trim().split('-');
    let (version, trace_id, span_id, flags) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_lower_hex = |text: &str, length: usize| {
        text.len() == length
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_valid = is_lower_hex(version, 2)
        && version != "ff"
        && is_lower_hex(trace_id, 32)
        && is_lower_hex(span_id, 16)
        && is_lower_hex(flags, 2)
        && (version != "00" || fields.next().is_none());
    if !is_valid {
        return None;
    }
    let state = state.filter(|state| state.len() <= TRACE_STATE_LIMIT_BYTES).unwrap_or_default();
    parent(trace_id, span_id, u8::from_str_radix(flags, 16).ok()?, state.trim().to_owned())
}

/// `{trace id}-{span id}[-{sampled}[-{parent}]]`; a lone `0` says not sampled and names no span.
fn b3_single(value: &str) -> Option<RemoteParent> {
    let mut fields = value.trim().split('-');
    let (trace_id, span_id) = (fields.next()?, fields.next()?);
    b3(trace_id, span_id, fields.next())
}

fn b3(trace_id: &str, span_id: &str, sampled: Option<&str>) -> Option<RemoteParent> {
    let has_length = matches!(trace_id.len(), 16 | 32) && span_id.len() == 16;
    let flags = match sampled {
        Some("0" | "false") => 0,
        // Absent defers the decision to us, who take part in what the caller began.
        _ => SAMPLED,
    };
    has_length.then(|| parent(trace_id, span_id, flags, String::new())).flatten()
}

/// `{trace id}:{span id}:{parent}:{flags}`, perhaps with `:` percent-encoded.
fn jaeger(value: &str) -> Option<RemoteParent> {
    let value = value.trim().replace("%3A", ":").replace("%3a", ":");
    let mut fields = value.split(':');
    let (trace_id, span_id, _, flags) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let flags = u8::from_str_radix(flags, 16).ok()? & SAMPLED;
    parent(trace_id, span_id, flags, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn find(propagator: Propagator, headers: &[(&str, &str)]) -> Option<RemoteParent> {
        extract(&[propagator], |name| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn reads_trace_context() {
        let value = format!("00-{TRACE}-{SPAN}-03");
        let parent =
            find(Propagator::TraceContext, &[("traceparent", &value), ("tracestate", "a=1,b=2")])
                .unwrap();
        assert_eq!(parent.trace_id.to_string(), TRACE);
        assert_eq!(parent.span_id.to_string(), SPAN);
        assert_eq!((parent.flags, parent.trace_state.as_str()), (3, "a=1,b=2"));
        let future = format!("cc-{TRACE}-{SPAN}-01-what-is-next");
        assert!(find(Propagator::TraceContext, &[("traceparent", &future)]).is_some());
    }

    #[test]
    fn refuses_malformed_trace_context() {
        for value in [
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}"),
            "".to_owned(),
        ] {
            assert_eq!(find(Propagator::TraceContext, &[("traceparent", &value)]), None, "{value}");
        }
    }

    #[test]
    fn reads_b3_and_jaeger() {
        let single = format!("{TRACE}-{SPAN}-0");
        assert_eq!(find(Propagator::B3, &[("b3", &single)]).unwrap().flags, 0);
        let multi =
            [("x-b3-traceid", "a3ce929d0e0e4736"), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
        let parent = find(Propagator::B3, &multi).unwrap();
        assert_eq!(parent.trace_id.to_string(), "0000000000000000a3ce929d0e0e4736");
        assert_eq!(find(Propagator::B3, &[("b3", "0")]), None);
        let jaeger = format!("{TRACE}:{SPAN}:0:1");
        assert_eq!(find(Propagator::Jaeger, &[("uber-trace-id", &jaeger)]).unwrap().flags, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(value in prop::collection::vec(any::<u8>(), 0..80)) {
            for propagator in [Propagator::TraceContext, Propagator::B3, Propagator::Jaeger] {
                let _ = extract(&[propagator], |_| Some(value.as_slice()));
            }
        }
    }
}
