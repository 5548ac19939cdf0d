//! Collects spans and log records into OTLP requests, as the SDK's batch processors do.
//!
//! Items come and go as protobuf: what an engine wrote is appended to the items of its origin, and
//! a request is put together from such pieces. Nothing is decoded on the way.

use crate::origin::Origin;
use carafe_pipeline::Consumer;
use carafe_telemetry::otlp::Resource;
use carafe_telemetry::{Batch, Signal};
use parking_lot::Mutex;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of items after which a batch is full whatever their number: gRPC servers refuse messages
/// of more than 4 MiB unless they are told otherwise.
const BATCH_LIMIT_BYTES: usize = 3 << 20;

/// Bytes of items that wait at most; further ones are dropped and counted.
const QUEUE_LIMIT_BYTES: usize = 64 << 20;

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

/// The items of one origin, each as a field of a `ScopeSpans` or `ScopeLogs`.
#[derive(Debug)]
struct Group {
    origin: Arc<Origin>,
    items: Vec<u8>,
}

/// Items that travel in one request.
#[derive(Debug, Default)]
struct Chunk {
    groups: Vec<Group>,
    count: usize,
    size_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Full ones, oldest first.
    full: VecDeque<Chunk>,
    /// The one that items are added to.
    open: Chunk,
    /// Over all chunks.
    count: usize,
    size_bytes: usize,
    dropped: u64,
    is_dropping: bool,
    senders: usize,
    /// Nobody exports this signal.
    is_closed: bool,
}

#[derive(Debug)]
struct Queue {
    signal: Signal,
    options: BatchOptions,
    waiting: Mutex<Waiting>,
    /// Told when a first item has come, when a batch is full, and when the last sender is gone.
    news: Notify,
}

/// The end at which items go in. Cheap to clone; never waits.
#[derive(Debug)]
pub struct Sender {
    queue: Arc<Queue>,
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        self.queue.waiting.lock().senders += 1;
        Self { queue: Arc::clone(&self.queue) }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        waiting.senders -= 1;
        if waiting.senders == 0 {
            self.queue.news.notify_one();
        }
    }
}

impl Sender {
    /// Puts an item into the queue, an OTLP `Span` or `LogRecord` in protobuf, or drops and counts
    /// it where the queue is full; that is said once until the queue has room again.
    pub fn send(&self, origin: &Arc<Origin>, otlp: &[u8]) {
        let Queue { signal, options, waiting, news } = &*self.queue;
        let mut waiting = waiting.lock();
        let waiting = &mut *waiting;
        if waiting.is_closed {
            return;
        }
        if waiting.count >= options.queue_limit.max(1) || waiting.size_bytes >= QUEUE_LIMIT_BYTES {
            waiting.dropped += 1;
            if !std::mem::replace(&mut waiting.is_dropping, true) {
                tracing::warn!("the export queue is full; {} are dropped", noun(*signal));
            }
            return;
        }
        waiting.is_dropping = false;
        let is_first = waiting.open.count == 0;
        let size_bytes = waiting.open.add(origin, otlp);
        waiting.count += 1;
        waiting.size_bytes += size_bytes;
        let is_full = waiting.open.count >= options.batch_limit.max(1)
            || waiting.open.size_bytes >= BATCH_LIMIT_BYTES;
        if is_full {
            waiting.full.push_back(std::mem::take(&mut waiting.open));
        }
        if is_first || is_full {
            news.notify_one();
        }
    }
}

fn noun(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "data points",
        Signal::Logs => "log records",
    }
}

/// Number of the items' field in `ScopeSpans` and in `ScopeLogs`.
const ITEM: u32 = 2;

impl Chunk {
    /// Returns the bytes that were added.
    fn add(&mut self, origin: &Arc<Origin>, otlp: &[u8]) -> usize {
        let known = self.groups.iter().rposition(|group| Arc::ptr_eq(&group.origin, origin));
        let place = known.unwrap_or_else(|| {
            self.groups.push(Group { origin: Arc::clone(origin), items: Vec::new() });
            self.groups.len() - 1
        });
        let items = &mut self.groups[place].items;
        let before = items.len();
        put_bytes(ITEM, otlp, items);
        self.count += 1;
        self.size_bytes += items.len() - before;
        items.len() - before
    }

    /// An export request of all items. In both requests, in `ResourceSpans` and `ResourceLogs`, and
    /// in `ScopeSpans` and `ScopeLogs`, the fields have the same numbers.
    fn encode(&self) -> Vec<u8> {
        const RESOURCE_ITEMS: u32 = 1;
        const RESOURCE: u32 = 1;
        const SCOPE_ITEMS: u32 = 2;
        let mut by_resource: Vec<(&Arc<Resource>, Vec<&Group>)> = Vec::new();
        for group in &self.groups {
            let resource = &group.origin.resource;
            match by_resource.iter_mut().find(|(known, _)| Arc::ptr_eq(known, resource)) {
                Some((_, groups)) => groups.push(group),
                None => by_resource.push((resource, vec![group])),
            }
        }
        let scope_len = |group: &Group| group.origin.scope.len() + group.items.len();
        let mut request = Vec::with_capacity(self.size_bytes + 512 * self.groups.len());
        for (resource, groups) in by_resource {
            let resource = resource.encode_to_vec();
            let scopes: usize = groups.iter().map(|group| field_len(scope_len(group))).sum();
            put_header(RESOURCE_ITEMS, field_len(resource.len()) + scopes, &mut request);
            put_bytes(RESOURCE, &resource, &mut request);
            for group in groups {
                put_header(SCOPE_ITEMS, scope_len(group), &mut request);
                request.extend_from_slice(&group.origin.scope);
                request.extend_from_slice(&group.items);
            }
        }
        request
    }
}

/// A length-delimited field with a number below 16: one byte of key, the length, the content.
fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn put_header(number: u32, length: usize, into: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, into);
    encode_varint(length as u64, into);
}

fn put_bytes(number: u32, bytes: &[u8], into: &mut Vec<u8>) {
    put_header(number, bytes.len(), into);
    into.extend_from_slice(bytes);
}

/// Collects what the senders put in and gives it to a consumer.
#[derive(Debug)]
pub struct Batcher {
    queue: Arc<Queue>,
    /// When the open batch is taken though it is not full.
    deadline: Option<Instant>,
}

impl Drop for Batcher {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        let senders = waiting.senders;
        *waiting = Waiting { is_closed: true, senders, ..Waiting::default() };
    }
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

impl Batcher {
    /// A batcher of spans or log records and its sending end.
    pub fn new(signal: Signal, options: BatchOptions) -> (Sender, Self) {
        let waiting = Mutex::new(Waiting { senders: 1, ..Waiting::default() });
        let queue = Arc::new(Queue { signal, options, waiting, news: Notify::new() });
        (Sender { queue: Arc::clone(&queue) }, Self { queue, deadline: None })
    }

    /// Works until every sender is gone and all is delivered.
    pub async fn run(mut self, consumer: Arc<dyn Consumer>) -> Delivered {
        let mut delivered = Delivered::default();
        while let Some(chunk) = self.next_chunk().await {
            let count = chunk.count as u64;
            match self.export(&*consumer, chunk).await {
                Ok(()) => delivered.accepted += count,
                Err(reason) => {
                    delivered.failed += count;
                    let noun = noun(self.queue.signal);
                    tracing::warn!("{count} {noun} were not exported: {reason}");
                }
            }
        }
        delivered.dropped = self.queue.waiting.lock().dropped;
        delivered
    }

    /// Waits for a first item, then for more until the batch is full or its time is over; `None`
    /// when no more can come.
    async fn next_chunk(&mut self) -> Option<Chunk> {
        loop {
            match self.take() {
                Taken::Chunk(chunk) => return Some(chunk),
                Taken::End => return None,
                Taken::Nothing => {}
            }
            match self.deadline {
                // Told or too late: either way there may be something to take now.
                Some(deadline) => {
                    let _ = timeout_at(deadline, self.queue.news.notified()).await;
                }
                None => self.queue.news.notified().await,
            }
        }
    }

    fn take(&mut self) -> Taken {
        let mut waiting = self.queue.waiting.lock();
        let is_last = waiting.senders == 0;
        let chunk = if let Some(chunk) = waiting.full.pop_front() {
            chunk
        } else if waiting.open.count == 0 {
            return if is_last { Taken::End } else { Taken::Nothing };
        } else {
            let now = Instant::now();
            let deadline = *self.deadline.get_or_insert(now + self.queue.options.delay);
            if now < deadline && !is_last {
                return Taken::Nothing;
            }
            std::mem::take(&mut waiting.open)
        };
        waiting.count -= chunk.count;
        waiting.size_bytes -= chunk.size_bytes;
        self.deadline = None;
        Taken::Chunk(chunk)
    }

    async fn export(&self, consumer: &dyn Consumer, chunk: Chunk) -> Result<(), String> {
        let Queue { signal, options, .. } = &*self.queue;
        let batch = Batch { signal: *signal, bytes: chunk.encode().into() };
        drop(chunk);
        match timeout(options.timeout, consumer.consume(batch)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(refusal.to_string()),
            Err(_) => Err(format!("no answer within {:?}", options.timeout)),
        }
    }
}

enum Taken {
    Chunk(Chunk),
    /// Nothing is due yet.
    Nothing,
    /// Nothing will come.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::encode_scope;
    use async_trait::async_trait;
    use carafe_pipeline::{Accepted, Refusal, RefusalKind};
    use carafe_telemetry::Request;
    use carafe_telemetry::otlp::{self, ExportTraceServiceRequest, InstrumentationScope, Span};

    #[derive(Default)]
    struct Recorder {
        requests: Mutex<Vec<ExportTraceServiceRequest>>,
        refuses: bool,
    }

    impl Recorder {
        fn sizes(&self) -> Vec<usize> {
            let requests = self.requests.lock();
            requests.iter().map(|request| Request::Traces(request.clone()).items()).collect()
        }
    }

    #[async_trait]
    impl Consumer for Recorder {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            if self.refuses {
                return Err(Refusal::new(RefusalKind::Unavailable, "away"));
            }
            let Ok(Request::Traces(request)) = batch.decode() else { panic!("not traces") };
            self.requests.lock().push(request);
            Ok(Accepted::default())
        }
    }

    fn batcher(batch_limit: usize) -> (Sender, Batcher) {
        let second = Duration::from_secs(1);
        let options = BatchOptions { queue_limit: 10, batch_limit, delay: second, timeout: second };
        Batcher::new(Signal::Traces, options)
    }

    fn origin(resource: &Arc<Resource>, name: &str) -> Arc<Origin> {
        let scope = InstrumentationScope { name: name.into(), ..Default::default() };
        Origin::new(Arc::clone(resource), encode_scope(scope, "schema"))
    }

    fn span(name: &str) -> Vec<u8> {
        Span { name: name.into(), ..Default::default() }.encode_to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn batches_by_size_and_flushes_at_the_end() {
        let (sender, batcher) = batcher(4);
        let origin = origin(&Arc::default(), "");
        (0..10).for_each(|_| sender.send(&origin, &span("")));
        drop(sender.clone());
        drop(sender);
        let recorder = Arc::new(Recorder::default());
        let delivered = batcher.run(recorder.clone()).await;
        assert_eq!(recorder.sizes(), [4, 4, 2]);
        assert_eq!(delivered, Delivered { accepted: 10, failed: 0, dropped: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_more_but_not_for_ever() {
        let (sender, batcher) = batcher(4);
        let recorder = Arc::new(Recorder::default());
        let running = tokio::spawn(batcher.run(recorder.clone()));
        let origin = origin(&Arc::default(), "");
        for (wait_ms, sizes) in [(10, &[][..]), (900, &[]), (110, &[2]), (2000, &[2, 1])] {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            assert_eq!(recorder.sizes(), sizes, "{wait_ms}");
            if wait_ms != 2000 {
                sender.send(&origin, &span(""));
            }
        }
        drop(sender);
        assert_eq!(running.await.unwrap().accepted, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn large_items_make_small_batches() {
        let (sender, batcher) = batcher(100);
        let origin = origin(&Arc::default(), "");
        let large = span(&"x".repeat(BATCH_LIMIT_BYTES / 2));
        (0..5).for_each(|_| sender.send(&origin, &large));
        drop(sender);
        let recorder = Arc::new(Recorder::default());
        batcher.run(recorder.clone()).await;
        assert_eq!(recorder.sizes(), [2, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_what_the_queue_and_the_consumer_do_not_take() {
        let (sender, batcher) = batcher(100);
        let origin = origin(&Arc::default(), "");
        (0..13).for_each(|_| sender.send(&origin, &span("")));
        drop(sender);
        let refusing = Arc::new(Recorder { refuses: true, ..Default::default() });
        let delivered = batcher.run(refusing).await;
        assert_eq!(delivered, Delivered { accepted: 0, failed: 10, dropped: 3 });
    }

    #[test]
    fn what_nobody_exports_is_not_a_loss() {
        let (sender, batcher) = batcher(4);
        let origin = origin(&Arc::default(), "");
        sender.send(&origin, &span(""));
        drop(batcher);
        (0..20).for_each(|_| sender.send(&origin, &span("")));
        let waiting = sender.queue.waiting.lock();
        assert_eq!((waiting.count, waiting.dropped), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn items_travel_by_resource_and_scope_in_their_order() {
        let (sender, batcher) = batcher(100);
        let resource = |name: &str| {
            let attributes = vec![otlp::string("service.name", name)];
            Arc::new(Resource { attributes, ..Default::default() })
        };
        let (a, b) = (resource("a"), resource("b"));
        let (a1, a2, b1) = (origin(&a, "1"), origin(&a, "2"), origin(&b, "1"));
        for (origin, name) in [(&a1, "u"), (&b1, "v"), (&a2, "w"), (&a1, "x")] {
            sender.send(origin, &span(name));
        }
        drop(sender);
        let recorder = Arc::new(Recorder::default());
        batcher.run(recorder.clone()).await;
        let request = recorder.requests.lock().remove(0);
        let mut seen = Vec::new();
        for of_resource in &request.resource_spans {
            let resource = of_resource.resource.as_ref().unwrap();
            let service = otlp::find_str(&resource.attributes, "service.name").unwrap();
            for of_scope in &of_resource.scope_spans {
                assert_eq!(of_scope.schema_url, "schema");
                let names: Vec<_> = of_scope.spans.iter().map(|span| span.name.as_str()).collect();
                let scope = &of_scope.scope.as_ref().unwrap().name;
                seen.push(format!("{service} {scope} {}", names.join("")));
            }
        }
        assert_eq!(seen, ["a 1 ux", "a 2 w", "b 1 v"]);
    }
}
