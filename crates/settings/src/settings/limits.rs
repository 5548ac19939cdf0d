//! Limits of what is recorded.

use crate::reader::Reader;

const LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const SPAN_LENGTH: &str = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT";

/// Limits of what is recorded. Lengths are in characters; none is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Text of a span's attribute.
    pub span_attribute_value_length: Option<u32>,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let common = reader.number(&[LENGTH], 0, "no limit");
        Self { span_attribute_value_length: reader.number(&[SPAN_LENGTH], 0, LENGTH).or(common) }
    }
}
