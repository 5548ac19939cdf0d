//! Where telemetry comes from: a process and a scope.

use carafe_telemetry::otlp::{InstrumentationScope, Resource, ScopeSpans};
use prost::Message;
use std::sync::Arc;

/// What all items of one scope in one process have in common. Items with the same `Origin` (by
/// address) travel together.
#[derive(Debug)]
pub struct Origin {
    /// The process; the same for all its scopes (by address).
    pub resource: Arc<Resource>,
    /// An OTLP `ScopeSpans` with `scope` and `schema_url` alone, in protobuf. Those fields have the
    /// same numbers in `ScopeLogs`.
    pub scope: Arc<[u8]>,
}

impl Origin {
    /// A scope of a process.
    pub fn new(resource: Arc<Resource>, scope: Arc<[u8]>) -> Arc<Self> {
        Arc::new(Self { resource, scope })
    }

    /// What the universal engine sees in a process.
    pub fn universal(resource: Arc<Resource>, schema_url: &str) -> Arc<Self> {
        Self::new(resource, encode_scope(crate::metrics::scope(), schema_url))
    }
}

/// A scope as an [`Origin`] has it.
pub fn encode_scope(scope: InstrumentationScope, schema_url: &str) -> Arc<[u8]> {
    let schema_url = schema_url.to_owned();
    ScopeSpans { scope: Some(scope), schema_url, ..Default::default() }.encode_to_vec().into()
}
