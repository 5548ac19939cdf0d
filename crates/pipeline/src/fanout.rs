//! One batch to several consumers.

use crate::{Accepted, Consumer, Refusal, RefusalKind};
use async_trait::async_trait;
use carafe_telemetry::Batch;
use std::sync::Arc;

/// Gives each batch to all of its consumers at once and combines what they answer.
///
/// When one refuses, the batch is refused, although others may have taken it: a sender that
/// tries again sends to all. A refusal for good wins over a retryable one, because then no
/// number of tries can end in success and each would repeat the data elsewhere.
pub struct Fanout {
    consumers: Vec<Arc<dyn Consumer>>,
}

impl Fanout {
    /// Over these consumers; with none, everything is accepted and goes nowhere.
    pub fn new(consumers: Vec<Arc<dyn Consumer>>) -> Self {
        Self { consumers }
    }
}

#[async_trait]
impl Consumer for Fanout {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        if let [only] = self.consumers.as_slice() {
            return only.consume(batch).await;
        }
        let calls = self.consumers.iter().map(|consumer| consumer.consume(batch.clone()));
        combine(futures::future::join_all(calls).await)
    }
}

fn combine(answers: Vec<Result<Accepted, Refusal>>) -> Result<Accepted, Refusal> {
    let mut accepted = Accepted::default();
    let mut worst: Option<Refusal> = None;
    for answer in answers {
        match answer {
            Ok(answer) => {
                accepted.rejected_items = accepted.rejected_items.max(answer.rejected_items);
                if !answer.message.is_empty() {
                    if !accepted.message.is_empty() {
                        accepted.message.push_str("; ");
                    }
                    accepted.message.push_str(&answer.message);
                }
            }
            Err(refusal) => {
                worst = Some(match worst {
                    Some(other) => worse(other, refusal),
                    None => refusal,
                });
            }
        }
    }
    worst.map_or(Ok(accepted), Err)
}

/// The worse of two; of two retryable ones the longer wait holds for both.
fn worse(a: Refusal, b: Refusal) -> Refusal {
    let retry_after = a.retry_after.max(b.retry_after);
    let mut worse = if rank(b.kind) > rank(a.kind) { b } else { a };
    if worse.kind.is_retryable() {
        worse.retry_after = retry_after;
    }
    worse
}

fn rank(kind: RefusalKind) -> u8 {
    match kind {
        RefusalKind::Exhausted => 0,
        RefusalKind::Unavailable => 1,
        RefusalKind::Unauthenticated => 2,
        RefusalKind::TooLarge => 3,
        RefusalKind::InvalidData => 4,
        RefusalKind::Internal => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::Signal;
    use parking_lot::Mutex;
    use std::time::Duration;

    struct Fixed {
        answer: Result<Accepted, Refusal>,
        seen: Mutex<Vec<Batch>>,
    }

    #[async_trait]
    impl Consumer for Fixed {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            self.seen.lock().push(batch);
            self.answer.clone()
        }
    }

    async fn ask(answers: Vec<Result<Accepted, Refusal>>) -> Result<Accepted, Refusal> {
        let batch = Batch { signal: Signal::Traces, bytes: "abc".into() };
        let consumers: Vec<_> = answers
            .into_iter()
            .map(|answer| Arc::new(Fixed { answer, seen: Mutex::default() }))
            .collect();
        let fanout = Fanout::new(consumers.iter().map(|c| Arc::clone(c) as _).collect());
        let answer = fanout.consume(batch.clone()).await;
        for consumer in &consumers {
            assert_eq!(*consumer.seen.lock(), std::slice::from_ref(&batch));
        }
        answer
    }

    fn refuse(kind: RefusalKind, retry_after: Option<u64>) -> Result<Accepted, Refusal> {
        Err(Refusal {
            kind,
            message: format!("{kind:?}"),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    #[tokio::test]
    async fn all_accept() {
        let partly = |n, message: &str| Ok(Accepted { rejected_items: n, message: message.into() });
        assert_eq!(ask(vec![]).await, Ok(Accepted::default()));
        assert_eq!(
            ask(vec![partly(2, "two old"), partly(0, ""), partly(1, "one odd")]).await,
            partly(2, "two old; one odd")
        );
    }

    #[tokio::test]
    async fn the_worst_refusal_wins() {
        let ok = Ok(Accepted::default());
        let away = refuse(RefusalKind::Unavailable, Some(3));
        let full = refuse(RefusalKind::Exhausted, Some(9));
        let bad = refuse(RefusalKind::InvalidData, None);
        assert_eq!(ask(vec![ok.clone(), full.clone(), ok]).await, full);
        assert_eq!(
            ask(vec![full.clone(), away.clone()]).await,
            refuse(RefusalKind::Unavailable, Some(9))
        );
        assert_eq!(ask(vec![away, bad.clone(), full]).await, bad);
    }
}
