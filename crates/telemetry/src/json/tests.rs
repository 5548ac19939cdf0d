use super::*;
use crate::otlp::{self, any_value::Value, metric::Data};
use serde_json::json;

fn read(signal: Signal, json: serde_json::Value) -> Result<Request, JsonError> {
    decode(signal, json.to_string().as_bytes())
}

fn span(fields: serde_json::Value) -> Result<otlp::Span, JsonError> {
    let json = json!({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]});
    let Request::Traces(mut request) = read(Signal::Traces, json)? else { panic!("traces") };
    Ok(request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0))
}

fn attribute(value: serde_json::Value) -> Result<Option<Value>, JsonError> {
    let mut span = span(json!({"attributes": [{"key": "k", "value": value}]}))?;
    Ok(span.attributes.remove(0).value.and_then(|any| any.value))
}

/// A request of every signal that uses every kind of field; `double` is in one of them.
fn requests(double: f64) -> Vec<Request> {
    let attributes = vec![
        otlp::string("s", "ä\"\n"),
        otlp::int("i", -3),
        otlp::bool("b", false),
        otlp::double("d", 0.5),
        otlp::KeyValue { key: "empty".into(), ..Default::default() },
        otlp::KeyValue {
            key: "nested".into(),
            value: Some(otlp::AnyValue {
                value: Some(Value::ArrayValue(otlp::ArrayValue {
                    values: vec![
                        otlp::AnyValue { value: Some(Value::BytesValue(vec![0, 255, 7])) },
                        otlp::AnyValue {
                            value: Some(Value::KvlistValue(otlp::KeyValueList {
                                values: vec![otlp::double("double", double)],
                            })),
                        },
                    ],
                })),
            }),
            ..Default::default()
        },
    ];
    let resource = Some(otlp::Resource { attributes: attributes.clone(), ..Default::default() });
    let scope = Some(otlp::InstrumentationScope { name: "lib".into(), ..Default::default() });
    let spans = vec![otlp::Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        flags: 0x301,
        name: "GET /".into(),
        kind: 2,
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 1,
        attributes: attributes.clone(),
        dropped_attributes_count: 7,
        events: vec![otlp::span::Event { name: "e".into(), ..Default::default() }],
        links: vec![otlp::span::Link { trace_id: vec![1; 16], ..Default::default() }],
        status: Some(otlp::Status { message: "no".into(), code: 2 }),
        ..Default::default()
    }];
    let metric = |data| otlp::Metric { name: "m".into(), data: Some(data), ..Default::default() };
    let metrics = vec![
        metric(Data::Sum(otlp::Sum {
            data_points: vec![otlp::NumberDataPoint {
                value: Some(otlp::number_data_point::Value::AsInt(i64::MIN)),
                ..Default::default()
            }],
            aggregation_temporality: 2,
            is_monotonic: true,
        })),
        metric(Data::Histogram(otlp::Histogram {
            data_points: vec![otlp::HistogramDataPoint {
                count: 3,
                sum: Some(1.5),
                bucket_counts: vec![1, 0, 300],
                explicit_bounds: vec![0.1, 5.0],
                min: Some(0.0),
                exemplars: vec![otlp::Exemplar {
                    value: Some(otlp::exemplar::Value::AsDouble(2.5)),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            aggregation_temporality: 1,
        })),
        metric(Data::ExponentialHistogram(otlp::ExponentialHistogram {
            data_points: vec![otlp::ExponentialHistogramDataPoint {
                scale: -2,
                positive: Some(
                    opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets {
                        offset: -7,
                        bucket_counts: vec![1, 128, 0],
                    },
                ),
                ..Default::default()
            }],
            aggregation_temporality: 2,
        })),
    ];
    let log_records = vec![otlp::LogRecord {
        time_unix_nano: 5,
        severity_number: 9,
        body: Some(otlp::AnyValue { value: Some(Value::StringValue(String::new())) }),
        flags: 1,
        trace_id: vec![1; 16],
        event_name: "x".into(),
        ..Default::default()
    }];
    vec![
        Request::Traces(otlp::ExportTraceServiceRequest {
            resource_spans: vec![otlp::ResourceSpans {
                resource: resource.clone(),
                scope_spans: vec![otlp::ScopeSpans {
                    scope: scope.clone(),
                    spans,
                    ..Default::default()
                }],
                schema_url: "https://example.com".into(),
            }],
        }),
        Request::Metrics(otlp::ExportMetricsServiceRequest {
            resource_metrics: vec![otlp::ResourceMetrics {
                resource: resource.clone(),
                scope_metrics: vec![otlp::ScopeMetrics {
                    scope: scope.clone(),
                    metrics,
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }),
        Request::Logs(otlp::ExportLogsServiceRequest {
            resource_logs: vec![otlp::ResourceLogs {
                resource,
                scope_logs: vec![otlp::ScopeLogs { scope, log_records, ..Default::default() }],
                ..Default::default()
            }],
        }),
    ]
}

#[test]
fn what_is_written_reads_back_the_same() {
    for request in requests(f64::INFINITY) {
        let json = encode(&request).unwrap();
        let back = decode(request.encode().signal, &json).unwrap();
        assert_eq!(back, request, "{}", String::from_utf8_lossy(&json));
    }
}

/// The other implementation of OTLP JSON, generated with the types, reads what is written here
/// and writes what is read here.
#[test]
fn agrees_with_the_generated_types() {
    // They cannot read infinity in an attribute.
    for request in requests(2.5) {
        let ours = encode(&request).unwrap();
        let signal = request.encode().signal;
        let theirs = match &request {
            Request::Traces(traces) => {
                assert_eq!(
                    serde_json::from_slice::<otlp::ExportTraceServiceRequest>(&ours).unwrap(),
                    *traces
                );
                serde_json::to_vec(traces)
            }
            Request::Metrics(metrics) => {
                assert_eq!(
                    serde_json::from_slice::<otlp::ExportMetricsServiceRequest>(&ours).unwrap(),
                    *metrics
                );
                serde_json::to_vec(metrics)
            }
            Request::Logs(logs) => {
                assert_eq!(
                    serde_json::from_slice::<otlp::ExportLogsServiceRequest>(&ours).unwrap(),
                    *logs
                );
                serde_json::to_vec(logs)
            }
        };
        assert_eq!(decode(signal, &theirs.unwrap()).unwrap(), request);
    }
}

#[test]
fn the_written_form_follows_the_specification() {
    let json = encode(&requests(f64::INFINITY)[0]).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "ab".repeat(16));
    assert_eq!(span["kind"], 2);
    assert_eq!(span["startTimeUnixNano"], u64::MAX.to_string());
    assert_eq!(span["droppedAttributesCount"], 7);
    assert_eq!(span["status"], json!({"message": "no", "code": 2}));
    let nested = &span["attributes"][5]["value"]["arrayValue"]["values"];
    assert_eq!(nested[0]["bytesValue"], "AP8H");
    let infinite = &nested[1]["kvlistValue"]["values"][0]["value"]["doubleValue"];
    assert_eq!(infinite, "Infinity");
}

#[test]
fn empty_and_unknown_is_fine() {
    for signal in Signal::ALL {
        assert_eq!(to_batch(signal, b"{}").unwrap().bytes.len(), 0);
        let unknown = json!({"new": {"deep": [1, {"x": null}]}});
        assert_eq!(read(signal, unknown).unwrap().items(), 0);
    }
    assert_eq!(span(json!({"future": 1, "name": "n"})).unwrap().name, "n");
    assert_eq!(attribute(json!({"futureValue": {}})).unwrap(), None);
    assert_eq!(attribute(json!({"hint": "x", "intValue": 1})).unwrap(), Some(Value::IntValue(1)));
    assert_eq!(span(json!({"trace_state": "snake case is unknown"})).unwrap().trace_state, "");
}

#[test]
fn null_is_unset() {
    let span =
        span(json!({"parentSpanId": null, "attributes": null, "status": null, "kind": null}));
    assert_eq!(span.unwrap(), otlp::Span::default());
    assert_eq!(attribute(json!(null)).unwrap(), None);
    assert_eq!(attribute(json!({"stringValue": null})).unwrap(), None);
}

#[test]
fn numbers_come_as_numbers_or_strings() {
    for start in [json!("1544712660000000000"), json!(1_544_712_660_000_000_000_u64)] {
        let span = span(json!({"startTimeUnixNano": start})).unwrap();
        assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    }
    for value in [json!("-7"), json!(-7), json!(-7.0)] {
        assert_eq!(attribute(json!({"intValue": value})).unwrap(), Some(Value::IntValue(-7)));
    }
    for value in [json!("1.5"), json!(1.5), json!("15e-1")] {
        let double = attribute(json!({"doubleValue": value})).unwrap();
        assert_eq!(double, Some(Value::DoubleValue(1.5)));
    }
    assert_eq!(span(json!({"droppedAttributesCount": "3"})).unwrap().dropped_attributes_count, 3);
    let Some(Value::DoubleValue(nan)) = attribute(json!({"doubleValue": "NaN"})).unwrap() else {
        panic!("NaN is a double")
    };
    assert!(nan.is_nan());
}

#[test]
fn ids_are_hexadecimal_in_any_case_and_bytes_base64_of_any_kind() {
    let span = span(json!({"traceId": "5B8EFFF798038103d269b633813fc60c"})).unwrap();
    assert_eq!(hex::encode(span.trace_id), "5b8efff798038103d269b633813fc60c");
    for text in ["+/8=", "-_8=", "-_8", "+/8"] {
        let bytes = attribute(json!({"bytesValue": text})).unwrap();
        assert_eq!(bytes, Some(Value::BytesValue(vec![0xfb, 0xff])), "{text}");
    }
}

#[test]
fn wrong_values_are_refused_and_named() {
    for (fields, named) in [
        (json!({"traceId": "xyz"}), "traceId"),
        (json!({"kind": "SPAN_KIND_SERVER"}), "kind"),
        (json!({"name": 7}), "name"),
        (json!({"startTimeUnixNano": -1}), "startTimeUnixNano"),
        (json!({"startTimeUnixNano": 1.5}), "startTimeUnixNano"),
        (json!({"kind": 3_000_000_000_u32}), "kind"),
        (json!({"attributes": {}}), "attributes"),
        (json!({"droppedEventsCount": true}), "droppedEventsCount"),
    ] {
        let error = span(fields.clone()).unwrap_err().to_string();
        assert!(error.contains(named), "{fields}: {error}");
    }
    for value in [json!({"doubleValue": "inf"}), json!({"boolValue": "true"}), json!([]), json!(1)]
    {
        assert!(attribute(value.clone()).is_err(), "{value}");
    }
    for text in ["", "[]", "null", "{} {}", "{\"resourceSpans\"", "\u{feff}{}"] {
        assert!(decode(Signal::Traces, text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_not_a_stack_overflow() {
    let nested = |levels: usize| {
        let open = "{\"arrayValue\":{\"values\":[".repeat(levels);
        let close = "]}}".repeat(levels);
        format!(
            "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{open}{close}}}]}}]}}]}}"
        )
    };
    assert!(decode(Signal::Logs, nested(100_000).as_bytes()).is_err());
    // Whatever the JSON reader takes, the protobuf reader takes too.
    let deepest = (1..100).rev().find_map(|n| to_batch(Signal::Logs, nested(n).as_bytes()).ok());
    deepest.expect("a few levels are fine").decode().unwrap();
}
