//! What a server answers to an accepted request.

use carafe_pipeline::Accepted;
use carafe_telemetry::Signal;
use carafe_telemetry::otlp::{
    ExportLogsServiceResponse, ExportMetricsServiceResponse, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::Value;

/// `Export*ServiceResponse` in protobuf. What cannot be read counts as full success: the
/// server has said OK.
pub(super) fn protobuf(signal: Signal, bytes: &[u8]) -> Accepted {
    let partial = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(bytes)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Signal::Metrics => ExportMetricsServiceResponse::decode(bytes)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(bytes)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
    };
    let (rejected, message) = partial.unwrap_or_default();
    Accepted { rejected_items: u64::try_from(rejected).unwrap_or(0), message }
}

/// The same in OTLP's JSON, where 64-bit integers are strings or numbers.
pub(super) fn json(signal: Signal, bytes: &[u8]) -> Accepted {
    let response: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let partial = &response["partialSuccess"];
    let rejected = match signal {
        Signal::Traces => &partial["rejectedSpans"],
        Signal::Metrics => &partial["rejectedDataPoints"],
        Signal::Logs => &partial["rejectedLogRecords"],
    };
    let rejected_items = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
    Accepted { rejected_items, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_come_in_two_forms() {
        let read = |text: &str| json(Signal::Traces, text.as_bytes());
        let two = Accepted { rejected_items: 2, message: "old".into() };
        assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}"#), two);
        assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":2,"errorMessage":"old"}}"#), two);
        for text in ["", "{}", "[]", "null", r#"{"partialSuccess":{"rejectedSpans":-1}}"#] {
            assert_eq!(read(text), Accepted::default(), "{text}");
        }
    }
}
