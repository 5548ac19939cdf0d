//! The parts of `google.rpc` in which servers explain an error: `status.proto` and
//! `error_details.proto`.

use prost::Message;
use std::time::Duration;

const RETRY_INFO: &str = "google.rpc.RetryInfo";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Status {
    /// How long the server asks to wait; `None` when it has no `RetryInfo`, which for
    /// RESOURCE_EXHAUSTED means not to try again.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        let info = self.details.iter().find(|any| any.type_url.ends_with(RETRY_INFO))?;
        let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
        let seconds = u64::try_from(delay.seconds).unwrap_or(0);
        let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
        Some(Duration::new(seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(delay: Option<(i64, i32)>) -> Status {
        let retry_delay = delay.map(|(seconds, nanos)| ProtoDuration { seconds, nanos });
        let value = RetryInfo { retry_delay }.encode_to_vec();
        let other = Any { type_url: "type.googleapis.com/google.rpc.Help".into(), value: vec![1] };
        let info = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value };
        Status { code: 8, message: String::new(), details: vec![other, info] }
    }

    #[test]
    fn finds_the_delay() {
        let read = |status: Status| Status::decode(status.encode_to_vec().as_slice()).unwrap();
        let delay = |seconds, nanos| read(status(Some((seconds, nanos)))).retry_delay();
        assert_eq!(delay(3, 500_000_000), Some(Duration::from_millis(3_500)));
        assert_eq!(delay(-3, -1), Some(Duration::ZERO));
        assert_eq!(delay(1, i32::MAX), Some(Duration::new(1, 999_999_999)));
        assert_eq!(read(status(None)).retry_delay(), Some(Duration::ZERO));
        assert_eq!(Status::default().retry_delay(), None);
    }
}
