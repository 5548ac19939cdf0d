use crate::otlp::{self, AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
use crate::testing::{Agreement, check_views, logs_request, scramble, traces_request};
use crate::view::{SpanView, TracesView, ViewError, find};
use crate::{Batch, Request, Signal};
use proptest::prelude::*;
use std::cell::Cell;

/// One field with a length.
fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag.into(), prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

/// A request of one span.
fn request(span: &[u8]) -> Batch {
    let bytes = field(1, &field(2, &field(2, span)));
    Batch { signal: Signal::Traces, bytes: bytes.into() }
}

proptest! {
    #[test]
    fn reads_what_prost_reads(traces in traces_request(), logs in logs_request()) {
        for request in [Request::Traces(traces), Request::Logs(logs)] {
            let batch = request.encode();
            prop_assert_eq!(check_views(&batch), Agreement::Taken);
        }
    }
}

/// Whatever protobuf allows, and then what it does not: both must come up often enough.
#[test]
fn agrees_with_prost_on_unusual_and_damaged_requests() {
    let seen = [const { Cell::new(0) }; 3];
    proptest!(|(traces in traces_request(), logs in logs_request(), seed: u64)| {
        for request in [Request::Traces(traces), Request::Logs(logs)] {
            let plain = request.encode();
            for damage in [false, true] {
                let bytes = scramble(plain.signal, &plain.bytes, seed, damage).into();
                let count = &seen[check_views(&Batch { signal: plain.signal, bytes }) as usize];
                count.set(count.get() + 1);
            }
        }
    });
    assert!(seen.iter().all(|count| count.get() > 10), "{seen:?}");
}

#[test]
fn limits_nesting_where_prost_does() {
    let mut seen = Vec::new();
    for maps in [false, true] {
        for depth in 0..110 {
            let mut value = AnyValue { value: Some(Value::BoolValue(true)) };
            for _ in 0..depth {
                let inner = if maps {
                    let values = vec![KeyValue { value: Some(value), ..Default::default() }];
                    Value::KvlistValue(KeyValueList { values })
                } else {
                    Value::ArrayValue(ArrayValue { values: vec![value] })
                };
                value = AnyValue { value: Some(inner) };
            }
            let attributes = vec![KeyValue { value: Some(value), ..Default::default() }];
            let span = otlp::Span { attributes, ..Default::default() };
            seen.push(check_views(&request(&prost::Message::encode_to_vec(&span))));
        }
    }
    for depth in 0..110 {
        let open = [0xa3, 6].repeat(depth);
        let close = [0xa4, 6].repeat(depth);
        seen.push(check_views(&request(&[open, close].concat())));
    }
    assert!(seen.contains(&Agreement::Taken) && seen.contains(&Agreement::Refused));
}

#[test]
fn an_unknown_field_may_not_be_at_the_last_level() {
    // Of 100 levels the request, its groups, the span and an attribute take five, a map three
    // and a list two: 31 maps and a list leave none.
    let check = |maps, value: &[u8]| {
        let list = field(5, &field(1, value));
        let nested = (0..maps).fold(list, |inner, _| field(6, &field(1, &field(2, &inner))));
        check_views(&request(&field(9, &field(2, &nested))))
    };
    let known = &[0x10, 1][..];
    let unknown = &[0xa0, 6, 1][..];
    assert_eq!((check(31, known), check(31, unknown)), (Agreement::Taken, Agreement::Refused));
    assert_eq!((check(30, known), check(30, unknown)), (Agreement::Taken, Agreement::Taken));
}

#[test]
fn names_what_is_wrong() {
    for (span, error) in [
        (&[0x0a, 5, 1][..], ViewError::Truncated),
        (&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], ViewError::Varint),
        (&[0x00, 1], ViewError::Key),
        (&[0xa7, 6], ViewError::Key),
        (&[0x08, 1], ViewError::WireType),
        (&[0x2a, 1, 0xff], ViewError::Utf8),
        (&[0xa4, 6], ViewError::Group),
        (&[0xa3, 6, 0xac, 6], ViewError::Group),
    ] {
        assert_eq!(SpanView::parse(span).unwrap_err(), error, "{span:?}");
        assert_eq!(check_views(&request(span)), Agreement::Refused, "{span:?}");
    }
}

#[test]
fn messages_that_come_twice_are_irregular_or_merged() {
    let list = field(5, &[]);
    let twice = field(9, &field(2, &[list.clone(), list].concat()));
    assert_eq!(SpanView::parse(&twice).unwrap_err(), ViewError::Irregular);
    assert_eq!(check_views(&request(&twice)), Agreement::Irregular);

    let scope = field(1, &field(1, b"lib"));
    let scopes = [scope.clone(), scope].concat();
    let bytes = field(1, &field(2, &scopes));
    assert_eq!(TracesView::new(&bytes).validate(), Err(ViewError::Irregular));
    let batch = Batch { signal: Signal::Traces, bytes: bytes.into() };
    assert_eq!(check_views(&batch), Agreement::Irregular);

    let statuses = [field(15, &field(2, b"no")), field(15, &[0x18, 2])].concat();
    let view = SpanView::parse(&statuses).unwrap();
    assert_eq!((view.status_message, view.status_code), ("no", 2));
}

#[test]
fn a_scope_may_come_after_its_spans() {
    let of_scope = [field(2, &field(5, b"GET /")), field(1, &field(1, b"lib"))].concat();
    let bytes = field(1, &field(2, &of_scope));
    let resource = TracesView::new(&bytes).resources().next().unwrap().unwrap();
    let scope = resource.scopes().next().unwrap().unwrap();
    assert_eq!(scope.scope.name, "lib");
    assert_eq!(scope.items().next().unwrap().unwrap().name, "GET /");
}

#[test]
fn finds_the_first_attribute_of_a_name() {
    let attributes = vec![otlp::int("a", 1), otlp::string("b", "x"), otlp::string("b", "y")];
    let span = otlp::Span { attributes, ..Default::default() };
    let bytes = prost::Message::encode_to_vec(&span);
    let view = SpanView::parse(&bytes).unwrap();
    assert_eq!(find(view.attributes(), "b").unwrap().text(), "x");
    assert_eq!(find(view.attributes(), "a").unwrap().text(), "1");
    assert!(find(view.attributes(), "c").is_none());
}
