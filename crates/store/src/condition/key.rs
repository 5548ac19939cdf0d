//! What a test is about.

/// A field of a span or a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Who recorded it.
    Service,
    /// The span's name, or the name of the log record's event.
    Name,
    /// The span's kind.
    Kind,
    /// The span's status.
    Status,
    /// How long the span lasted.
    Duration,
    /// The log record's severity number.
    Severity,
    /// The log record's body.
    Body,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Service,
        Self::Name,
        Self::Kind,
        Self::Status,
        Self::Duration,
        Self::Severity,
        Self::Body,
    ];

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Name => "name",
            Self::Kind => "kind",
            Self::Status => "status",
            Self::Duration => "duration",
            Self::Severity => "severity",
            Self::Body => "body",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What a test is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A field.
    Field(Field),
    /// An attribute, or a virtual tag (`error`, `span.kind`, `otel.status_code` ...).
    Attribute(String),
}
