//! `google.rpc.Status` and its details, in protobuf and JSON; a refusal as one.
//!
//! OTLP specification, sections "Failures" and "Throttling" of both transports.

use bytes::Bytes;
use carafe_pipeline::{Refusal, RefusalKind};
use prost::Message;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::Code;

/// When to try again, where the spec asks to say it and the consumer did not.
const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(1);

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

impl RpcStatus {
    /// A status without details.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Vec::new() }
    }

    /// What a client learns of a refusal.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let code = match refusal.kind {
            RefusalKind::InvalidData => Code::InvalidArgument,
            RefusalKind::Unauthenticated => Code::Unauthenticated,
            RefusalKind::Exhausted | RefusalKind::TooLarge => Code::ResourceExhausted,
            RefusalKind::Unavailable => Code::Unavailable,
            RefusalKind::Internal => Code::Internal,
        };
        let mut status = Self::new(code, refusal.message.clone());
        status.details = match retry_delay(refusal) {
            Some(delay) => vec![any(RETRY_INFO, &RetryInfo { retry_delay: Some(delay.into()) })],
            None if refusal.kind == RefusalKind::InvalidData => {
                let violation =
                    FieldViolation { field: String::new(), description: refusal.message.clone() };
                vec![any(BAD_REQUEST, &BadRequest { field_violations: vec![violation] })]
            }
            None => Vec::new(),
        };
        status
    }

    /// The ProtoJSON form.
    pub(crate) fn to_json(&self) -> Value {
        let details: Vec<Value> = self.details.iter().filter_map(Any::to_json).collect();
        let mut status = json!({"code": self.code, "message": self.message});
        if !details.is_empty() {
            status["details"] = details.into();
        }
        status
    }
}

/// A refusal as gRPC's status, the details in `grpc-status-details-bin`.
pub(crate) fn grpc_status(refusal: &Refusal) -> tonic::Status {
    let status = RpcStatus::of(refusal);
    let code = Code::from_i32(status.code);
    let details = if status.details.is_empty() { Vec::new() } else { status.encode_to_vec() };
    tonic::Status::with_details(code, status.message, Bytes::from(details))
}

/// RESOURCE_EXHAUSTED is retryable for OTLP clients only if RetryInfo comes with it, so a
/// retryable refusal for want of capacity always has a delay.
fn retry_delay(refusal: &Refusal) -> Option<Duration> {
    match refusal.kind {
        RefusalKind::Exhausted => Some(refusal.retry_after.unwrap_or(DEFAULT_RETRY_DELAY)),
        RefusalKind::Unavailable => refusal.retry_after,
        _ => None,
    }
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

impl Any {
    fn to_json(&self) -> Option<Value> {
        match self.type_url.as_str() {
            RETRY_INFO => {
                let delay = RetryInfo::decode(&*self.value).ok()?.retry_delay?;
                let seconds = format!("{}.{:09}s", delay.seconds, delay.nanos);
                Some(json!({"@type": RETRY_INFO, "retryDelay": seconds}))
            }
            BAD_REQUEST => {
                let violations: Vec<Value> = BadRequest::decode(&*self.value)
                    .ok()?
                    .field_violations
                    .iter()
                    .map(|v| json!({"field": v.field, "description": v.description}))
                    .collect();
                Some(json!({"@type": BAD_REQUEST, "fieldViolations": violations}))
            }
            _ => None,
        }
    }
}

impl From<Duration> for ProtoDuration {
    fn from(duration: Duration) -> Self {
        Self {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_details_follow_the_specification() {
        use RefusalKind::*;
        for (kind, code, detail) in [
            (InvalidData, 3, Some(BAD_REQUEST)),
            (Unauthenticated, 16, None),
            (Exhausted, 8, Some(RETRY_INFO)),
            (TooLarge, 8, None),
            (Unavailable, 14, None),
            (Internal, 13, None),
        ] {
            let status = RpcStatus::of(&Refusal::new(kind, "why"));
            assert_eq!((status.code, status.message.as_str()), (code, "why"));
            let types: Vec<_> = status.details.iter().map(|any| any.type_url.as_str()).collect();
            assert_eq!(types, Vec::from_iter(detail), "{kind:?}");
        }
    }

    #[test]
    fn json_has_the_delay_in_seconds() {
        let mut refusal = Refusal::new(RefusalKind::Unavailable, "stopping");
        refusal.retry_after = Some(Duration::from_millis(1500));
        let expected = json!({"code": 14, "message": "stopping",
            "details": [{"@type": RETRY_INFO, "retryDelay": "1.500000000s"}]});
        assert_eq!(RpcStatus::of(&refusal).to_json(), expected);
    }
}
