//! The messages of OTLP as data: field names in JSON, numbers in protobuf, kinds of values.
//!
//! Follows opentelemetry-proto 1.10; development fields that no stable signal uses are left out
//! and ignored like unknown ones.

use crate::Signal;

/// What a field holds, and so how it is written in either encoding.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    /// Bytes that JSON writes in hexadecimal: trace and span ids.
    Id,
    /// Bytes that JSON writes in base64.
    Bytes,
    Bool,
    /// Varints; enums are such, for OTLP JSON knows them by number only.
    Int32,
    UInt32,
    Int64,
    UInt64,
    /// A zigzag varint.
    SInt32,
    Fixed32,
    Fixed64,
    SFixed64,
    Double,
    Message(&'static Message),
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

impl Message {
    pub(super) fn by_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn by_number(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// The export request of `signal`.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    }
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true }
}

use Kind::{
    Bool, Bytes, Double, Fixed32, Fixed64, Id, Int32, Int64, Message as M, SFixed64, SInt32,
    String, UInt32, UInt64,
};

macro_rules! messages {
    ($($name:ident { $($field:expr),* $(,)? })*) => {
        $(static $name: Message = Message { fields: &[$($field),*] };)*
    };
}

messages! {
    TRACES { many("resourceSpans", 1, M(&RESOURCE_SPANS)) }
    RESOURCE_SPANS {
        one("resource", 1, M(&RESOURCE)),
        many("scopeSpans", 2, M(&SCOPE_SPANS)),
        one("schemaUrl", 3, String),
    }
    SCOPE_SPANS {
        one("scope", 1, M(&SCOPE)),
        many("spans", 2, M(&SPAN)),
        one("schemaUrl", 3, String),
    }
    SPAN {
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, String),
        one("parentSpanId", 4, Id),
        one("flags", 16, Fixed32),
        one("name", 5, String),
        one("kind", 6, Int32),
        one("startTimeUnixNano", 7, Fixed64),
        one("endTimeUnixNano", 8, Fixed64),
        many("attributes", 9, M(&KEY_VALUE)),
        one("droppedAttributesCount", 10, UInt32),
        many("events", 11, M(&EVENT)),
        one("droppedEventsCount", 12, UInt32),
        many("links", 13, M(&LINK)),
        one("droppedLinksCount", 14, UInt32),
        one("status", 15, M(&STATUS)),
    }
    EVENT {
        one("timeUnixNano", 1, Fixed64),
        one("name", 2, String),
        many("attributes", 3, M(&KEY_VALUE)),
        one("droppedAttributesCount", 4, UInt32),
    }
    LINK {
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, String),
        many("attributes", 4, M(&KEY_VALUE)),
        one("droppedAttributesCount", 5, UInt32),
        one("flags", 6, Fixed32),
    }
    STATUS { one("message", 2, String), one("code", 3, Int32) }

    METRICS { many("resourceMetrics", 1, M(&RESOURCE_METRICS)) }
    RESOURCE_METRICS {
        one("resource", 1, M(&RESOURCE)),
        many("scopeMetrics", 2, M(&SCOPE_METRICS)),
        one("schemaUrl", 3, String),
    }
    SCOPE_METRICS {
        one("scope", 1, M(&SCOPE)),
        many("metrics", 2, M(&METRIC)),
        one("schemaUrl", 3, String),
    }
    METRIC {
        one("name", 1, String),
        one("description", 2, String),
        one("unit", 3, String),
        one("gauge", 5, M(&GAUGE)),
        one("sum", 7, M(&SUM)),
        one("histogram", 9, M(&HISTOGRAM)),
        one("exponentialHistogram", 10, M(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, M(&SUMMARY)),
        many("metadata", 12, M(&KEY_VALUE)),
    }
    GAUGE { many("dataPoints", 1, M(&NUMBER_POINT)) }
    SUM {
        many("dataPoints", 1, M(&NUMBER_POINT)),
        one("aggregationTemporality", 2, Int32),
        one("isMonotonic", 3, Bool),
    }
    HISTOGRAM {
        many("dataPoints", 1, M(&HISTOGRAM_POINT)),
        one("aggregationTemporality", 2, Int32),
    }
    EXPONENTIAL_HISTOGRAM {
        many("dataPoints", 1, M(&EXPONENTIAL_POINT)),
        one("aggregationTemporality", 2, Int32),
    }
    SUMMARY { many("dataPoints", 1, M(&SUMMARY_POINT)) }
    NUMBER_POINT {
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("asDouble", 4, Double),
        many("exemplars", 5, M(&EXEMPLAR)),
        one("asInt", 6, SFixed64),
        many("attributes", 7, M(&KEY_VALUE)),
        one("flags", 8, UInt32),
    }
    HISTOGRAM_POINT {
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("bucketCounts", 6, Fixed64),
        many("explicitBounds", 7, Double),
        many("exemplars", 8, M(&EXEMPLAR)),
        many("attributes", 9, M(&KEY_VALUE)),
        one("flags", 10, UInt32),
        one("min", 11, Double),
        one("max", 12, Double),
    }
    EXPONENTIAL_POINT {
        many("attributes", 1, M(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        one("scale", 6, SInt32),
        one("zeroCount", 7, Fixed64),
        one("positive", 8, M(&BUCKETS)),
        one("negative", 9, M(&BUCKETS)),
        one("flags", 10, UInt32),
        many("exemplars", 11, M(&EXEMPLAR)),
        one("min", 12, Double),
        one("max", 13, Double),
        one("zeroThreshold", 14, Double),
    }
    BUCKETS { one("offset", 1, SInt32), many("bucketCounts", 2, UInt64) }
    SUMMARY_POINT {
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("quantileValues", 6, M(&QUANTILE)),
        many("attributes", 7, M(&KEY_VALUE)),
        one("flags", 8, UInt32),
    }
    QUANTILE { one("quantile", 1, Double), one("value", 2, Double) }
    EXEMPLAR {
        one("timeUnixNano", 2, Fixed64),
        one("asDouble", 3, Double),
        one("spanId", 4, Id),
        one("traceId", 5, Id),
        one("asInt", 6, SFixed64),
        many("filteredAttributes", 7, M(&KEY_VALUE)),
    }

    LOGS { many("resourceLogs", 1, M(&RESOURCE_LOGS)) }
    RESOURCE_LOGS {
        one("resource", 1, M(&RESOURCE)),
        many("scopeLogs", 2, M(&SCOPE_LOGS)),
        one("schemaUrl", 3, String),
    }
    SCOPE_LOGS {
        one("scope", 1, M(&SCOPE)),
        many("logRecords", 2, M(&LOG_RECORD)),
        one("schemaUrl", 3, String),
    }
    LOG_RECORD {
        one("timeUnixNano", 1, Fixed64),
        one("severityNumber", 2, Int32),
        one("severityText", 3, String),
        one("body", 5, M(&ANY_VALUE)),
        many("attributes", 6, M(&KEY_VALUE)),
        one("droppedAttributesCount", 7, UInt32),
        one("flags", 8, Fixed32),
        one("traceId", 9, Id),
        one("spanId", 10, Id),
        one("observedTimeUnixNano", 11, Fixed64),
        one("eventName", 12, String),
    }

    RESOURCE {
        many("attributes", 1, M(&KEY_VALUE)),
        one("droppedAttributesCount", 2, UInt32),
        many("entityRefs", 3, M(&ENTITY_REF)),
    }
    ENTITY_REF {
        one("schemaUrl", 1, String),
        one("type", 2, String),
        many("idKeys", 3, String),
        many("descriptionKeys", 4, String),
    }
    SCOPE {
        one("name", 1, String),
        one("version", 2, String),
        many("attributes", 3, M(&KEY_VALUE)),
        one("droppedAttributesCount", 4, UInt32),
    }
    KEY_VALUE { one("key", 1, String), one("value", 2, M(&ANY_VALUE)) }
    ANY_VALUE {
        one("stringValue", 1, String),
        one("boolValue", 2, Bool),
        one("intValue", 3, Int64),
        one("doubleValue", 4, Double),
        one("arrayValue", 5, M(&ARRAY)),
        one("kvlistValue", 6, M(&KEY_VALUE_LIST)),
        one("bytesValue", 7, Bytes),
    }
    ARRAY { many("values", 1, M(&ANY_VALUE)) }
    KEY_VALUE_LIST { many("values", 1, M(&KEY_VALUE)) }
}
