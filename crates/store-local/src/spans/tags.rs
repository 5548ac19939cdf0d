//! Fields of spans under the names by which tags ask for them.

use carafe_store::kind_name;
use carafe_telemetry::otlp::{span::SpanKind, status::StatusCode};

/// The service that recorded the span, in the filter of tags.
pub(super) const SERVICE: &str = "service.name";
/// The span's name, in the filter of tags: no attribute's key has a zero.
pub(super) const NAME: &str = "\0name";
/// In the filter of tags: an attribute, by the first of its aliases, that a span or an event
/// has and that is kept as it came.
pub(super) const RAW: &str = "\0raw";
/// In the filter of tags: an attribute, by the first of its aliases, that a resource or a scope
/// has.
pub(super) const SHARED: &str = "\0shared";
/// Whether the status is an error.
pub(super) const ERROR: &str = "error";
/// The kind.
pub(super) const KIND: &str = "span.kind";
/// The status.
pub(super) const STATUS: &str = "otel.status_code";
/// What the status says.
pub(super) const STATUS_DESCRIPTION: &str = "otel.status_description";
/// The name of the scope.
pub(super) const SCOPE_NAME: &str = "otel.scope.name";
/// The version of the scope.
pub(super) const SCOPE_VERSION: &str = "otel.scope.version";

/// The text of [`KIND`] for OTLP's number of a kind.
pub(super) fn kind_text(kind: i32) -> &'static str {
    kind_name(SpanKind::try_from(kind).unwrap_or_default())
}

/// The texts of [`STATUS`] and [`ERROR`] for OTLP's number of a status.
pub(super) fn status_texts(status: i32) -> (&'static str, &'static str) {
    match StatusCode::try_from(status).unwrap_or_default() {
        StatusCode::Unset => ("UNSET", "false"),
        StatusCode::Ok => ("OK", "false"),
        StatusCode::Error => ("ERROR", "true"),
    }
}

/// Whether OTLP's number of a status is the one of errors.
pub(super) fn is_error(status: i32) -> bool {
    status == StatusCode::Error as i32
}
