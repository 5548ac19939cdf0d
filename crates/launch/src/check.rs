//! Looks at items that engines wrote before they join the items of others: one that no receiver
//! can read would take its whole batch with it.

use carafe_telemetry::otlp::{LogRecord, Span};
use prost::Message;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// Whether this is an OTLP `Span` whose ids have the right lengths.
pub(crate) fn span(otlp: &[u8]) -> bool {
    Span::decode(otlp).is_ok_and(|span| {
        span.trace_id.len() == TRACE_ID_BYTES
            && span.span_id.len() == SPAN_ID_BYTES
            && is_span_id_or_none(&span.parent_span_id)
            && span.links.iter().all(|link| {
                link.trace_id.len() == TRACE_ID_BYTES && link.span_id.len() == SPAN_ID_BYTES
            })
    })
}

/// Whether this is an OTLP `LogRecord` whose ids have the right lengths or are not there.
pub(crate) fn log(otlp: &[u8]) -> bool {
    LogRecord::decode(otlp).is_ok_and(|record| {
        matches!(record.trace_id.len(), 0 | TRACE_ID_BYTES) && is_span_id_or_none(&record.span_id)
    })
}

fn is_span_id_or_none(id: &[u8]) -> bool {
    matches!(id.len(), 0 | SPAN_ID_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::otlp::span::Link;

    #[test]
    fn ids_have_their_lengths() {
        let good = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            links: vec![Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }],
            ..Default::default()
        };
        assert!(span(&good.encode_to_vec()));
        let with = |change: fn(&mut Span)| {
            let mut changed = good.clone();
            change(&mut changed);
            span(&changed.encode_to_vec())
        };
        assert!(with(|span| span.parent_span_id = vec![3; 8]));
        assert!(!with(|span| span.parent_span_id = vec![3; 7]));
        assert!(!with(|span| span.trace_id = vec![3; 8]));
        assert!(!with(|span| span.span_id.clear()));
        assert!(!with(|span| span.links[0].span_id = vec![3; 16]));
        assert!(!span(b"\xff\xff\xff"));
        let cut = good.encode_to_vec();
        assert!(!span(&cut[..cut.len() - 1]));

        let with = |trace_id, span_id| {
            let record = LogRecord {
                trace_id: vec![1; trace_id],
                span_id: vec![2; span_id],
                ..Default::default()
            };
            log(&record.encode_to_vec())
        };
        assert!(with(0, 0) && with(16, 8));
        assert!(!with(8, 8) && !with(16, 4));
    }
}
