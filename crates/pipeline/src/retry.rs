//! Trying again when a consumer is away or full.

use crate::{Accepted, Consumer, Refusal};
use async_trait::async_trait;
use carafe_telemetry::Batch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often and how long to try. The defaults are the Collector's.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Wait before the second try.
    pub initial_interval: Duration,
    /// No wait is longer, before jitter; a peer may still ask for a longer one.
    pub max_interval: Duration,
    /// When the next try would start later than this after the first, the batch is given up.
    /// `None`: until cancelled.
    pub max_elapsed: Option<Duration>,
    /// Each wait is this many times the one before.
    pub multiplier: f64,
    /// Each wait is spread by up to this fraction, both ways, so that many agents that lost
    /// the same backend do not come back at the same moment. 0 to 1.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed: Some(Duration::from_secs(300)),
            multiplier: 1.5,
            jitter: 0.5,
        }
    }
}

impl RetryPolicy {
    /// The wait after failure number `failures` (from 0), before jitter.
    fn interval(&self, failures: u32) -> Duration {
        let factor = self.multiplier.max(1.0).powf(f64::from(failures));
        let seconds = self.initial_interval.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds)
            .map_or(self.max_interval, |wait| wait.min(self.max_interval))
    }

    fn jittered(&self, failures: u32) -> Duration {
        let spread = self.jitter.clamp(0.0, 1.0);
        let factor = rand::random_range(1.0 - spread..=1.0 + spread);
        Duration::try_from_secs_f64(self.interval(failures).as_secs_f64() * factor)
            .unwrap_or(Duration::MAX)
    }
}

/// Repeats what its consumer refuses retryably, with exponential backoff.
///
/// Says that it waits once when delivery stops, and once when it works again, however many
/// batches fail in between.
pub struct Retry<C> {
    name: String,
    inner: C,
    policy: RetryPolicy,
    cancel: CancellationToken,
    failing: AtomicBool,
}

impl<C: Consumer> Retry<C> {
    /// In front of `inner`, called `name` in messages. Once `cancel` is cancelled there are
    /// no waits: each batch gets one try, and a refusal goes back to the caller at once.
    pub fn new(
        name: impl Into<String>,
        inner: C,
        policy: RetryPolicy,
        cancel: CancellationToken,
    ) -> Self {
        Self { name: name.into(), inner, policy, cancel, failing: AtomicBool::new(false) }
    }

    fn say_failing(&self, refusal: &Refusal, wait: Duration) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let seconds = wait.as_secs_f64();
            tracing::warn!("{}: Transient error: {refusal}; retrying in {seconds:.1} s", self.name);
        }
    }

    fn say_recovered(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("{}: recovered, data is delivered again", self.name);
        }
    }
}

#[async_trait]
impl<C: Consumer> Consumer for Retry<C> {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        let started = Instant::now();
        let mut failures = 0_u32;
        loop {
            let refusal = match self.inner.consume(batch.clone()).await {
                Ok(accepted) => {
                    self.say_recovered();
                    return Ok(accepted);
                }
                Err(refusal) => refusal,
            };
            if !refusal.kind.is_retryable() || self.cancel.is_cancelled() {
                return Err(refusal);
            }
            let wait = self.policy.jittered(failures).max(refusal.retry_after.unwrap_or_default());
            let elapsed = started.elapsed();
            if self.policy.max_elapsed.is_some_and(|max| elapsed.saturating_add(wait) > max) {
                let tries = failures.saturating_add(1);
                let seconds = elapsed.as_secs_f64();
                let message =
                    format!("gave up after {tries} tries in {seconds:.1} s: {}", refusal.message);
                return Err(Refusal { message, ..refusal });
            }
            self.say_failing(&refusal, wait);
            if self.cancel.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Err(refusal);
            }
            failures = failures.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
