//! What the status endpoint says about the process.

use carafe_telemetry::UnixNanos;
use std::borrow::Cow;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The process that serves the APIs.
#[derive(Clone, Debug)]
pub struct StatusSource {
    pub(crate) version: Cow<'static, str>,
    pub(crate) started: Instant,
    pub(crate) start: UnixNanos,
    pub(crate) shutdown: CancellationToken,
}

impl StatusSource {
    /// A process of this version that started now. When `shutdown` is cancelled, live streams
    /// end, so that a server which waits for its connections can stop.
    pub fn new(version: impl Into<Cow<'static, str>>, shutdown: CancellationToken) -> Self {
        Self { version: version.into(), started: Instant::now(), start: UnixNanos::now(), shutdown }
    }
}
