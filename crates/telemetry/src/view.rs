//! Zero-copy views over OTLP requests in protobuf.
//!
//! Nothing is copied or allocated: a view borrows from the request's bytes. The `parse`
//! functions check all that they were given, as strictly and as leniently as prost does: what
//! a view takes, prost decodes to the same values, and the reverse, with one exception.
//! Protobuf lets a singular sub-message come several times, the parts to be merged; where a
//! view would have to lend bytes that are nowhere in one piece, it ends with
//! [`ViewError::Irregular`]. No known sender does that; [`Batch::normalised`] brings such a
//! request into the usual form.
//!
//! [`Batch::normalised`]: crate::Batch::normalised

mod check;
pub(crate) mod count;
mod log;
mod request;
mod span;
mod value;
mod wire;

#[cfg(test)]
mod tests;

pub use log::LogView;
pub use request::{
    Item, LogsView, RequestView, ResourceItems, ResourceView, ScopeItems, ScopeView, TracesView,
};
pub use span::{EventView, Events, LinkView, Links, SpanView};
pub use value::{Attributes, KeyValueView, ValueView, find};

/// Why bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A field or a message ends after the bytes that it is in.
    #[error("a field is longer than its message")]
    Truncated,
    /// More than ten bytes, or more than 64 bits.
    #[error("a number is too long")]
    Varint,
    /// A field number of zero or of more than 29 bits, or an unknown wire type.
    #[error("a field has an invalid key")]
    Key,
    /// A known field in another shape than its own.
    #[error("a field has the wrong wire type")]
    WireType,
    /// A string that is not UTF-8.
    #[error("a string is not utf-8")]
    Utf8,
    /// More than 100 messages and groups within each other.
    #[error("messages are nested too deep")]
    Depth,
    /// The end of a group that is not open.
    #[error("a group ends that did not begin")]
    Group,
    /// A singular sub-message that comes several times. The request may be valid.
    #[error("a message that may come once comes several times")]
    Irregular,
}

/// How many levels of messages may be within the fields of a request: prost's limit.
const REQUEST_DEPTH: u32 = 100;
/// The same of `ResourceSpans` and `ResourceLogs`.
const GROUP_DEPTH: u32 = REQUEST_DEPTH - 1;
/// The same of `Resource`, `ScopeSpans` and `ScopeLogs`.
const RESOURCE_DEPTH: u32 = GROUP_DEPTH - 1;
/// The same of `InstrumentationScope`, `Span` and `LogRecord`.
const ITEM_DEPTH: u32 = RESOURCE_DEPTH - 1;
