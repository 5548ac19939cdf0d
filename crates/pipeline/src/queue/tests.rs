use super::*;
use crate::testing::Log;
use crate::{Accepted, Retry, RetryPolicy};
use async_trait::async_trait;
use carafe_telemetry::Request;
use carafe_telemetry::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(30);

/// Lets a batch through for each permit of `gate`.
struct Gated {
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<Batch>>>,
    answer: Result<Accepted, Refusal>,
}

#[async_trait]
impl Consumer for Gated {
    async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
        self.gate.acquire().await.expect("never closed").forget();
        self.seen.lock().push(batch);
        self.answer.clone()
    }
}

struct Setup {
    queue: Queue,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<Batch>>>,
    counters: Arc<NodeCounters>,
}

fn start(config: QueueConfig, answer: Result<Accepted, Refusal>) -> Setup {
    let (gate, seen) = (Arc::new(Semaphore::new(0)), Arc::default());
    let counters = Arc::<NodeCounters>::default();
    let consumer = Gated { gate: Arc::clone(&gate), seen: Arc::clone(&seen), answer };
    let queue = Queue::start("otlp", consumer, config, Arc::clone(&counters));
    Setup { queue, gate, seen, counters }
}

fn config(max_batches: usize, workers: usize) -> QueueConfig {
    QueueConfig { max_batches, workers, ..Default::default() }
}

fn spans(n: usize) -> Batch {
    let scope_spans = vec![ScopeSpans { spans: vec![Span::default(); n], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    Request::Traces(ExportTraceServiceRequest { resource_spans }).encode()
}

async fn until(condition: impl Fn() -> bool) {
    let polling = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, polling).await.expect("the condition never came true");
}

#[tokio::test]
async fn drains_at_shutdown_in_order() {
    let Setup { queue, gate, seen, counters } = start(config(100, 1), Ok(Accepted::default()));
    let sent: Vec<_> = (1..=50).map(spans).collect();
    for batch in &sent {
        queue.try_send(batch.clone()).unwrap();
    }
    let sender = queue.sender();
    gate.add_permits(1_000);
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(*seen.lock(), sent);
    assert_eq!(counters.sent.get(Signal::Traces), 50 * 51 / 2);
    assert_eq!(counters.dropped_total(), 0);

    assert_eq!(sender.try_send(spans(3)).unwrap_err().kind, RefusalKind::Unavailable);
    assert_eq!(counters.dropped(DropReason::ShuttingDown).get(Signal::Traces), 3);
}

#[tokio::test]
async fn refuses_at_the_batch_limit_and_says_it_once() {
    let log = Log::start();
    let Setup { queue, gate, counters, .. } = start(config(4, 2), Ok(Accepted::default()));
    for _ in 0..4 {
        queue.try_send(spans(1)).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(queue.try_send(spans(2)).unwrap_err().kind, RefusalKind::Exhausted);
    }
    assert_eq!(counters.dropped(DropReason::QueueFull).get(Signal::Traces), 20);
    assert_eq!(queue.stats().batches, 4);

    gate.add_permits(4);
    until(|| queue.stats().batches == 0).await;
    queue.try_send(spans(5)).unwrap();
    gate.add_permits(1);
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(counters.sent.get(Signal::Traces), 9);
    let said = log.lines();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("otlp: queue full: limit 4 batches"));
    assert!(said[1].contains("takes data again; 20 items were dropped"));
}

#[tokio::test]
async fn refuses_at_the_byte_limit() {
    let bytes = spans(10).bytes.len();
    let config = QueueConfig { max_bytes: 2 * bytes + 1, ..Default::default() };
    let Setup { queue, gate, counters, .. } = start(config, Ok(Accepted::default()));
    assert_eq!(queue.try_send(spans(1_000)).unwrap_err().kind, RefusalKind::TooLarge);
    queue.try_send(spans(10)).unwrap();
    queue.try_send(spans(10)).unwrap();
    assert_eq!(queue.stats().bytes, 2 * bytes);
    assert_eq!(queue.try_send(spans(10)).unwrap_err().kind, RefusalKind::Exhausted);
    assert_eq!(counters.dropped(DropReason::QueueFull).get(Signal::Traces), 1_010);
    gate.add_permits(2);
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
}

#[tokio::test(start_paused = true)]
async fn reports_what_the_deadline_left() {
    let Setup { queue, gate, seen, counters } = start(config(10, 2), Ok(Accepted::default()));
    for n in 1..=5 {
        queue.try_send(spans(n)).unwrap();
    }
    gate.add_permits(1);
    let left = queue.shutdown(Duration::from_secs(2)).await;
    assert_eq!(seen.lock().len(), 1);
    let sent = counters.sent.get(Signal::Traces);
    assert_eq!(left, Leftover { batches: 4, items: 15 - sent });
    assert_eq!(counters.dropped(DropReason::Deadline).get(Signal::Traces), 15 - sent);
    // The workers are gone: more permits let nothing through.
    gate.add_permits(10);
    tokio::time::sleep(LONG).await;
    assert_eq!(seen.lock().len(), 1);
}

#[tokio::test]
async fn counts_what_is_refused_and_rejected() {
    let log = Log::start();
    let refusal = Refusal::new(RefusalKind::InvalidData, "not ours");
    let Setup { queue, gate, counters, .. } = start(config(10, 1), Err(refusal));
    for _ in 0..3 {
        queue.try_send(spans(2)).unwrap();
    }
    gate.add_permits(3);
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(counters.send_failed.get(Signal::Traces), 6);
    assert_eq!(counters.dropped(DropReason::Refused).get(Signal::Traces), 6);
    let said = log.lines();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("2 items of traces are lost: not ours"));

    let partly = Accepted { rejected_items: 3, message: "too old".into() };
    let Setup { queue, gate, counters, .. } = start(config(10, 1), Ok(partly));
    queue.try_send(spans(8)).unwrap();
    gate.add_permits(1);
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(counters.sent.get(Signal::Traces), 5);
    assert_eq!(counters.dropped(DropReason::Rejected).get(Signal::Traces), 3);
}

#[tokio::test]
async fn survives_a_consumer_that_panics() {
    struct Panics;
    #[async_trait]
    impl Consumer for Panics {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            assert!(batch.bytes.is_empty(), "not empty");
            Ok(Accepted::default())
        }
    }
    let counters = Arc::<NodeCounters>::default();
    let queue = Queue::start("otlp", Panics, config(10, 1), Arc::clone(&counters));
    queue.try_send(spans(2)).unwrap();
    queue.try_send(spans(3)).unwrap();
    queue.try_send(Batch { signal: Signal::Logs, bytes: "".into() }).unwrap();
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(counters.send_failed.get(Signal::Traces), 5);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_out_the_retries() {
    let cancel = CancellationToken::new();
    let away = Refusal::new(RefusalKind::Unavailable, "connection refused");
    let consumer =
        Gated { gate: Arc::new(Semaphore::new(1_000)), seen: Arc::default(), answer: Err(away) };
    let seen = Arc::clone(&consumer.seen);
    let retry = Retry::new("otlp", consumer, RetryPolicy::default(), cancel.clone());
    let counters = Arc::<NodeCounters>::default();
    let queue = Queue::start("otlp", retry, config(10, 2), Arc::clone(&counters));
    for _ in 0..4 {
        queue.try_send(spans(2)).unwrap();
    }
    until(|| seen.lock().len() == 2).await;
    let started = Instant::now();
    cancel.cancel();
    assert_eq!(queue.shutdown(LONG).await, Leftover::default());
    assert_eq!(started.elapsed(), Duration::ZERO);
    // Two batches waited for their second try, which they did not get; two had one try.
    assert_eq!(seen.lock().len(), 4);
    assert_eq!(counters.dropped(DropReason::Refused).get(Signal::Traces), 8);
}
