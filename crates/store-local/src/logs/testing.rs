//! Generated log records, and what a query of them should find.

use crate::ingest::{IncomingLogs, Rules, index_logs};
use carafe_store::condition::Condition;
use carafe_store::{LogQuery, LogRecord, Records, TimeRange, decode};
use carafe_telemetry::otlp::{
    self, AnyValue, KeyValue, KeyValueList, LogRecord as OtlpLog, any_value,
};
use carafe_telemetry::{Batch, Request, TraceId, UnixNanos};
use proptest::prelude::*;
use std::ops::Range;

/// What records without a time count as.
pub(crate) const NOW: UnixNanos = UnixNanos(20);

/// Requests in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) requests: Vec<Batch>,
}

impl Model {
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let decoded = self.requests.iter().flat_map(|batch| match decode(batch, NOW) {
            Ok(decoded) => match decoded.records {
                Records::Logs(logs) => logs,
                other => panic!("logs expected, not {other:?}"),
            },
            Err(error) => panic!("{error}"),
        });
        decoded.collect()
    }

    /// What `query` should find, in the order of [`sorted`].
    pub(crate) fn find(&self, query: &LogQuery) -> Vec<LogRecord> {
        sorted(self.records().into_iter().filter(|log| query.matches(log)).collect())
    }
}

/// Newest first, of one moment by content: in which order these come is not said.
pub(crate) fn sorted(mut logs: Vec<LogRecord>) -> Vec<LogRecord> {
    logs.sort_by_cached_key(|log| (std::cmp::Reverse(log.time), format!("{log:?}")));
    logs
}

/// An indexed request.
pub(crate) fn incoming(batch: &Batch) -> IncomingLogs {
    let rules = Rules { received: NOW, accepted: None };
    index_logs(&batch.bytes, &rules).expect("a valid request").items
}

fn value() -> impl Strategy<Value = AnyValue> {
    let text = prop_oneof!["[a-c ]{0,6}", "KeyError 4[0-3]{3} [é.]", ".{0,5}"];
    let leaf = prop_oneof![
        1 => Just(None),
        6 => text.prop_map(|text| Some(any_value::Value::StringValue(text))),
        1 => any::<bool>().prop_map(|flag| Some(any_value::Value::BoolValue(flag))),
        1 => any::<i64>().prop_map(|number| Some(any_value::Value::IntValue(number))),
        1 => prop::collection::vec(any::<u8>(), 0..3)
            .prop_map(|bytes| Some(any_value::Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(1, 4, 2, |inner| {
        prop::collection::vec(("[ab]", inner), 0..3).prop_map(|values| {
            let values = values.into_iter().map(|(key, value)| KeyValue {
                key,
                value: Some(value),
                ..Default::default()
            });
            let list = KeyValueList { values: values.collect() };
            AnyValue { value: Some(any_value::Value::KvlistValue(list)) }
        })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = ("[a-b]{0,2}", prop::option::of(value())).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..Default::default()
    });
    prop::collection::vec(attribute, 0..3)
}

/// Valid ones, of few values, and all kinds of others.
fn id(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (1_u8..4).prop_map(move |byte| vec![byte; bytes]),
        3 => Just(Vec::new()),
        1 => Just(vec![0; bytes]),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn log() -> impl Strategy<Value = OtlpLog> {
    let time = || prop_oneof![8 => 1_u64..40, 2 => Just(0), 1 => any::<u64>()];
    (
        (time(), time(), -1..26_i32, "[A-C]{0,1}", prop::option::of(value())),
        (attributes(), 0..3_u32, any::<u32>(), id(16), id(8), "[e]{0,1}"),
    )
        .prop_map(|((time, observed, severity, text, body), rest)| {
            let (attributes, dropped, flags, trace_id, span_id, event_name) = rest;
            OtlpLog {
                time_unix_nano: time,
                observed_time_unix_nano: observed,
                severity_number: severity,
                severity_text: text,
                body,
                attributes,
                dropped_attributes_count: dropped,
                flags,
                trace_id,
                span_id,
                event_name,
            }
        })
}

fn request(logs: Range<usize>) -> impl Strategy<Value = Batch> {
    let resource = prop_oneof![
        Just(None),
        Just(Some(otlp::Resource::default())),
        "[s-t]".prop_map(|service| Some(otlp::Resource {
            attributes: vec![otlp::string("service.name", service)],
            ..Default::default()
        })),
    ];
    let scope = "[x]?".prop_map(|name| otlp::InstrumentationScope { name, ..Default::default() });
    let scope = prop::option::of(scope);
    (resource, "[u]?", scope, "[v]?", prop::collection::vec(log(), logs)).prop_map(
        |(resource, schema_url, scope, scope_schema_url, log_records)| {
            Request::Logs(otlp::ExportLogsServiceRequest {
                resource_logs: vec![otlp::ResourceLogs {
                    resource,
                    schema_url,
                    scope_logs: vec![otlp::ScopeLogs {
                        scope,
                        schema_url: scope_schema_url,
                        log_records,
                    }],
                }],
            })
            .encode()
        },
    )
}

/// Some requests with so many records each.
pub(crate) fn model(requests: Range<usize>, logs: Range<usize>) -> impl Strategy<Value = Model> {
    prop::collection::vec(request(logs), requests).prop_map(|requests| Model { requests })
}

pub(crate) fn query() -> impl Strategy<Value = LogQuery> {
    let range = prop_oneof![
        2 => Just(TimeRange::ALL),
        1 => (0_u64..40, 0_u64..40)
            .prop_map(|(a, b)| TimeRange { start: UnixNanos(a), end: UnixNanos(b) }),
    ];
    let text = prop_oneof!["[a-cA-C]{0,3}", "keyerror", "40", " 40[0-3]{2} ", "tru|e.{0,1}"];
    (
        prop::option::weighted(0.3, "[s-u]"),
        prop::option::weighted(0.5, text),
        prop_oneof![2 => Just(0), 1 => -2..26_i32],
        prop::option::weighted(0.3, (0_u8..5).prop_map(|byte| TraceId([byte; 16]))),
        range,
        prop::option::weighted(0.3, condition()),
    )
        .prop_map(|(service, text, min_severity, trace_id, range, condition)| LogQuery {
            service,
            text,
            min_severity,
            trace_id,
            range,
            condition,
            ..LogQuery::all(0)
        })
}

fn condition() -> impl Strategy<Value = Condition> {
    let test = prop_oneof![
        "[ab]{1,2} = [a-c]{1,2}",
        "[ab] != [ab]",
        "[ab] = (true|false|0|\"KeyError 4[0-3]{3} é\")",
        "service = [st]",
        "otel\\.scope\\.name = x",
        "exists\\([ab]\\)",
        "severity >= (warn|error)",
        "body contains [abK]",
    ];
    let condition = prop::collection::vec((test, prop::bool::ANY), 1..4).prop_map(|tests| {
        let mut text = String::new();
        for (n, (test, or)) in tests.iter().enumerate() {
            text += ["", [" and ", " or "][usize::from(*or)]][usize::from(n > 0)];
            text += test;
        }
        text
    });
    condition.prop_map(|text| match text.parse() {
        Ok(condition) => condition,
        Err(error) => panic!("{text}: {error:?}"),
    })
}
