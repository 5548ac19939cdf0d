//! The answer to an export request that was taken, in protobuf and JSON.

use carafe_pipeline::Accepted;
use carafe_telemetry::{Signal, otlp};
use prost::Message;
use serde_json::{Value, json};

/// Whether `partial_success` is set: only for rejected items or a warning.
fn is_partial(accepted: &Accepted) -> bool {
    accepted.rejected_items > 0 || !accepted.message.is_empty()
}

/// `Export…ServiceResponse` in protobuf.
pub(crate) fn protobuf(signal: Signal, accepted: Accepted) -> Vec<u8> {
    let partial = is_partial(&accepted);
    let rejected = i64::try_from(accepted.rejected_items).unwrap_or(i64::MAX);
    let error_message = accepted.message;
    match signal {
        Signal::Traces => otlp::ExportTraceServiceResponse {
            partial_success: partial.then_some(otlp::ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Metrics => otlp::ExportMetricsServiceResponse {
            partial_success: partial.then_some(otlp::ExportMetricsPartialSuccess {
                rejected_data_points: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Logs => otlp::ExportLogsServiceResponse {
            partial_success: partial.then_some(otlp::ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
    }
}

/// The same in OTLP JSON.
pub(crate) fn json(signal: Signal, accepted: Accepted) -> Value {
    if !is_partial(&accepted) {
        return json!({});
    }
    let field = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let rejected = accepted.rejected_items.to_string();
    json!({"partialSuccess": {field: rejected, "errorMessage": accepted.message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_success_is_empty() {
        for signal in Signal::ALL {
            assert!(protobuf(signal, Accepted::default()).is_empty());
            assert_eq!(json(signal, Accepted::default()), json!({}));
        }
    }

    #[test]
    fn rejections_and_warnings_are_partial_success() {
        let warning = Accepted { rejected_items: 0, message: "old".into() };
        let bytes = protobuf(Signal::Logs, warning);
        let response = otlp::ExportLogsServiceResponse::decode(&*bytes).unwrap();
        let partial = response.partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (0, "old"));

        let rejected = Accepted { rejected_items: 3, message: "too old".into() };
        assert_eq!(
            json(Signal::Traces, rejected),
            json!({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}})
        );
    }
}
