//! Looks at items that engines wrote before they join the items of others: one that no receiver
//! can read would take its whole batch with it.
//!
//! Walks over the bytes without making anything of them: a tenth of what decoding costs.

/// Messages within messages; each engine's own items need seven.
const DEPTH_LIMIT: u32 = 64;

/// Whether this is an OTLP `Span` whose ids have the right lengths.
pub(crate) fn span(otlp: &[u8]) -> bool {
    const IDS: u32 = 1 << 1 | 1 << 2;
    walk(otlp, span_field, DEPTH_LIMIT).is_some_and(|seen| seen & IDS == IDS)
}

/// Whether this is an OTLP `LogRecord` whose ids have the right lengths or are not there.
pub(crate) fn log(otlp: &[u8]) -> bool {
    walk(otlp, log_field, DEPTH_LIMIT).is_some()
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Varint,
    Fixed64,
    Fixed32,
    Text,
    Bytes,
    /// Of this length, or empty.
    OptionalId(usize),
    Id(usize),
    Message(Fields),
    /// A field that is not known: skipped, as a decoder does.
    Unknown,
}

/// What the fields of a message hold, by their numbers (opentelemetry-proto).
type Fields = fn(u64) -> Kind;

const TRACE_ID: usize = 16;
const SPAN_ID: usize = 8;

fn span_field(number: u64) -> Kind {
    match number {
        1 => Kind::Id(TRACE_ID),
        2 => Kind::Id(SPAN_ID),
        3 | 5 => Kind::Text,
        4 => Kind::OptionalId(SPAN_ID),
        6 | 10 | 12 | 14 => Kind::Varint,
        7 | 8 => Kind::Fixed64,
        9 => Kind::Message(key_value_field),
        11 => Kind::Message(event_field),
        13 => Kind::Message(link_field),
        15 => Kind::Message(status_field),
        16 => Kind::Fixed32,
        _ => Kind::Unknown,
    }
}

fn event_field(number: u64) -> Kind {
    match number {
        1 => Kind::Fixed64,
        2 => Kind::Text,
        3 => Kind::Message(key_value_field),
        4 => Kind::Varint,
        _ => Kind::Unknown,
    }
}

fn link_field(number: u64) -> Kind {
    match number {
        1 => Kind::Id(TRACE_ID),
        2 => Kind::Id(SPAN_ID),
        3 => Kind::Text,
        4 => Kind::Message(key_value_field),
        5 => Kind::Varint,
        6 => Kind::Fixed32,
        _ => Kind::Unknown,
    }
}

fn status_field(number: u64) -> Kind {
    match number {
        2 => Kind::Text,
        3 => Kind::Varint,
        _ => Kind::Unknown,
    }
}

fn log_field(number: u64) -> Kind {
    match number {
        1 | 11 => Kind::Fixed64,
        2 | 7 => Kind::Varint,
        3 | 12 => Kind::Text,
        5 => Kind::Message(value_field),
        6 => Kind::Message(key_value_field),
        8 => Kind::Fixed32,
        9 => Kind::OptionalId(TRACE_ID),
        10 => Kind::OptionalId(SPAN_ID),
        _ => Kind::Unknown,
    }
}

fn key_value_field(number: u64) -> Kind {
    match number {
        1 => Kind::Text,
        2 => Kind::Message(value_field),
        3 => Kind::Varint,
        _ => Kind::Unknown,
    }
}

fn value_field(number: u64) -> Kind {
    match number {
        1 => Kind::Text,
        2 | 3 | 8 => Kind::Varint,
        4 => Kind::Fixed64,
        5 => Kind::Message(array_field),
        6 => Kind::Message(list_field),
        7 => Kind::Bytes,
        _ => Kind::Unknown,
    }
}

fn array_field(number: u64) -> Kind {
    if number == 1 { Kind::Message(value_field) } else { Kind::Unknown }
}

fn list_field(number: u64) -> Kind {
    if number == 1 { Kind::Message(key_value_field) } else { Kind::Unknown }
}

/// Which of the first fields are there, as bits; `None` where a decoder would fail.
fn walk(mut bytes: &[u8], fields: Fields, depth: u32) -> Option<u32> {
    let depth = depth.checked_sub(1)?;
    let mut seen = 0;
    while !bytes.is_empty() {
        let key = u32::try_from(varint(&mut bytes)?).ok()?;
        let (number, wire_type) = (u64::from(key >> 3), key & 7);
        if number == 0 {
            return None;
        }
        let content = match wire_type {
            0 => {
                varint(&mut bytes)?;
                &[][..]
            }
            1 => take(&mut bytes, 8)?,
            2 => {
                let length = varint(&mut bytes)?;
                take(&mut bytes, usize::try_from(length).ok()?)?
            }
            5 => take(&mut bytes, 4)?,
            // Groups are not in OTLP.
            _ => return None,
        };
        let is_sound = match (fields(number), wire_type) {
            (Kind::Varint, 0) | (Kind::Fixed64, 1) | (Kind::Fixed32, 5) | (Kind::Bytes, 2) => true,
            (Kind::Text, 2) => std::str::from_utf8(content).is_ok(),
            (Kind::Id(length), 2) => content.len() == length,
            (Kind::OptionalId(length), 2) => content.is_empty() || content.len() == length,
            (Kind::Message(inner), 2) => walk(content, inner, depth).is_some(),
            (Kind::Unknown, _) => true,
            _ => false,
        };
        if !is_sound {
            return None;
        }
        seen |= 1_u32.checked_shl(number as u32).unwrap_or(0);
    }
    Some(seen)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// A number of at most 64 bits, seven to each byte.
#[inline]
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            // Of the tenth byte one bit is left.
            return (place < 9 || *byte <= 1).then_some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::otlp::span::{Event, Link};
    use carafe_telemetry::otlp::{
        self, AnyValue, ArrayValue, KeyValue, KeyValueList, LogRecord, Span, Status,
        any_value::Value,
    };
    use proptest::prelude::*;
    use prost::Message;

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

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| {
            let mut value = Value::IntValue(1);
            for _ in 0..depth {
                value =
                    Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
            }
            let body = Some(AnyValue { value: Some(value) });
            log(&LogRecord { body, ..Default::default() }.encode_to_vec())
        };
        assert!(nested(20) && !nested(40));
    }

    fn any_value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::StringValue),
            any::<i64>().prop_map(Value::IntValue),
            any::<f64>().prop_map(Value::DoubleValue),
            any::<bool>().prop_map(Value::BoolValue),
            prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::BytesValue),
        ];
        let to_any = |value| AnyValue { value: Some(value) };
        leaf.prop_map(to_any).prop_recursive(3, 12, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(move |values| to_any(Value::ArrayValue(ArrayValue { values }))),
                prop::collection::vec(inner, 0..3).prop_map(move |values| {
                    let values = values.into_iter().map(key_value).collect();
                    to_any(Value::KvlistValue(KeyValueList { values }))
                }),
            ]
        })
    }

    fn key_value(value: AnyValue) -> KeyValue {
        KeyValue { key: "key".into(), value: Some(value), ..Default::default() }
    }

    fn any_span() -> impl Strategy<Value = Span> {
        let values = prop::collection::vec(any_value(), 0..4);
        (values, any::<String>(), any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
            |(values, name, time, number, has_more)| {
                let attributes: Vec<_> = values.into_iter().map(key_value).collect();
                let event = Event {
                    time_unix_nano: time,
                    name: name.clone(),
                    attributes: attributes.clone(),
                    dropped_attributes_count: number,
                };
                let link = Link {
                    trace_id: vec![3; 16],
                    span_id: vec![4; 8],
                    flags: number,
                    attributes: attributes.clone(),
                    ..Default::default()
                };
                Span {
                    trace_id: vec![1; 16],
                    span_id: vec![2; 8],
                    parent_span_id: if has_more { vec![5; 8] } else { Vec::new() },
                    name,
                    start_time_unix_nano: time,
                    dropped_links_count: number,
                    attributes,
                    events: if has_more { vec![event] } else { Vec::new() },
                    links: if has_more { vec![link] } else { Vec::new() },
                    status: Some(Status { message: "m".into(), code: 2 }),
                    flags: number,
                    ..Default::default()
                }
            },
        )
    }

    /// As decoding says it.
    fn decoded(bytes: &[u8]) -> bool {
        let is_optional = |id: &[u8], length| id.is_empty() || id.len() == length;
        Span::decode(bytes).is_ok_and(|span| {
            span.trace_id.len() == 16
                && span.span_id.len() == 8
                && is_optional(&span.parent_span_id, 8)
                && span.links.iter().all(|l| l.trace_id.len() == 16 && l.span_id.len() == 8)
        })
    }

    proptest! {
        #[test]
        fn what_an_encoder_wrote_is_taken(span in any_span(), body in any_value()) {
            prop_assert!(super::span(&span.encode_to_vec()));
            let record = LogRecord {
                body: Some(body),
                attributes: vec![otlp::int("a", 1)],
                trace_id: span.trace_id,
                span_id: span.span_id,
                ..Default::default()
            };
            prop_assert!(log(&record.encode_to_vec()));
        }

        #[test]
        fn what_is_taken_can_be_decoded(
            span in any_span(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut bytes = span.encode_to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            prop_assert!(!super::span(&bytes) || decoded(&bytes));
        }
    }
}
