//! Following what is appended.
//!
//! One ring of recent items serves all followers: each has a position in it, so a follower
//! that stops costs nothing, one that is too slow learns how much it missed, and one that
//! comes back goes on where it was while the ring still has that.

use crate::record::{LogRecord, PointRecord, SpanRecord};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use tokio::sync::watch;

/// Items that a [`TailHub`] keeps for followers, besides the newest batch, which it always
/// keeps whole.
const MAX_TAIL_ITEMS: u64 = 16_384;

/// The number of items that were appended up to some moment since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// What one append stored.
#[derive(Clone, Debug)]
pub enum TailItems {
    /// Spans.
    Spans(Arc<Vec<SpanRecord>>),
    /// Log records.
    Logs(Arc<Vec<LogRecord>>),
    /// Data points.
    Points(Arc<Vec<PointRecord>>),
}

impl TailItems {
    fn len(&self) -> u64 {
        (match self {
            Self::Spans(items) => items.len(),
            Self::Logs(items) => items.len(),
            Self::Points(items) => items.len(),
        }) as u64
    }
}

/// What one append stored, and where that stands.
#[derive(Clone, Debug)]
pub struct TailEvent {
    /// The sequence after the items.
    pub sequence: Sequence,
    /// The items.
    pub items: TailItems,
}

/// What [`Tail::next`] finds.
#[derive(Clone, Debug)]
pub enum TailRead {
    /// The next append.
    Event(TailEvent),
    /// So many items were no longer there; what follows is the oldest that is.
    Missed(u64),
}

/// Items that are made when the first follower comes to them.
type LazyItems = LazyLock<TailItems, Box<dyn FnOnce() -> TailItems + Send>>;

/// What one append stored, perhaps not yet in the form that followers get.
struct Announced {
    sequence: Sequence,
    count: u64,
    items: Arc<LazyItems>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Announced>,
    items: u64,
    last: Sequence,
}

/// Where a store announces what it has stored. Cheap to clone.
#[derive(Clone)]
pub struct TailHub {
    ring: Arc<Mutex<Ring>>,
    last: Arc<watch::Sender<Sequence>>,
}

impl Default for TailHub {
    fn default() -> Self {
        Self { ring: Arc::default(), last: Arc::new(watch::Sender::new(Sequence(0))) }
    }
}

impl TailHub {
    /// Announces items. Never waits.
    pub fn publish(&self, items: TailItems) {
        self.publish_lazy(items.len(), || items);
    }

    /// Announces `count` items that `make` makes once, when the first follower comes to them.
    /// Never waits.
    pub fn publish_lazy(&self, count: u64, make: impl FnOnce() -> TailItems + Send + 'static) {
        if count == 0 {
            return;
        }
        let items: LazyItems = LazyLock::new(Box::new(make));
        let mut ring = self.ring.lock();
        ring.items += count;
        ring.last.0 += count;
        let sequence = ring.last;
        ring.events.push_back(Announced { sequence, count, items: Arc::new(items) });
        while ring.items > MAX_TAIL_ITEMS && ring.events.len() > 1 {
            if let Some(oldest) = ring.events.pop_front() {
                ring.items -= oldest.count;
            }
        }
        // Inside the lock, so that the watched value never goes back.
        self.last.send_replace(sequence);
    }

    /// A follower of what comes after `after`, or from now on. A sequence that this hub has
    /// not reached was another's (the store was restarted): the follower gets all there is.
    pub fn follow(&self, after: Option<Sequence>) -> Tail {
        let ring = self.ring.lock();
        let position = match after {
            None => ring.last,
            Some(after) if after > ring.last => oldest(&ring),
            Some(after) => after,
        };
        Tail { ring: Arc::clone(&self.ring), last: self.last.subscribe(), position }
    }
}

/// The sequence before the first item of the ring.
fn oldest(ring: &Ring) -> Sequence {
    Sequence(ring.last.0 - ring.items)
}

/// A follower of a [`TailHub`].
pub struct Tail {
    ring: Arc<Mutex<Ring>>,
    last: watch::Receiver<Sequence>,
    position: Sequence,
}

impl Tail {
    /// Waits for what comes next; none when the store is gone and everything was read.
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<TailRead> {
        loop {
            if let Some(read) = self.try_next() {
                return Some(read);
            }
            let position = self.position;
            self.last.wait_for(|last| *last > position).await.ok()?;
        }
    }

    /// What comes next, if it is there.
    pub fn try_next(&mut self) -> Option<TailRead> {
        let ring = self.ring.lock();
        if self.position >= ring.last {
            return None;
        }
        let oldest = oldest(&ring);
        if self.position < oldest {
            let missed = oldest.0 - self.position.0;
            self.position = oldest;
            return Some(TailRead::Missed(missed));
        }
        let at = ring.events.partition_point(|event| event.sequence <= self.position);
        let event = ring.events.get(at)?;
        let (sequence, items) = (event.sequence, Arc::clone(&event.items));
        // Making the items may take a while, and appends must not wait for it.
        drop(ring);
        self.position = sequence;
        Some(TailRead::Event(TailEvent { sequence, items: TailItems::clone(&items) }))
    }

    /// Where the follower stands.
    pub fn position(&self) -> Sequence {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ResourceRecord, ScopeRecord};
    use carafe_telemetry::{UnixNanos, otlp};

    fn logs(n: u64) -> TailItems {
        let resource = Arc::new(ResourceRecord::new(otlp::Resource::default(), String::new()));
        let log = |time| LogRecord {
            time: UnixNanos(time),
            trace_id: None,
            span_id: None,
            resource: Arc::clone(&resource),
            scope: Arc::new(ScopeRecord::default()),
            log: Arc::default(),
        };
        TailItems::Logs(Arc::new((0..n).map(log).collect()))
    }

    fn sequences(tail: &mut Tail) -> Vec<u64> {
        std::iter::from_fn(|| tail.try_next())
            .map(|read| match read {
                TailRead::Event(event) => event.sequence.0,
                TailRead::Missed(_) => panic!("nothing is missed here"),
            })
            .collect()
    }

    #[tokio::test]
    async fn followers_see_what_comes_after_them() {
        let hub = TailHub::default();
        hub.publish(logs(2));
        let mut tail = hub.follow(None);
        hub.publish(logs(3));
        assert!(matches!(tail.next().await, Some(TailRead::Event(e)) if e.sequence.0 == 5));
        assert_eq!(sequences(&mut hub.follow(Some(Sequence(0)))), [2, 5]);
        assert_eq!(sequences(&mut hub.follow(Some(Sequence(2)))), [5]);
        assert_eq!(sequences(&mut hub.follow(Some(Sequence(99)))), [2, 5]);
        drop(hub);
        assert!(tail.next().await.is_none());
    }

    #[test]
    fn the_slow_learn_what_they_missed() {
        let hub = TailHub::default();
        let mut tail = hub.follow(None);
        hub.publish(logs(10));
        hub.publish(logs(MAX_TAIL_ITEMS));
        assert!(matches!(tail.try_next(), Some(TailRead::Missed(10))));
        assert_eq!(sequences(&mut tail), [MAX_TAIL_ITEMS + 10]);
    }
}
