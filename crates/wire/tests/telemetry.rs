//! The records of finished telemetry: what is written is what is read, and nothing else is.

use carafe_wire::record::{
    Definition, Instrument, InstrumentKind, Measurement, Notice, NoticeKind, Number, Record,
    Scoped, SpanReference, kind,
};
use proptest::prelude::*;

fn encoded(record: &Record<'_>) -> (u16, Vec<u8>) {
    let (kind, fixed, rest) = record.encode();
    (kind, [fixed.as_slice(), rest].concat())
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Int),
        // A NaN is not equal to itself.
        any::<f64>().prop_filter("a number", |value| !value.is_nan()).prop_map(Number::Double),
    ]
}

fn span() -> impl Strategy<Value = Option<SpanReference>> {
    prop::option::of((any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>()).prop_map(
        |(trace_id, span_id, is_sampled)| SpanReference { trace_id, span_id, is_sampled },
    ))
}

proptest! {
    #[test]
    fn records_round_trip(
        otlp in prop::collection::vec(any::<u8>(), 0..200),
        id in 1..=u32::MAX,
        scope in any::<u32>(),
        kind in prop::sample::select(&InstrumentKind::ALL[..]),
        notice in prop::sample::select(vec![
            NoticeKind::Instrumented,
            NoticeKind::LeftAlone,
            NoticeKind::Problem,
        ]),
    ) {
        for record in [
            Record::Resource(&otlp),
            Record::Scope(Definition { id, otlp: &otlp }),
            Record::Span(Scoped { scope, otlp: &otlp }),
            Record::Log(Scoped { scope, otlp: &otlp }),
            Record::Instrument(Instrument { id, scope, kind, otlp: &otlp }),
            Record::Attributes(Definition { id, otlp: &otlp }),
            Record::Notice(Notice { kind: notice, text: &otlp }),
        ] {
            let (kind, bytes) = encoded(&record);
            prop_assert_eq!(Record::decode(kind, &bytes), Some(record));
        }
    }

    #[test]
    fn measurements_round_trip_and_are_whole(
        instrument in any::<u32>(),
        attributes in any::<u32>(),
        time_unix_ns in any::<u64>(),
        value in number(),
        span in span(),
    ) {
        let measurement = Measurement { instrument, attributes, time_unix_ns, value, span };
        let (kind, bytes) = encoded(&Record::Measurement(measurement));
        prop_assert_eq!(Record::decode(kind, &bytes), Some(Record::Measurement(measurement)));
        for length in 0..bytes.len() {
            prop_assert_eq!(Record::decode(kind, &bytes[..length]), None);
        }
    }
}

#[test]
fn no_sound_writer_makes_these() {
    // The number 0 means that there is none.
    for kind in [kind::SCOPE, kind::ATTRIBUTES] {
        assert_eq!(Record::decode(kind, &[0; 4]), None);
        assert_eq!(Record::decode(kind, &[1, 0, 0]), None);
    }
    assert_eq!(Record::decode(kind::SPAN, &[1, 0, 0]), None);
    let unknown = InstrumentKind::ALL.len() as u8;
    assert_eq!(Record::decode(kind::INSTRUMENT, &[1, 0, 0, 0, 1, 0, 0, 0, unknown]), None);
    assert_eq!(Record::decode(kind::NOTICE, &[3]), None);
    assert_eq!(Record::decode(kind::NOTICE, &[]), None);
    assert_eq!(Record::decode(kind::NOTICE + 1, &[0; 64]), None);
}

#[test]
fn an_instruments_number_is_its_place() {
    for (place, kind) in InstrumentKind::ALL.into_iter().enumerate() {
        let (_, bytes) =
            encoded(&Record::Instrument(Instrument { id: 1, scope: 1, kind, otlp: &[] }));
        assert_eq!(usize::from(*bytes.last().unwrap()), place);
    }
}
