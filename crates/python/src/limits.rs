//! Limits of spans, as the specification's SDK limits.

/// `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: Option<usize>,
    pub(crate) events: Option<usize>,
    pub(crate) links: Option<usize>,
    pub(crate) event_attributes: Option<usize>,
    pub(crate) link_attributes: Option<usize>,
    /// Characters of an attribute's text.
    pub(crate) attribute_length: Option<usize>,
    /// As `attribute_length`, for the span's own attributes.
    pub(crate) span_attribute_length: Option<usize>,
}

/// The specification's default for every count.
const DEFAULT_COUNT: usize = 128;

impl Default for Limits {
    fn default() -> Self {
        Self {
            attributes: Some(DEFAULT_COUNT),
            events: Some(DEFAULT_COUNT),
            links: Some(DEFAULT_COUNT),
            event_attributes: Some(DEFAULT_COUNT),
            link_attributes: Some(DEFAULT_COUNT),
            attribute_length: None,
            span_attribute_length: None,
        }
    }
}

impl Limits {
    /// As the `OTEL_*_LIMIT` variables say; what is no number is ignored, as the launcher has
    /// warned of it.
    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| variable(name).and_then(|text| text.parse::<usize>().ok());
        let count =
            |name: &str, general: Option<usize>| number(name).or(general).or(Some(DEFAULT_COUNT));
        let general = number("OTEL_ATTRIBUTE_COUNT_LIMIT");
        let length = number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        Self {
            attributes: count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", general),
            events: count("OTEL_SPAN_EVENT_COUNT_LIMIT", None),
            links: count("OTEL_SPAN_LINK_COUNT_LIMIT", None),
            event_attributes: count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", general),
            link_attributes: count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", general),
            attribute_length: length,
            span_attribute_length: number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(length),
        }
    }
}
