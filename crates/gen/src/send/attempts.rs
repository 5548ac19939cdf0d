//! One request, until it is accepted or there is no use in trying.

use carafe_nodes::exporter::otlp::OtlpExporter;
use carafe_pipeline::{Accepted, Consumer, Refusal};
use carafe_telemetry::Batch;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The wait before the second try.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// No wait is longer, unless the peer asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    Accepted {
        /// From the last try to its answer.
        took: Duration,
        /// Tries before that one.
        retries: u64,
        /// Items that were rejected for good, and why.
        accepted: Accepted,
    },
    Refused(Refusal),
}

impl Verdict {
    /// Whether every item was accepted.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Accepted { accepted, .. } if accepted.rejected_items == 0)
    }
}

pub(super) struct Attempts {
    exporter: OtlpExporter,
    retry_for: Duration,
    failing: bool,
}

impl Attempts {
    pub(super) fn new(exporter: OtlpExporter, retry_for: Duration) -> Self {
        Self { exporter, retry_for, failing: false }
    }

    /// OTLP specification, "Failures": what is refused retryably is sent again, with
    /// exponential backoff or when the peer says.
    pub(super) async fn deliver(&mut self, batch: Batch, cancel: &CancellationToken) -> Verdict {
        let first = Instant::now();
        let mut wait = FIRST_WAIT;
        let mut retries = 0;
        loop {
            let started = Instant::now();
            let refusal = match self.exporter.consume(batch.clone()).await {
                Ok(accepted) => {
                    self.failing = false;
                    return Verdict::Accepted { took: started.elapsed(), retries, accepted };
                }
                Err(refusal) => refusal,
            };
            let pause = refusal.retry_after.unwrap_or(wait);
            let over = first.elapsed() + pause > self.retry_for;
            if !refusal.kind.is_retryable() || over {
                return Verdict::Refused(refusal);
            }
            if !self.failing {
                self.failing = true;
                eprintln!("carafe: waiting to send: {refusal}");
            }
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Verdict::Refused(refusal);
            }
            wait = (wait * 3 / 2).min(LONGEST_WAIT);
            retries += 1;
        }
    }
}
