//! Collects spans and log records into OTLP requests, as the SDK's batch processors do.

use carafe_pipeline::Consumer;
use carafe_telemetry::Request;
use carafe_telemetry::otlp::{
    ExportLogsServiceRequest, ExportTraceServiceRequest, LogRecord, Resource, ResourceLogs,
    ResourceSpans, ScopeLogs, ScopeSpans, Span,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, timeout, timeout_at};

/// The limits of a batch processor (`OTEL_BSP_*`, `OTEL_BLRP_*`).
#[derive(Debug, Clone, Copy)]
pub struct BatchOptions {
    /// Items that wait at most; further ones are dropped and counted.
    pub queue_limit: usize,
    /// Items in one request at most.
    pub batch_limit: usize,
    /// How long the first item of a batch waits for more.
    pub delay: Duration,
    /// How long the export of a batch may take.
    pub timeout: Duration,
}

/// Something that travels in OTLP requests, grouped by resource.
pub trait Item: Send + Sized + 'static {
    /// What it is called in messages.
    const NAME: &'static str;
    /// One request of all items.
    fn request(groups: Vec<(Arc<Resource>, Vec<Self>)>, schema_url: &str) -> Request;
}

impl Item for Span {
    const NAME: &'static str = "spans";

    fn request(groups: Vec<(Arc<Resource>, Vec<Self>)>, schema_url: &str) -> Request {
        let resource_spans = groups
            .into_iter()
            .map(|(resource, spans)| ResourceSpans {
                resource: Some((*resource).clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(crate::metrics::scope()),
                    spans,
                    schema_url: schema_url.to_owned(),
                }],
                schema_url: String::new(),
            })
            .collect();
        Request::Traces(ExportTraceServiceRequest { resource_spans })
    }
}

impl Item for LogRecord {
    const NAME: &'static str = "log records";

    fn request(groups: Vec<(Arc<Resource>, Vec<Self>)>, _schema_url: &str) -> Request {
        let resource_logs = groups
            .into_iter()
            .map(|(resource, log_records)| ResourceLogs {
                resource: Some((*resource).clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(crate::metrics::scope()),
                    log_records,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            })
            .collect();
        Request::Logs(ExportLogsServiceRequest { resource_logs })
    }
}

/// The end at which items go in. Cheap to clone; never waits.
#[derive(Debug)]
pub struct Sender<T> {
    queue: mpsc::Sender<(Arc<Resource>, T)>,
    drops: Arc<Drops>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), drops: Arc::clone(&self.drops) }
    }
}

#[derive(Debug, Default)]
struct Drops {
    count: AtomicU64,
    is_dropping: AtomicBool,
}

impl<T: Item> Sender<T> {
    /// Puts an item into the queue, or drops and counts it where the queue is full; that is said
    /// once until the queue has room again.
    pub fn send(&self, resource: &Arc<Resource>, item: T) {
        match self.queue.try_send((Arc::clone(resource), item)) {
            Ok(()) => self.drops.is_dropping.store(false, Ordering::Relaxed),
            // Nobody exports this signal.
            Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.drops.count.fetch_add(1, Ordering::Relaxed);
                if !self.drops.is_dropping.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the export queue is full; {} are dropped", T::NAME);
                }
            }
        }
    }
}

/// Collects what the senders put in and gives it to a consumer.
#[derive(Debug)]
pub struct Batcher<T> {
    queue: mpsc::Receiver<(Arc<Resource>, T)>,
    drops: Arc<Drops>,
    options: BatchOptions,
    schema_url: String,
}

/// What became of the items.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Items that the consumer took.
    pub accepted: u64,
    /// Items that it refused, or that did not get through in time.
    pub failed: u64,
    /// Items for which the queue had no room.
    pub dropped: u64,
}

impl<T: Item> Batcher<T> {
    /// A batcher and its sending end.
    pub fn new(options: BatchOptions, schema_url: &str) -> (Sender<T>, Self) {
        let (sender, queue) = mpsc::channel(options.queue_limit.max(1));
        let drops = Arc::new(Drops::default());
        let sender = Sender { queue: sender, drops: Arc::clone(&drops) };
        (sender, Self { queue, drops, options, schema_url: schema_url.to_owned() })
    }

    /// Works until every sender is gone and all is delivered.
    pub async fn run(mut self, consumer: Arc<dyn Consumer>) -> Delivered {
        let mut delivered = Delivered::default();
        while let Some(items) = self.next_batch().await {
            let count = items.len() as u64;
            match self.export(&*consumer, items).await {
                Ok(()) => delivered.accepted += count,
                Err(reason) => {
                    delivered.failed += count;
                    tracing::warn!("{count} {} were not exported: {reason}", T::NAME);
                }
            }
        }
        delivered.dropped = self.drops.count.load(Ordering::Relaxed);
        delivered
    }

    /// Waits for a first item, then for more until the batch is full or its time is over; `None`
    /// when no more can come.
    async fn next_batch(&mut self) -> Option<Vec<(Arc<Resource>, T)>> {
        let mut items = vec![self.queue.recv().await?];
        let deadline = Instant::now() + self.options.delay;
        while items.len() < self.options.batch_limit.max(1) {
            match timeout_at(deadline, self.queue.recv()).await {
                Ok(Some(item)) => items.push(item),
                Ok(None) | Err(_) => break,
            }
        }
        Some(items)
    }

    async fn export(
        &self,
        consumer: &dyn Consumer,
        items: Vec<(Arc<Resource>, T)>,
    ) -> Result<(), String> {
        let batch = T::request(grouped(items), &self.schema_url).encode();
        match timeout(self.options.timeout, consumer.consume(batch)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(refusal.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.options.timeout)),
        }
    }
}

/// Items by resource, both in the order of their arrival.
fn grouped<T>(items: Vec<(Arc<Resource>, T)>) -> Vec<(Arc<Resource>, Vec<T>)> {
    let mut groups: Vec<(Arc<Resource>, Vec<T>)> = Vec::new();
    for (resource, item) in items {
        match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &resource)) {
            Some((_, group)) => group.push(item),
            None => groups.push((resource, vec![item])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use carafe_pipeline::{Accepted, Refusal, RefusalKind};
    use carafe_telemetry::Batch;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Recorder {
        sizes: Mutex<Vec<usize>>,
        refuses: bool,
    }

    #[async_trait]
    impl Consumer for Recorder {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            if self.refuses {
                return Err(Refusal::new(RefusalKind::Unavailable, "away"));
            }
            let Ok(Request::Traces(request)) = batch.decode() else { panic!("not traces") };
            self.sizes.lock().push(Request::Traces(request).items());
            Ok(Accepted::default())
        }
    }

    fn options(batch_limit: usize) -> BatchOptions {
        let second = Duration::from_secs(1);
        BatchOptions { queue_limit: 10, batch_limit, delay: second, timeout: second }
    }

    #[tokio::test(start_paused = true)]
    async fn batches_by_size_and_flushes_at_the_end() {
        let (sender, batcher) = Batcher::<Span>::new(options(4), "");
        let resource = Arc::new(Resource::default());
        (0..10).for_each(|_| sender.send(&resource, Span::default()));
        drop(sender);
        let recorder = Arc::new(Recorder::default());
        let delivered = batcher.run(recorder.clone()).await;
        assert_eq!(*recorder.sizes.lock(), [4, 4, 2]);
        assert_eq!(delivered, Delivered { accepted: 10, failed: 0, dropped: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn counts_what_the_queue_and_the_consumer_do_not_take() {
        let (sender, batcher) = Batcher::<Span>::new(options(100), "");
        let resource = Arc::new(Resource::default());
        (0..13).for_each(|_| sender.send(&resource, Span::default()));
        drop(sender);
        let refusing = Arc::new(Recorder { refuses: true, ..Default::default() });
        let delivered = batcher.run(refusing).await;
        assert_eq!(delivered, Delivered { accepted: 0, failed: 10, dropped: 3 });
    }

    #[test]
    fn what_nobody_exports_is_not_a_loss() {
        let (sender, batcher) = Batcher::<Span>::new(options(4), "");
        drop(batcher);
        sender.send(&Arc::new(Resource::default()), Span::default());
        assert_eq!(sender.drops.count.load(Ordering::Relaxed), 0);
        assert!(!sender.drops.is_dropping.load(Ordering::Relaxed));
    }

    #[test]
    fn groups_keep_order() {
        let (a, b) = (Arc::new(Resource::default()), Arc::new(Resource::default()));
        let items = vec![(a.clone(), 1), (b.clone(), 2), (a.clone(), 3)];
        let groups: Vec<_> = grouped(items).into_iter().map(|(_, group)| group).collect();
        assert_eq!(groups, [vec![1, 3], vec![2]]);
    }
}
