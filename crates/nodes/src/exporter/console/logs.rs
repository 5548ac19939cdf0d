//! Log records, as `ReadableLogRecord.to_json` prints them.

use super::json::Json;
use super::text::iso_time;
use super::value::{any, attributes_or_null, resource, set, span_id, trace_id};
use carafe_telemetry::otlp::{ExportLogsServiceRequest, LogRecord, ResourceLogs};

/// The low eight bits of `LogRecord.flags` are the W3C trace flags.
const TRACE_FLAGS_MASK: u32 = 0xff;

/// One JSON text for each record, in the order of the request.
pub(super) fn objects(request: &ExportLogsServiceRequest) -> impl Iterator<Item = String> {
    request.resource_logs.iter().flat_map(|resource| {
        let records = resource.scope_logs.iter().flat_map(|scope| &scope.log_records);
        records.map(|record| Json::document(|json| members(json, resource, record)))
    })
}

fn members(json: &mut Json, from: &ResourceLogs, record: &LogRecord) {
    any(json.key("body"), record.body.as_ref());
    json.key("severity_number");
    match record.severity_number {
        0 => json.null(),
        number => json.integer(number),
    }
    json.key("severity_text").optional_string(set(&record.severity_text));
    attributes_or_null(json.key("attributes"), &record.attributes);
    json.key("dropped_attributes").integer(record.dropped_attributes_count);
    let time = (record.time_unix_nano != 0).then(|| iso_time(record.time_unix_nano));
    json.key("timestamp").optional_string(time.as_deref());
    json.key("observed_timestamp").string(&iso_time(record.observed_time_unix_nano));
    json.key("trace_id").string(&trace_id(&record.trace_id));
    json.key("span_id").string(&span_id(&record.span_id));
    json.key("trace_flags").integer(record.flags & TRACE_FLAGS_MASK);
    resource(json.key("resource"), from.resource.as_ref(), &from.schema_url);
    json.key("event_name").string(&record.event_name);
}
