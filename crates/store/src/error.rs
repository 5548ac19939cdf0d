//! What can go wrong in a store.

/// The kind of a [`StoreError`]; each caller maps it once to its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The request is wrong and will be wrong again.
    InvalidData,
    /// No room now; there may be later.
    Full,
    /// Away, starting or shutting down; may be back later.
    Unavailable,
    /// What is stored cannot be read.
    Corrupt,
    /// The question would take more time, rows or memory than one may.
    TooExpensive,
    /// Whoever asked has gone.
    Cancelled,
    /// A fault of the store itself.
    Internal,
}

impl StoreErrorKind {
    /// Whether the same request may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Full | Self::Unavailable)
    }
}

/// A request that the store did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What kind of fault it is.
    pub kind: StoreErrorKind,
    /// What a person reads: lower case, with the values in it.
    pub message: String,
    /// What caused it, where that is known.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error of `kind` with no source.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A request that cannot succeed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::InvalidData, message)
    }
}

impl From<carafe_telemetry::DecodeError> for StoreError {
    fn from(error: carafe_telemetry::DecodeError) -> Self {
        Self {
            kind: StoreErrorKind::InvalidData,
            message: error.to_string(),
            source: Some(Box::new(error)),
        }
    }
}
